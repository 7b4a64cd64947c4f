"""The networks themselves, layer by layer, with the parameter names of their published files.

Only the convolutions are here: what classifies behind them is no part of style transfer. A file
may have those weights, too; `head` and `more_heads` say which.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from audiostyle.errors import InputError
from components.stylize.networks.catalog import CATALOG

Shapes = dict[str, tuple[int, ...]]

# A pool, among the widths of convolutions.
_POOL = 0
_WIDTHS = {
    "vgg19": (64, 64, _POOL, 128, 128, _POOL, *(256,) * 4, _POOL, *(512,) * 4, _POOL, *(512,) * 4),
    "vggish": (64, _POOL, 128, _POOL, 256, 256, _POOL, 512, 512),
}


@dataclass(frozen=True)
class _Convolution:
    """Of AlexNet and SoundNet. pool: size and stride of the pool behind the rectifier, or none."""

    width: int
    kernel: int
    stride: int
    padding: int
    pool: tuple[int, int] | None = None


_ALEXNET = (
    _Convolution(64, 11, 4, 2, (3, 2)),
    _Convolution(192, 5, 1, 2, (3, 2)),
    _Convolution(384, 3, 1, 1),
    _Convolution(256, 3, 1, 1),
    _Convolution(256, 3, 1, 1),
)
_SOUNDNET = (
    _Convolution(16, 64, 2, 32, (8, 8)),
    _Convolution(32, 32, 2, 16, (8, 8)),
    _Convolution(64, 16, 2, 8),
    _Convolution(128, 8, 2, 4),
    _Convolution(256, 4, 2, 2, (4, 4)),
    _Convolution(512, 4, 2, 2),
    _Convolution(1024, 4, 2, 2),
)
_MORE_HEADS: dict[str, tuple[Shapes, ...]] = {
    "vgg19": (
        # timm's: the linear layers as convolutions.
        {
            "pre_logits.fc1.weight": (4096, 512, 7, 7),
            "pre_logits.fc1.bias": (4096,),
            "pre_logits.fc2.weight": (4096, 4096, 1, 1),
            "pre_logits.fc2.bias": (4096,),
            "head.fc.weight": (1000, 4096),
            "head.fc.bias": (1000,),
        },
    ),
    "vggish": (
        # torchvggish's principal components, and a classifier of AudioSet's 527 classes.
        {"pproc.pca_eigen_vectors": (128, 128), "pproc.pca_means": (128, 1)},
        {
            "classifier.0.weight": (100, 128),
            "classifier.0.bias": (100,),
            "classifier.2.weight": (527, 100),
            "classifier.2.bias": (527,),
        },
    ),
}


class Stack(nn.Module, ABC):
    """Convolutions in a row, of which some are named layers.

    head: shapes of the weights behind them, which a file may have or not. more_heads: of those
    that ports have in its place or beside it.
    """

    def __init__(self, name: str, head: Shapes) -> None:
        super().__init__()
        self.name = name
        self.head = head
        self.more_heads = _MORE_HEADS.get(name, ())

    @abstractmethod
    def steps(self) -> Iterator[tuple[str, nn.Module]]:
        """Every module in order, with the name of the layer that ends with it, or ""."""

    def activations(self, x: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Activations after the rectifier of each named layer, by name.

        Nothing past the last of them is computed. Raises InputError for a layer that is not there.
        """
        if unknown := set(layers) - set(CATALOG[self.name].layers):
            raise InputError(f"layers: {self.name} has no {', '.join(sorted(unknown))}")
        taken: dict[str, Tensor] = {}
        for name, module in self.steps():
            x = module(x)
            if name in layers:
                taken[name] = x
                if len(taken) == len(set(layers)):
                    break
        return taken

    def shapes(self) -> Shapes:
        """Of the weights that are computed with, by name, in order."""
        return {
            name: tuple(value.shape)
            for name, value in self.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }


class _Pictures(Stack):
    """A network whose convolutions are `features.N`, as torchvision writes them."""

    def __init__(self, name: str, modules: Sequence[nn.Module], head: Shapes) -> None:
        super().__init__(name, head)
        self.features = nn.Sequential(*modules)

    def steps(self) -> Iterator[tuple[str, nn.Module]]:
        """See Stack."""
        names = iter(CATALOG[self.name].layers)
        for module in self.features:
            yield next(names) if isinstance(module, nn.ReLU) else "", module


