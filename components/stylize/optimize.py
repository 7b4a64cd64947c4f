"""Descent of a batch of independent items: each by its own loss, step and end.

Nothing is asked of the device between two checks, so that a GPU never waits for the host: what an
item does (go on, stand still, step back) is decided on the device by masks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.optim.adam import adam

from audiostyle.completion import report
from audiostyle.progress import bar
from components.stylize.config import Optimizer

Terms = Callable[[Tensor], dict[str, Tensor]]

# Steps between two looks at who is done.
CHECK = 20


@dataclass(frozen=True)
class Plan:
    """How to descend. tolerance: share by which CHECK steps must lower an item's best loss."""

    optimizer: Optimizer
    iterations: int
    learning_rate: float
    content_weight: float
    style_weight: float
    tolerance: float

    def weight(self, term: str) -> float:
        """Of a loss term, by its name."""
        return self.style_weight if term.startswith("style") else self.content_weight


@dataclass(frozen=True)
class Descended:
    """x: each item's best state. losses: an item each, term to values, the first at the start.

    broken: the step from which on an item's loss or gradient was not finite, where that ended it;
    its x is then the best state before. L-BFGS first tries shorter steps.
    """

    x: Tensor
    losses: list[dict[str, list[float]]]
    broken: list[int | None]


def descend(terms: Terms, start: Tensor, plan: Plan, name: str = "") -> Descended:
    """Lower the weighed sum of the terms, each [batch], from start [batch, ...]."""
    x = start.detach().clone()
    batch = len(x)
    best, best_total = x.clone(), x.new_full((batch,), torch.inf)
    active = torch.ones(batch, dtype=torch.bool, device=x.device)
    broken = torch.full((batch,), -1, device=x.device)
    last = torch.zeros(batch, dtype=torch.long, device=x.device)  # step that an item got to
    streak = torch.zeros_like(broken)  # of evaluations that were not finite
    before = best_total.clone()
    history: list[Tensor] = []  # a step each: [terms, batch]
    names: list[str] = []
    optimizer: _Optimizer = (
        _LBFGS(x, plan.learning_rate) if plan.optimizer == "lbfgs" else _Adam(x, plan.learning_rate)
    )
    with bar(range(plan.iterations + 1), f"stylize {name}".rstrip(), plan.iterations + 1) as steps:
        for step in steps:
            report(step, plan.iterations)
            ends = step == plan.iterations
            with torch.set_grad_enabled(not ends):
                term_values = terms(x.requires_grad_(not ends))
            weighed = [plan.weight(term) * value for term, value in term_values.items()]
            total = torch.stack(weighed).sum(0)
            gradient = torch.zeros_like(x) if ends else torch.autograd.grad(total.sum(), x)[0]
            x = x.detach()
            names = names or ["total", *term_values]
            history.append(torch.stack([total, *term_values.values()]).detach())
            total = total.detach()
            finite = total.isfinite() & gradient.flatten(1).abs().amax(1).isfinite()
            streak = torch.where(finite, 0, streak + 1)
            ended = active & (streak > (optimizer.retries if step else 0))
            broken = torch.where(ended, step + 1 - streak, broken)
            active = active & ~ended
            if step:  # a step that is tried again is logged as what it went back to
                history[-1] = torch.where(finite, history[-1], history[-2])
            last = torch.where(active, step, last)
            better = active & (total < best_total)
            best = torch.where(_wide(better, x), x, best)
            best_total = torch.where(better, total, best_total)
            if ends:
                break
            if step % CHECK == 0:
                # The first look compares with infinity, so that nothing ends before the second.
                lowered = before - best_total > plan.tolerance * best_total.abs()
                active = active & (lowered | (plan.tolerance == 0))
                before = best_total
                if not bool(active.any()):
                    break
            stepped = optimizer.step(x, total, gradient, active)
            x = torch.where(_wide(active, x), stepped, best)
    values = torch.stack(history, 1).cpu()  # [terms, steps, batch]
    ends, breaks = last.tolist(), broken.tolist()
    counts = [last + 1 if at < 0 else at for last, at in zip(ends, breaks, strict=True)]
    losses = [
        {term: values[row, :count, item].tolist() for row, term in enumerate(names)}
        for item, count in enumerate(counts)
    ]
    return Descended(best, losses, [None if at < 0 else at for at in breaks])


def _wide(mask: Tensor, like: Tensor) -> Tensor:
    return mask.reshape(-1, *[1] * (like.dim() - 1))


class _Optimizer(Protocol):
    retries: int  # how often in a row a step may lead where nothing is finite

    def step(self, x: Tensor, loss: Tensor, gradient: Tensor, active: Tensor) -> Tensor:
        """Where to evaluate next, from loss [batch] and gradient [batch, ...] at x."""


