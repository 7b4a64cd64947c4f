"""The networks by name: their layers, and who trained them. Needs no torch to be read."""

from dataclasses import dataclass
from typing import Literal

Name = Literal["vgg19", "alexnet", "soundnet", "vggish"]


@dataclass(frozen=True)
class Entry:
    """A network as it was published.

    layers: after whose rectifier activations can be taken, in order. content, style: the layers
    that are taken unless the settings name others. hears: what goes in. published: of files of
    weights the name and the first digits of the SHA-256. license: of those weights.
    """

    layers: tuple[str, ...]
    content: tuple[str, ...]
    style: tuple[str, ...]
    hears: str
    published: tuple[tuple[str, str], ...]
    license: str
    source: str


def _blocks(*sizes: int) -> tuple[str, ...]:
    """Names as of VGG: conv3_2 is the second convolution of the third block."""
    return tuple(
        f"conv{block}_{number}"
        for block, size in enumerate(sizes, 1)
        for number in range(1, size + 1)
    )


_CONV5 = tuple(f"conv{number}" for number in range(1, 6))

CATALOG: dict[str, Entry] = {
    # Gatys et al. 2016 chose these layers.
    "vgg19": Entry(
        layers=_blocks(2, 2, 4, 4, 4),
        content=("conv4_2",),
        style=("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"),
        hears="a spectrogram as a picture of 224 rows, in three equal channels",
        published=(("vgg19-dcbb9e9d.pth", "dcbb9e9d"),),
        license="BSD-3-Clause (torchvision); trained on ImageNet, which is for research",
        source="Simonyan and Zisserman 2014; torchvision.models.vgg19",
    ),
    "alexnet": Entry(
        layers=_CONV5,
        content=("conv4",),
        style=_CONV5,
        hears="a spectrogram as a picture of 224 rows, in three equal channels",
        published=(
            ("alexnet-owt-7be5be79.pth", "7be5be79"),
            ("alexnet-owt-4df8aa71.pth", "4df8aa71"),  # before torchvision 0.10
        ),
        license="BSD-3-Clause (torchvision); trained on ImageNet, which is for research",
        source="Krizhevsky 2014; torchvision.models.alexnet",
    ),
    "soundnet": Entry(
        layers=tuple(f"conv{number}" for number in range(1, 8)),
        content=("conv4",),
        style=_CONV5,
        hears="a waveform at 22,050 Hz",
        published=(),
        license="MIT (SoundNet)",
        source="Aytar, Vondrick and Torralba 2016, its eight-layer network",
    ),
    "vggish": Entry(
        layers=_blocks(1, 1, 2, 2),
        content=("conv3_2",),
        style=("conv1_1", "conv2_1", "conv3_1", "conv4_1"),
        hears="logarithms of 64 mel bands at 16 kHz, 100 frames a second",
        published=(("vggish-10086976.pth", "10086976"),),
        license="Apache-2.0 (VGGish); trained on an early YouTube-8M",
        source="Hershey et al. 2017; the PyTorch port torchvggish",
    ),
}
