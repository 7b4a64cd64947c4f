"""What a method of style transfer is: statistics of a style, a start, and terms to descend.

The stage does the rest: levels, windows, channels, batches, the optimizer, interruptions. What a
method sees of a recording is scaled to one level (`LEVEL`), so that none depends on loudness.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from audiostyle.network import TAPS, Classifier
from components.stylize.config import Init, Optimizer, StylizeConfig

# What a method heard in an item, by name, from 0 to 1.
Heard = dict[str, float]
# Whatever a method keeps of a style clip. Shapes may differ from clip to clip.
Style = dict[str, Tensor]

# Root mean square of a whole recording's magnitudes: a recording at -20 dBFS under a Hann window
# of 2048 samples.
LEVEL = 2.8
# 100 dB below LEVEL nothing is heard, nor seen by the network, whose floor is above: what keeps
# logarithms finite.
FLOOR = 1e-5 * LEVEL


@dataclass(frozen=True)
class Defaults:
    """What a method uses where the settings leave it open. No iterations: nothing is optimized."""

    init: Init = "method"
    optimizer: Optimizer = "adam"
    iterations: int = 80
    learning_rate: float = 0.01
    content_weight: float = 1.0
    style_weight: float = 1.0
    content_layers: tuple[str, ...] = TAPS[:1]
    style_layers: tuple[str, ...] = TAPS


@dataclass(frozen=True)
class Contents:
    """Windows of recordings that are worked on together, all of the same number of frames.

    magnitude: [batch, bins, frames] linear. power: [batch, bins], the mean power spectrum of the
    whole recording that each window is from: what long-term statistics are to be taken from, so
    that neighboring windows are treated alike.
    """

    magnitude: Tensor
    power: Tensor

    def some(self, part: slice) -> "Contents":
        """A part of the batch."""
        return Contents(self.magnitude[part], self.power[part])


@dataclass(frozen=True)
class Problem:
    """What a method makes of a batch.

    start: [batch, bins, frames] linear magnitude to begin with, or the result of a method that
    does not optimize. terms: from the variable (`Method.encode`) to each loss term by name,
    [batch], differentiable and without a round trip to the host. Names that begin with "style"
    are weighed by style_weight, all others by content_weight. heard: of each item, what
    `components.stylize.heard` says in words; none, where the method says nothing.
    """

    start: Tensor
    terms: Callable[[Tensor], dict[str, Tensor]] | None = None
    heard: Sequence[Heard] = ()


class Method(ABC):
    """A method with its settings. Everything is computed on the model's device."""

    defaults: Defaults = Defaults()
    # Level of the noise that init=noise starts from, relative to the content's.
    noise: ClassVar[float] = 1.0
    # Whether `strength` is heeded by the method; else its result is averaged with the content.
    own_strength: ClassVar[bool] = False

    def __init__(self, config: StylizeConfig, model: Classifier) -> None:
        self.config = config
        self.model = model.requires_grad_(False)
        self.spectrogram = model.spectrogram
        self.device = model.band_mean.device

    @property
    def content_layers(self) -> tuple[str, ...]:
        """Layers whose activations stay the content's: the settings', or the method's own."""
        return self.config.content_layers or self.defaults.content_layers

    @property
    def style_layers(self) -> tuple[str, ...]:
        """Layers whose statistics become the style's: the settings', or the method's own."""
        return self.config.style_layers or self.defaults.style_layers

    def origin(self) -> dict[str, Any]:
        """What the manifest says of a network that is not the classifier; empty without one."""
        return {}

    @abstractmethod
    def style(self, magnitude: Tensor) -> Style:
        """Statistics of a style clip [bins, frames], linear. Computed once a clip."""

    @abstractmethod
    def prepare(self, contents: Contents, styles: Sequence[Style]) -> Problem:
        """Start and loss of a batch; styles: one an item."""

    def encode(self, magnitude: Tensor) -> Tensor:
        """From linear magnitude to the variable that is optimized, cell by cell.

        The logarithm keeps magnitudes positive, and a step in it is as large for a faint partial
        as for a loud one.
        """
        return (magnitude + FLOOR).log()

    def decode(self, x: Tensor) -> Tensor:
        """From the variable to linear magnitude."""
        return x.exp()


def gram(features: Tensor) -> Tensor:
    """Gram matrices of activations, mean over all positions: lengths need not be equal.

    Input: [batch, channels, ...]. Output: [batch, channels, channels].
    """
    flat = features.flatten(2)
    return flat @ flat.mT / flat.shape[2]


def share(actual: Tensor, wanted: Tensor) -> Tensor:
    """Squared distance to what is wanted, relative to that one's own square. Output: [batch].

    So that one weight fits every layer and model.
    """
    size = wanted.square().flatten(1).sum(1).clamp_min(1e-30)
    return (actual - wanted).square().flatten(1).sum(1) / size