class _Adam:
    """torch's, as a function: its class imports torch's compiler, which takes a second and more."""

    retries = 0

    def __init__(self, x: Tensor, learning_rate: float) -> None:
        self._learning_rate = learning_rate
        self._mean, self._square = torch.zeros_like(x), torch.zeros_like(x)
        self._steps = torch.tensor(0.0)

    def step(self, x: Tensor, loss: Tensor, gradient: Tensor, active: Tensor) -> Tensor:
        stepped = x.clone()
        adam(
            [stepped],
            # What is not finite would stay in the moments; its item is at its end anyway.
            [torch.where(_wide(active, x), gradient, 0.0)],
            [self._mean],
            [self._square],
            [],
            [self._steps],
            lr=self._learning_rate,
            beta1=0.9,
            beta2=0.999,
            eps=1e-8,
            weight_decay=0.0,
            amsgrad=False,
            maximize=False,
        )
        return stepped


class _LBFGS:
    """Limited-memory BFGS with backtracking, an item each (Nocedal and Wright, algorithm 7.4).

    torch's takes a batch for one problem: one step length, one history, and items that are not
    independent. Here one evaluation serves all items, and each accepts its step or halves it.
    """

    retries = 12
    _MEMORY = 10
    _ARMIJO = 1e-4

    def __init__(self, x: Tensor, learning_rate: float) -> None:
        batch, size = len(x), x[0].numel()
        self._rate = learning_rate
        self._moves = x.new_zeros(self._MEMORY, batch, size)  # s
        self._turns = x.new_zeros(self._MEMORY, batch, size)  # y
        self._curvature = x.new_zeros(self._MEMORY, batch)  # 1 / (s y); 0: no pair
        self._scale = x.new_ones(batch)
        self._next = torch.zeros(batch, dtype=torch.long, device=x.device)
        self._items = torch.arange(batch, device=x.device)
        self._x = x.flatten(1).clone()
        self._gradient = torch.zeros_like(self._x)
        self._direction = torch.zeros_like(self._x)
        self._loss = x.new_full((batch,), torch.inf)
        self._slope = x.new_zeros(batch)  # along the direction
        self._length = x.new_zeros(batch)

    def step(self, x: Tensor, loss: Tensor, gradient: Tensor, active: Tensor) -> Tensor:
        here = x.flatten(1)
        gradient = torch.where(active[:, None], gradient.flatten(1), 0.0)
        enough = self._loss + self._ARMIJO * self._length * self._slope
        accepted = (loss <= enough) & active
        # Too short a step: what is known of the curvature is of no use here.
        lost = ~accepted & (self._length < 1e-4 * self._rate)
        self._curvature = torch.where(lost, 0.0, self._curvature)
        self._remember(here - self._x, gradient - self._gradient, accepted)
        wide = accepted[:, None]
        self._x = torch.where(wide, here, self._x)
        self._gradient = torch.where(wide, gradient, self._gradient)
        self._loss = torch.where(accepted, loss, self._loss)
        # Else the lowest point of the parabola through both points and the slope at the first.
        excess = loss - self._loss - self._slope * self._length
        parabola = -self._slope * self._length.square() / (2 * excess)
        shorter = torch.maximum(
            0.1 * self._length,
            torch.minimum(parabola.nan_to_num(0.0, 0.0, 0.0), 0.5 * self._length),
        )
        anew = accepted | lost
        direction, known = self._newton()
        self._direction = torch.where(anew[:, None], direction, self._direction)
        self._slope = (self._direction * self._gradient).sum(1)
        # Without curvature, as at the start or where the loss bends down, steps are short at
        # first and double.
        first = (1 / self._gradient.abs().sum(1).clamp_min(1e-30)).clamp_max(1.0)
        unknown = torch.maximum(self._rate * first, 2 * self._length)
        whole = torch.where(known, torch.full_like(first, self._rate), unknown)
        self._length = torch.where(anew, whole, shorter)
        moved = self._x + self._length[:, None] * self._direction
        return moved.reshape(x.shape)

    def _remember(self, move: Tensor, turn: Tensor, accepted: Tensor) -> None:
        product = (move * turn).sum(1)
        size = turn.square().sum(1)
        # Curvature must be positive, and more than rounding.
        good = accepted & self._loss.isfinite() & (product > 1e-10 * size) & (size > 0)
        place = (self._next, self._items)
        keep = good[:, None]
        self._moves[place] = torch.where(keep, move, self._moves[place])
        self._turns[place] = torch.where(keep, turn, self._turns[place])
        self._curvature[place] = torch.where(good, 1 / product, self._curvature[place])
        self._scale = torch.where(good, product / size, self._scale)
        self._next = torch.where(good, (self._next + 1) % self._MEMORY, self._next)

    def _newton(self) -> tuple[Tensor, Tensor]:
        """-H g by two loops over the pairs, newest first; and whether there is any pair."""
        known = (self._curvature > 0).any(0)
        q = self._gradient.clone()
        shares = []
        for back in range(1, self._MEMORY + 1):
            place = ((self._next - back) % self._MEMORY, self._items)
            part = self._curvature[place] * (self._moves[place] * q).sum(1)
            q = q - part[:, None] * self._turns[place]
            shares.append((place, part))
        q = torch.where(known, self._scale, 1.0)[:, None] * q
        for place, part in reversed(shares):
            rise = self._curvature[place] * (self._turns[place] * q).sum(1)
            q = q + (part - rise)[:, None] * self._moves[place]
        return -q, known
