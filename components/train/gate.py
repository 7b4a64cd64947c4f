"""The promotion gate: may a new classifier take the champion's place?

It must clear a floor, and must not be worse than the champion on the same held-out clips. Worse is
decided by McNemar's exact test (McNemar 1947): of the clips that exactly one of the two gets
right, were significantly more the champion's than a fair coin would give?
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from audiostyle.config import Config

Bools = npt.NDArray[np.bool_]


class GateConfig(Config):
    """Settings of the gate."""

    floor: float = Field(
        2.0, ge=1, description="balanced accuracy needed, as a multiple of chance (1/classes)"
    )
    significance: float = Field(0.05, gt=0, lt=1, description="level of McNemar's one-sided test")


@dataclass(frozen=True)
class Verdict:
    """Promote or hold (words, since kfp conditions on them), why, and on what numbers."""

    verdict: str
    reason: str
    numbers: dict[str, float]

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {"verdict": self.verdict, "reason": self.reason, **self.numbers}


def judge(
    test: dict[str, Any], config: GateConfig, correct: Bools | None, champion: Bools | None
) -> Verdict:
    """Decide on a candidate.

    test: its measures on the held-out clips. correct, champion: [n], for each held-out clip,
    whether the candidate and the champion classify it rightly; None where there is no champion.
    """
    balanced = float(test["balanced_accuracy"])
    needed = min(1.0, config.floor / len(test["per_class"]))
    numbers = {"balanced_accuracy": balanced, "floor": needed}
    if not all(math.isfinite(v) for v in test.values() if isinstance(v, float)):
        return Verdict("hold", "a measure is not finite", {})
    if balanced < needed:
        return Verdict("hold", f"balanced accuracy {balanced:.3f} is below {needed:.3f}", numbers)
    if champion is None or correct is None:
        return Verdict("promote", f"first version, above the floor of {needed:.3f}", numbers)
    lost = int((champion & ~correct).sum())
    won = int((correct & ~champion).sum())
    p = mcnemar(lost, won)
    numbers |= {"clips_lost": lost, "clips_won": won, "p_worse": p}
    text = f"{won} clips won, {lost} lost against the champion, p(worse) = {p:.3f}"
    return Verdict("hold" if p < config.significance else "promote", text, numbers)


def mcnemar(lost: int, won: int) -> float:
    """One-sided exact p-value of losing at least `lost` of `lost + won` tosses of a fair coin.

    >>> mcnemar(0, 0), mcnemar(5, 0)
    (1.0, 0.03125)
    """
    n = lost + won
    # Integers until the end: the binomials of a large test set are beyond what a float can hold.
    return float(Fraction(sum(math.comb(n, k) for k in range(lost, n + 1)), 2**n))
