"""The classifier: convolution layers over the spectrogram, with named feature taps.

Four of them, as the paper's, or AlexNet's five with kernels of 3 x 3 (Verma and Smith 2018).
One module serves both ends: `train` teaches it to tell classes apart, `stylize` reads its
activations. It takes linear STFT magnitudes, so that gradients reach the spectrogram that is
optimized; representation and normalization are part of the model and travel with its weights.
"""

import json
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiostyle import tensors
from audiostyle.artifacts import CLASSIFIER, opening
from audiostyle.config import Config
from audiostyle.errors import ArtifactError, InputError
from audiostyle.files import write_text
from audiostyle.network_config import TAPS as TAPS
from audiostyle.network_config import NetworkConfig as NetworkConfig
from audiostyle.spectrogram import SpectrogramConfig, filterbank
from audiostyle.untrusted import json_value


class Classifier(nn.Module):
    """Classifies spectrograms and gives out its activations.

    `forward`: [batch, bins, frames] linear magnitude, float32 -> [batch, classes] logits.
    """

    filters: Tensor
    band_mean: Tensor
    band_scale: Tensor

    def __init__(
        self, network: NetworkConfig, spectrogram: SpectrogramConfig, class_names: Sequence[str]
    ) -> None:
        super().__init__()
        if len(class_names) < 2:
            raise InputError(f"class_names: two classes or more are needed (got {class_names!r})")
        self.network = network
        self.spectrogram = spectrogram
        self.class_names = tuple(class_names)
        self.taps = network.taps
        if network.representation == "linear":
            bands = spectrogram.bins
            filters = torch.empty(0)
        else:
            bands = network.bands
            filters = filterbank(
                spectrogram, network.representation, bands, network.f_min, network.f_max
            )
        # Derived from the configuration, so it is no part of the weights.
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("band_mean", torch.zeros(bands))
        self.register_buffer("band_scale", torch.ones(bands))
        widths = (1, *network.channels)
        # The first layer looks at 5 x 5 cells and at every second frame: most of the arithmetic
        # is there, and 46 ms still resolve attacks. The kernel overlaps its stride, so that no
        # frame is without a gradient when a spectrogram is optimized.
        self.convolutions = nn.ModuleList(
            nn.Conv2d(
                before,
                after,
                kernel_size=3 if layer else network.first_kernel,
                stride=1 if layer else (1, 2),
                padding=1 if layer else network.first_kernel // 2,
                bias=False,
            )
            for layer, (before, after) in enumerate(pairwise(widths))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in network.channels)
        # Bands are kept apart: where in the spectrum a pattern lies is timbre. Over the frames,
        # the mean tells the texture and the maximum the event; which of the two tells the classes
        # apart depends on the data set.
        for _ in network.pooled:
            bands = -(-bands // 2)
        self.head = nn.Linear(2 * network.channels[-1] * bands, len(class_names))
        self.dropout = nn.Dropout(network.dropout)

    @classmethod
    def load(cls, folder: Path | str, device: str = "cpu") -> "Classifier":
        """The classifier of an artifact, in evaluation mode: what `train` wrote.

        device: auto (a GPU where there is one), cpu, cuda or cuda:N. `features` gives the
        activations of magnitudes [batch, bins, frames], and calling it logits [batch, classes];
        `spectrogram` says which magnitudes, `class_names` which classes. Raises ArtifactError for
        a folder that is none, or that is damaged.
        """
        return load(opening(folder, CLASSIFIER).folder, device_of(device))

    def represent(self, magnitude: Tensor) -> Tensor:
        """Log power by band, relative to the clip's mean power.

        So the same sound is the same to the network at any level.
        Input: [batch, bins, frames] linear magnitude. Output: [batch, bands, frames].
        """
        if magnitude.ndim != 3 or magnitude.shape[1] != self.spectrogram.bins:
            raise InputError(
                f"magnitude: shape [batch, {self.spectrogram.bins}, frames] is needed"
                f" (got {list(magnitude.shape)})"
            )
        power = magnitude.square()
        if self.network.representation != "linear":
            power = self.filters @ power
        level = power.mean((1, 2), keepdim=True)
        # The tiny constant keeps digital silence finite; in float32 power it is -200 dB.
        return torch.log(power / (level + 1e-20) + 10 ** (-self.network.floor_db / 10))

    def normalize(self, represented: Tensor) -> Tensor:
        """Subtract the training set's mean of each band, divide by its deviation."""
        return (represented - self.band_mean[:, None]) / self.band_scale[:, None]

    def activations(
        self, represented: Tensor, taps: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """Activations after the convolution, normalization and rectifier of each named layer.

        Input: output of `represent`. Output: name -> [batch, channels, bands', frames'], where
        each of `network.pooled` halves both axes of the one before. Layers past the last tap are
        not computed. taps: by default, all.
        """
        taps = self.taps if taps is None else taps
        unknown = set(taps) - set(self.taps)
        if unknown:
            raise InputError(f"taps: unknown {sorted(unknown)}; there are {', '.join(self.taps)}")
        last = max(self.taps.index(tap) for tap in taps)
        taken = {}
        x = self.normalize(represented)[:, None]
        for name, convolution, norm in zip(
            self.taps[: last + 1], self.convolutions, self.norms, strict=False
        ):
            if name in self.network.pooled:
                # ceil_mode keeps at least one frame of the shortest input.
                x = functional.max_pool2d(x, 2, ceil_mode=True)
            x = functional.relu(norm(convolution(x)))
            if name in taps:
                taken[name] = x
        return taken

    def features(self, magnitude: Tensor, taps: Sequence[str] | None = None) -> dict[str, Tensor]:
        """`activations` of a linear magnitude spectrogram [batch, bins, frames]."""
        return self.activations(self.represent(magnitude), taps)

    def classify(self, represented: Tensor) -> Tensor:
        """Logits [batch, classes] of the output of `represent`."""
        x = self.activations(represented, self.taps[-1:])[self.taps[-1]].flatten(1, 2)
        pooled = torch.cat([x.mean(-1), x.amax(-1)], 1)  # [batch, 2 * channels * bands']
        logits: Tensor = self.head(self.dropout(pooled))
        return logits

    def forward(self, magnitude: Tensor) -> Tensor:
        """Logits [batch, classes] of linear magnitudes [batch, bins, frames]."""
        return self.classify(self.represent(magnitude))


class _Description(Config):
    """network.json: what it takes to build the module that the weights fit."""

    network: NetworkConfig
    spectrogram: SpectrogramConfig
    class_names: tuple[str, ...]


def save(model: Classifier, folder: Path) -> None:
    """Write `network.json` and `weights.safetensors` into a folder."""
    description = _Description(
        network=model.network, spectrogram=model.spectrogram, class_names=model.class_names
    )
    write_text(folder / "network.json", json.dumps(description.plain(), indent=1))
    weights = {
        name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()
    }
    tensors.write(folder / "weights.safetensors", weights)


def load(folder: Path, device: torch.device | str = "cpu") -> Classifier:
    """Read what `save` wrote, in evaluation mode.

    Raises ArtifactError naming the file where it is damaged, or where keys or shapes are not
    exactly those of the network that it describes.
    """
    path = folder / "network.json"
    try:
        values = json_value(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ArtifactError(path, f"cannot be read: {error}") from None
    description = _Description.parse(values, path)
    path = folder / "weights.safetensors"
    weights = tensors.read(path)
    _require_size(description, weights, folder)
    try:
        model = Classifier(description.network, description.spectrogram, description.class_names)
    except InputError as error:
        raise ArtifactError(folder / "network.json", str(error)) from None
    try:
        model.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        detail = " ".join(str(error).split())
        raise ArtifactError(path, f"does not fit network.json: {detail}") from None
    bad = [n for n, v in model.state_dict().items() if not v.isfinite().all()]
    if bad:
        raise ArtifactError(path, f"holds values that are not finite in {', '.join(bad)}")
    return model.eval().to(device)


def _require_size(description: _Description, weights: dict[str, Tensor], folder: Path) -> None:
    """Refuse a network that is larger than its weights, before memory is taken for it."""
    network, wide = description.network, (1, *description.network.channels)
    linear = network.representation == "linear"
    bands = description.spectrogram.bins if linear else network.bands
    for _ in network.pooled:
        bands = -(-bands // 2)
    size = 2 * network.channels[-1] * bands * len(description.class_names)
    kernels = (network.first_kernel, *(3 for _ in network.channels[1:]))
    size += sum(
        before * after * kernel**2
        for kernel, (before, after) in zip(kernels, pairwise(wide), strict=True)
    )
    there = sum(math.prod(value.shape) for value in weights.values())
    if size > there:
        raise ArtifactError(
            folder / "weights.safetensors",
            f"does not fit network.json: that needs {size} weights or more, {there} are there",
        )


def device_of(choice: str = "auto") -> torch.device:
    """The device to compute on. choice: auto (a GPU where there is one), cpu, cuda, cuda:1 …"""
    if choice == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(choice)
    except RuntimeError:
        raise InputError(f"device: {choice!r} is not auto, cpu or cuda[:N]") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device: {choice!r} asked for, but there is no usable GPU")
    return device
