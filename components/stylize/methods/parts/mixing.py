"""How far each way is trusted, in each band and frame: weights that least squares chose.

A small network (a hidden layer, shared by all bands) sees what the ways say and what is known of
content and style, and gives each way a weight; they sum to one, so that nothing is switched and
nothing is made up. It was fitted on pairs with a true target (`benchmarks/quality/fitting.py`):
the less that can be known, the more it keeps to the content.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from components.stylize.methods.parts import mixing_weights

# Weights change no faster than over so many frames and bands.
_FRAMES, _BANDS = 5, 3
# Of the content at least, whatever the network says. On recordings unlike those that it was fitted
# on this gains .02 (StarNet, drums), on others it costs .01.
STAYS = 0.1


@dataclass(frozen=True)
class Mixer:
    """scale: [features], by which each is divided; hidden, out: matrices with their offsets."""

    mean: Tensor
    scale: Tensor
    hidden: Tensor
    hidden_offset: Tensor
    out: Tensor
    out_offset: Tensor

    def weights(self, features: Tensor, stays: float = STAYS) -> Tensor:
        """[features, bands, frames] to [ways, bands, frames], which sum to one over ways."""
        x = (features.movedim(0, -1) - self.mean) / self.scale
        x = torch.tanh(x.clamp(-4, 4) @ self.hidden + self.hidden_offset)
        raw = (x @ self.out + self.out_offset).movedim(-1, 0)
        edges = (_FRAMES // 2, _FRAMES // 2, _BANDS // 2, _BANDS // 2)
        padded = functional.pad(raw[None], edges, mode="replicate")
        weights = functional.avg_pool2d(padded, (_BANDS, _FRAMES), 1)[0].softmax(0)
        weights = (1 - stays) * weights
        weights[0] = weights[0] + stays  # the content is the first way
        return weights


@lru_cache(maxsize=2)
def mixer(device: torch.device) -> Mixer:
    """The one that was fitted."""
    values = {name: torch.tensor(x, device=device) for name, x in mixing_weights.VALUES.items()}
    return Mixer(
        mean=values["mean"][0],
        scale=values["scale"][0],
        hidden=values["hidden"],
        hidden_offset=values["hidden_offset"][0],
        out=values["out"],
        out_offset=values["out_offset"][0],
    )
