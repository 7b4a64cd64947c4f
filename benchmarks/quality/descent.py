"""How the default's networks are trained: on pairs of every kind nearly as often, by their gain."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

# How much more a gain below .05 counts.
_WORST = 0.3


class Kind(Protocol):
    """What is drawn by its kind."""

    @property
    def kind(self) -> str:
        """Its name."""


E = TypeVar("E", bound=Kind)


@dataclass(frozen=True)
class Plan:
    """steps of AdamW, one example each; the highest rate; the decay of weights."""

    steps: int
    rate: float
    decay: float


def descend(
    network: nn.Module,
    examples: Sequence[E],
    ratio_of: Callable[[E], Tensor],
    plan: Plan,
    often: Callable[[str], float] = lambda kind: 1.0,
) -> None:
    """Lower the distances to the targets, in place.

    ratio_of: an example's distance, as a share of the content's. often: how much more often than
    the others a kind is drawn.
    """
    optimizer = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=plan.decay)
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.rate, total_steps=plan.steps + 1, pct_start=0.1
    )
    counts = {x.kind: sum(y.kind == x.kind for y in examples) for x in examples}
    chance = np.array([often(x.kind) / counts[x.kind] ** 0.7 for x in examples])
    chance /= chance.sum()
    random = np.random.default_rng(0)
    for _ in range(plan.steps):
        ratio = ratio_of(examples[int(random.choice(len(examples), p=chance))])
        optimizer.zero_grad()
        torch.autograd.backward(ratio + _WORST * functional.relu(ratio - 0.95))
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        rates.step()
