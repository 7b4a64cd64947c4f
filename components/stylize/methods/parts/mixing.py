"""How far each way is trusted, in each band and frame, and how far all of them are off.

Small convolutional networks see what the ways say and what is known of content and style, over a
neighborhood of bands and frames. They give each way a weight; the weights sum to one, and what the
ways miss together is a bounded gain, so that nothing is switched. They were fitted on pairs with a
true target (`benchmarks/quality/fitting.py`): the less that can be known, the more they keep to the
content.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from audiostyle import tensors
from audiostyle.files import replacing

WEIGHTS = Path(__file__).with_name("mixing.safetensors")
# Of the content at least, whatever the network says. On recordings unlike those that it was fitted
# on this gains, on others it costs little.
STAYS = 0.1
# What the ways miss together, nepers at most.
_MOST_GAIN = 1.5
_HIDDEN, _LAYERS, _KERNEL = 32, 4, (5, 7)
# Weights change no faster than over so many bands and frames.
_SMOOTHING = (3, 5)


@dataclass(frozen=True)
class Mixture:
    """weights: [ways, bands, frames], which sum to one over ways; gain: [bands, frames], nepers."""

    weights: Tensor
    gain: Tensor


class Network(nn.Module):
    """From features to a score of each way and of the gain."""

    mean: Tensor
    scale: Tensor

    def __init__(self, features: int, ways: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.first = nn.Linear(features, _HIDDEN)
        self.contexts = nn.ModuleList(_context() for _ in range(_LAYERS))
        self.last = nn.Linear(_HIDDEN, ways + 1)
        # At first all ways alike, and no gain.
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, features: Tensor) -> Tensor:
        """[features, bands, frames] to [ways + 1, bands, frames]."""
        x = ((features.movedim(0, -1) - self.mean) / self.scale).clamp(-4, 4)
        x = torch.tanh(self.first(x)).movedim(-1, 0)[None]
        for context in self.contexts:
            x = x + context(x)
        scores: Tensor = self.last(x[0].movedim(0, -1)).movedim(-1, 0)
        return scores


def mixture(networks: Sequence[Network], features: Tensor, stays: float = STAYS) -> Mixture:
    """What networks say in the mean. features: [features, bands, frames].

    stays: the content's weight at least.
    """
    scores = torch.stack([network(features) for network in networks]).mean(0)
    edges = [n // 2 for n in reversed(_SMOOTHING) for _ in range(2)]
    padded = functional.pad(scores[None], edges, mode="replicate")
    scores = functional.avg_pool2d(padded, _SMOOTHING, 1)[0]
    weights = (1 - stays) * scores[:-1].softmax(0)
    weights = torch.cat([weights[:1] + stays, weights[1:]])  # the content is the first way
    return Mixture(weights, _MOST_GAIN * torch.tanh(scores[-1]))


def _context() -> nn.Module:
    """What stands around each band and frame."""
    around = nn.Conv2d(
        _HIDDEN,
        _HIDDEN,
        _KERNEL,
        padding=(_KERNEL[0] // 2, _KERNEL[1] // 2),
        padding_mode="replicate",
        groups=_HIDDEN,
    )
    across = nn.Conv2d(_HIDDEN, _HIDDEN, 1)
    nn.init.zeros_(across.weight)
    if across.bias is not None:
        nn.init.zeros_(across.bias)
    return nn.Sequential(around, nn.GELU(), across)


@lru_cache(maxsize=2)
def fitted(device: torch.device) -> tuple[Network, ...]:
    """Those that were fitted, for inference."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.read(WEIGHTS).items():
        number, _, own_name = name.partition(".")
        parts.setdefault(number, {})[own_name] = value
    networks = []
    for _, own in sorted(parts.items()):
        network = Network(len(own["mean"]), len(own["last.bias"]) - 1)
        network.load_state_dict(own)
        networks.append(network.eval().requires_grad_(False).to(device))
    return tuple(networks)


def save(networks: Sequence[Network], path: Path) -> None:
    """Write networks as `fitted` reads them."""
    named = {
        f"{number}.{name}": value.contiguous()
        for number, network in enumerate(networks)
        for name, value in network.state_dict().items()
    }
    with replacing(path) as temporary:
        tensors.write(temporary, named)