class _SoundNet(Stack):
    """`convN` and `batchnormN` side by side; time is the first of two axes, the other has one."""

    def __init__(self, width: float) -> None:
        sizes = [1, *(max(1, round(one.width * width)) for one in _SOUNDNET)]
        heads = {"objs": 1000, "scns": 401}
        head: Shapes = {}
        for name, classes in heads.items():
            head[f"conv8_{name}.weight"] = (classes, sizes[-1], 8, 1)
            head[f"conv8_{name}.bias"] = (classes,)
        super().__init__("soundnet", head)
        for number, (one, (before, after)) in enumerate(
            zip(_SOUNDNET, pairwise(sizes), strict=True), 1
        ):
            convolution = nn.Conv2d(
                before, after, (one.kernel, 1), (one.stride, 1), (one.padding, 0)
            )
            self.add_module(f"conv{number}", convolution)
            self.add_module(f"batchnorm{number}", nn.BatchNorm2d(after))

    def steps(self) -> Iterator[tuple[str, nn.Module]]:
        """See Stack."""
        for number, one in enumerate(_SOUNDNET, 1):
            yield "", self.get_submodule(f"conv{number}")
            yield "", self.get_submodule(f"batchnorm{number}")
            yield f"conv{number}", nn.ReLU()
            if one.pool:
                size, stride = one.pool
                yield "", nn.MaxPool2d((size, 1), (stride, 1))


def build(name: str, width: float = 1.0) -> Stack:
    """A network by its name in the catalog, in evaluation mode, with PyTorch's initial weights.

    width: share of the published channels, for tests. Input of `activations`: of vgg19 and alexnet
    [batch, 3, rows, columns]; of vggish [batch, 1, frames, 64]; of soundnet [batch, 1, samples, 1].
    """
    if name == "soundnet":
        return _SoundNet(width).eval()
    if name == "alexnet":
        modules, last = _alexnet(width), round(256 * width)
        sizes = (last * 36, 4096, 4096, 1000)
        return _Pictures(name, modules, _linear("classifier", (1, 4, 6), sizes)).eval()
    channels = 3 if name == "vgg19" else 1
    modules, last = _vgg(_WIDTHS[name], channels, width), max(1, round(512 * width))
    if name == "vgg19":
        head = _linear("classifier", (0, 3, 6), (last * 49, 4096, 4096, 1000))
    else:
        head = _linear("embeddings", (0, 2, 4), (last * 24, 4096, 4096, 128))
    return _Pictures(name, modules, head).eval()


def _vgg(widths: Sequence[int], channels: int, width: float) -> list[nn.Module]:
    modules: list[nn.Module] = []
    for number in widths:
        if number == _POOL:
            modules.append(nn.MaxPool2d(2, 2))
            continue
        after = max(1, round(number * width))
        modules += [nn.Conv2d(channels, after, 3, padding=1), nn.ReLU()]
        channels = after
    return modules


def _alexnet(width: float) -> list[nn.Module]:
    modules: list[nn.Module] = []
    channels = 3
    for one in _ALEXNET:
        after = max(1, round(one.width * width))
        modules += [
            nn.Conv2d(channels, after, one.kernel, one.stride, one.padding),
            nn.ReLU(),
        ]
        if one.pool:
            modules.append(nn.MaxPool2d(*one.pool))
        channels = after
    return modules


def _linear(part: str, numbers: Sequence[int], sizes: Sequence[int]) -> Shapes:
    shapes: Shapes = {}
    for number, (before, after) in zip(numbers, pairwise(sizes), strict=True):
        shapes[f"{part}.{number}.weight"] = (after, before)
        shapes[f"{part}.{number}.bias"] = (after,)
    return shapes


@torch.no_grad()
def randomize(stack: Stack, seed: int) -> None:
    """Draw the weights of convolutions on the CPU (He et al. 2015): activations keep their size."""
    random = torch.Generator().manual_seed(seed)
    for module in stack.modules():
        if isinstance(module, nn.Conv2d):
            fan = module.weight[0].numel()
            drawn = torch.randn(module.weight.shape, generator=random) * (2 / fan) ** 0.5
            module.weight.copy_(drawn)
            if module.bias is not None:
                module.bias.zero_()
