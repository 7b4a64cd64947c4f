"""Verma and Smith 2018, 'Neural style transfer for audio spectrograms': AlexNet and two envelopes.

To the activations of the content and the Gram matrices of the style they add two terms: the energy
over time, which is to stay the content's, and the energy over frequency, which is to become the
style's. They begin with noise. Their AlexNet has kernels of 3 x 3 and was trained on instruments;
here it is a classifier of the train stage with `network.architecture: alexnet`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from audiostyle.errors import InputError
from audiostyle.network import Classifier
from audiostyle.network_config import ALEXNET_TAPS
from audiostyle.spectrogram import filterbank
from components.stylize.config import StylizeConfig
from components.stylize.methods.parts.method import Contents, Defaults, Problem, Style, share
from components.stylize.methods.trained import Trained

_BANDS, _F_MIN = 80, 40.0


class VermaSmith(Trained):
    """Content, style, and the envelopes of energy over time and over frequency."""

    defaults = Defaults(
        init="noise",
        iterations=400,
        learning_rate=0.05,
        content_layers=("conv3",),
        style_layers=ALEXNET_TAPS,
    )

    def __init__(self, config: StylizeConfig, model: Classifier) -> None:
        if model.network.architecture != "alexnet":
            raise InputError(
                "method: verma-smith needs a classifier of AlexNet's architecture: train one with"
                " network.architecture: alexnet (in section train), and name it with --model"
            )
        super().__init__(config, model)
        top = 0.49 * self.spectrogram.sample_rate
        self._bank = filterbank(self.spectrogram, "mel", _BANDS, _F_MIN, top).to(self.device)

    def style(self, magnitude: Tensor) -> Style:
        """The Gram matrix of each layer, and the level of each band, [80]."""
        return {**super().style(magnitude), "bands": self._bands(magnitude[None])[0]}

    def prepare(self, contents: Contents, styles: Sequence[Style]) -> Problem:
        """`trained`'s terms, `energy` and `style frequency`."""
        problem = super().prepare(contents, styles)
        inner = problem.terms
        assert inner is not None  # noqa: S101, it is `trained`'s
        energy = _energy(contents.magnitude)
        bands = torch.stack([style["bands"] for style in styles])

        def terms(x: Tensor) -> dict[str, Tensor]:
            magnitude = self.decode(x)
            return {
                **inner(x),
                "energy": share(_energy(magnitude), energy),
                "style frequency": share(self._bands(magnitude), bands),
            }

        return Problem(problem.start, terms)

    def _bands(self, magnitude: Tensor) -> Tensor:
        """Root mean square over time of each band, [batch, bins, frames] -> [batch, 80]."""
        return (self._bank @ magnitude.square().mean(2, keepdim=True))[:, :, 0].sqrt()


def _energy(magnitude: Tensor) -> Tensor:
    """Root mean square over frequency of each frame, [batch, bins, frames] -> [batch, frames]."""
    return magnitude.square().mean(1).sqrt()


METHOD = VermaSmith
