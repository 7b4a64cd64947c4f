"""Ulyanov and Lebedev's: one wide layer of random filters."""

from collections.abc import Sequence

import torch
from torch import Tensor

from audiostyle.network import Classifier
from components.stylize.config import StylizeConfig
from components.stylize.methods.parts.method import Contents, Defaults, Problem, Style
from components.stylize.methods.parts.random_layers import RandomLayers


class Shallow(RandomLayers):
    """4,096 filters of 11 frames, with the loss of the published code, unscaled."""

    # 1e-2 is theirs; the loss is not relative to anything, so neither is the weight.
    defaults = Defaults(
        init="noise", optimizer="lbfgs", iterations=100, learning_rate=1, content_weight=1e-2
    )

    def __init__(self, config: StylizeConfig, model: Classifier) -> None:
        super().__init__(config, model, (config.filters,))

    def prepare(self, contents: Contents, styles: Sequence[Style]) -> Problem:
        """Sums of squares of what the activations and their Gram differ by.

        |Y Y' / n - G|^2 is computed as |Y' Y|^2 / n^2 - 2 tr(Y' G Y) / n + |G|^2: there are far
        fewer frames than filters, so that the Gram itself, 64 MB an item, is never made.
        """
        content_layer = self.layers(self.encode(contents.magnitude))[0]
        wanted = torch.stack([style["0"] for style in styles])
        size = wanted.square().sum((1, 2))

        def terms(x: Tensor) -> dict[str, Tensor]:
            (layer,) = self.layers(x)
            frames = layer.shape[2]
            inner = (layer.mT @ layer).square().sum((1, 2)) / frames**2
            with torch.no_grad():
                turned = wanted @ layer
            # The Gram is symmetric, so the trace's gradient is twice what is at hand already.
            trace = (layer * turned).sum((1, 2))
            trace = 2 * trace - trace.detach()
            return {
                "content": (layer - content_layer).square().sum((1, 2)),
                "style": inner - 2 * trace / frames + size,
            }

        return Problem(contents.magnitude, terms)


METHOD = Shallow
