"""The paper's method: content and style as the activations of a trained classifier.

Gatys, Ecker and Bethge 2016, 'Image style transfer using convolutional neural networks', carried
over to audio by Vedak and Bhatia, 'Deep Audio Style Transfer': content is kept as activations,
style as their Gram matrices.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from audiostyle.errors import InputError
from audiostyle.network import Classifier
from components.stylize.config import StylizeConfig
from components.stylize.methods.parts.method import (
    Contents,
    Defaults,
    Heard,
    Method,
    Problem,
    Style,
    gram,
    share,
)

# From magnitudes [batch, bins, frames] and names of layers to activations by name.
Observer = Callable[[Tensor, Sequence[str]], dict[str, Tensor]]


class Trained(Method):
    """Activations of `content_layers` stay, Grams of `style_layers` become the style's."""

    # Steps of a tenth of a neper: with ten times shorter ones no cell moves by more than 9 dB in a
    # hundred, so that the style's weight hardly mattered between 1 and 1000.
    defaults = Defaults(init="content", iterations=100, learning_rate=0.1, style_weight=1)

    def __init__(self, config: StylizeConfig, model: Classifier) -> None:
        super().__init__(config, model)
        for name in ("content_layers", "style_layers"):
            for layer in getattr(config, name) or ():
                if layer not in self.layers:
                    raise InputError(
                        f"{name}: must be of {', '.join(self.layers)} for this classifier"
                        f" (got {layer!r:.80})"
                    )

    @property
    def layers(self) -> tuple[str, ...]:
        """Of the network whose activations are taken, by name."""
        return self.model.taps

    def observer(self, start: Tensor) -> Observer:
        """What gives activations of magnitudes like those of `start`, [batch, bins, frames]."""
        return self.model.features

    def style(self, magnitude: Tensor) -> Style:
        """The Gram matrix of each style layer, [channels, channels]."""
        seen = self.observer(magnitude[None])(magnitude[None], self.style_layers)
        return {tap: gram(value)[0] for tap, value in seen.items()}

    def start(self, contents: Contents, styles: Sequence[Style]) -> Tensor:
        """What is begun with, and whose activations are kept: the content."""
        return contents.magnitude

    def begun(self, contents: Contents, styles: Sequence[Style]) -> tuple[Tensor, Sequence[Heard]]:
        """The start, and what was heard."""
        return self.start(contents, styles), ()

    def prepare(self, contents: Contents, styles: Sequence[Style]) -> Problem:
        """See Method."""
        start, heard = self.begun(contents, styles)
        observe = self.observer(start)
        content_taps = observe(start, self.content_layers)
        wanted = {tap: torch.stack([style[tap] for style in styles]) for tap in self.style_layers}
        taps = tuple({**content_taps, **wanted})

        def terms(x: Tensor) -> dict[str, Tensor]:
            seen = observe(self.decode(x), taps)
            return {
                "content": torch.stack(
                    [share(seen[tap], content_taps[tap]) for tap in content_taps]
                ).mean(0),
                "style": torch.stack([share(gram(seen[tap]), wanted[tap]) for tap in wanted]).mean(
                    0
                ),
            }

        return Problem(start, terms, heard)


METHOD = Trained
