"""Random 1-D convolutions over time, in which the frequency bins are the channels.

Ulyanov and Lebedev 2016, 'Audio texture synthesis and style transfer'; the paper's base model is
a deeper one of the kind. The logarithm of one plus the magnitude is what is optimized.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from audiostyle.network import Classifier
from components.stylize.config import StylizeConfig
from components.stylize.methods.parts.method import (
    LEVEL,
    Contents,
    Method,
    Problem,
    Style,
    gram,
    share,
)

KERNEL = 11  # frames


class RandomLayers(Method):
    """A stack of random convolutions, each followed by a rectifier; none is trained."""

    # Theirs, next to silence: fewer filters than bins leave directions in which nothing is wanted,
    # and loud noise would stay there.
    noise = 1e-3 / LEVEL

    def __init__(self, config: StylizeConfig, model: Classifier, widths: Sequence[int]) -> None:
        super().__init__(config, model)
        # Drawn on the CPU, so that a GPU has the same filters.
        random = torch.Generator().manual_seed(config.seed)
        self.kernels = []
        before = self.spectrogram.bins
        for width in widths:
            # Their standard deviation: activations keep the order of magnitude of what goes in.
            deviation = 2 / ((before + width) * KERNEL) ** 0.5
            kernel = deviation * torch.randn(width, before * KERNEL, generator=random)
            self.kernels.append(kernel.to(self.device))
            before = width

    def encode(self, magnitude: Tensor) -> Tensor:
        """log(1 + magnitude): nearly silent cells count for nearly nothing."""
        return magnitude.log1p()

    def decode(self, x: Tensor) -> Tensor:
        """Linear magnitude; below zero there is none."""
        return x.expm1().clamp_min(0)

    def layers(self, x: Tensor) -> list[Tensor]:
        """Activations of each layer, [batch, width, frames], of the variable [batch, bins, frames].

        Zeros beyond both ends, which are silence, so that the shortest clip has as many frames.
        """
        activations = []
        for kernel in self.kernels:
            # As one matrix product: on a CPU almost twice as fast as conv1d.
            windows = functional.unfold(x[:, :, None], (1, KERNEL), padding=(0, KERNEL // 2))
            x = (kernel @ windows).relu()
            activations.append(x)
        return activations

    def style(self, magnitude: Tensor) -> Style:
        """The Gram matrix of each layer, [width, width]."""
        layers = self.layers(self.encode(magnitude[None]))
        return {str(number): gram(layer)[0] for number, layer in enumerate(layers)}

    def prepare(self, contents: Contents, styles: Sequence[Style]) -> Problem:
        """The content is kept as the last layer's activations; style is every layer's Gram."""
        content_layer = self.layers(self.encode(contents.magnitude))[-1]
        wanted = [
            torch.stack([style[str(number)] for style in styles])
            for number in range(len(self.kernels))
        ]

        def terms(x: Tensor) -> dict[str, Tensor]:
            layers = self.layers(x)
            return {
                "content": share(layers[-1], content_layer),
                "style": torch.stack(
                    [
                        share(gram(layer), target)
                        for layer, target in zip(layers, wanted, strict=True)
                    ]
                ).mean(0),
            }

        return Problem(contents.magnitude, terms)
