"""The promotion gate: may a new classifier take the champion's place?

It must reach a floor, and must not be worse than the champion on the same held-out clips. Worse is
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


# Below these, the measures on a test split say little: of 30 clips, an accuracy of 0.5 is known to
# +-0.18 (95 %), and McNemar's test at 0.05 needs five clips lost, which a class of four has not.
FEW_CLIPS = 30
FEW_OF_A_CLASS = 5


class GateConfig(Config):
    """Settings of the gate."""

    floor: float | None = Field(
        None,
        ge=1,
        description="balanced accuracy needed, as a multiple of chance (1/classes); without it, 2,"
        " or half of the way from chance to 1 where that is less (two classes)",
    )
    significance: float = Field(0.05, gt=0, lt=1, description="level of McNemar's one-sided test")


@dataclass(frozen=True)
class Verdict:
    """Promote or hold (words, since kfp conditions on them), why, and on what numbers.

    warning: why the numbers may mean little; empty where they do not.
    """

    verdict: str
    reason: str
    numbers: dict[str, float]
    warning: str = ""

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        plain = {"verdict": self.verdict, "reason": self.reason, **self.numbers}
        return plain | ({"warning": self.warning} if self.warning else {})


def judge(
    test: dict[str, Any], config: GateConfig, correct: Bools | None, champion: Bools | None
) -> Verdict:
    """Decide on a candidate.

    test: its measures on the held-out clips. correct, champion: [n], for each held-out clip,
    whether the candidate and the champion classify it rightly; None where there is no champion.
    """
    if not all(math.isfinite(v) for v in test.values() if isinstance(v, float)):
        return Verdict("hold", "a measure is not finite", {})
    balanced = float(test["balanced_accuracy"])
    needed = floor(config, len(test["per_class"]))
    numbers = {"balanced_accuracy": balanced, "floor": needed}
    warning = small_test(test)
    if balanced < needed:
        reason = f"balanced accuracy {balanced:.3f} is below the floor of {needed:.3f}"
        return Verdict("hold", reason, numbers, warning)
    if champion is None or correct is None:
        reason = f"first version, above the floor of {needed:.3f}"
        return Verdict("promote", reason, numbers, warning)
    lost = int((champion & ~correct).sum())
    won = int((correct & ~champion).sum())
    p = mcnemar(lost, won)
    numbers |= {"clips_lost": lost, "clips_won": won, "p_worse": p}
    text = f"{won} clips won, {lost} lost against the champion, p(worse) = {p:.3f}"
    return Verdict("hold" if p < config.significance else "promote", text, numbers, warning)


def floor(config: GateConfig, classes: int) -> float:
    """Balanced accuracy that is needed, in [0, 1].

    >>> floor(GateConfig(), 2), floor(GateConfig(), 10), floor(GateConfig(floor=1.8), 2)
    (0.75, 0.2, 0.9)
    """
    chance = 1 / classes
    if config.floor is None:
        return min(2 * chance, (1 + chance) / 2)
    return min(1.0, config.floor * chance)


def small_test(test: dict[str, Any]) -> str:
    """A warning where the test split is too small for its measures to mean much, or nothing."""
    clips = {name: int(one["clips"]) for name, one in test["per_class"].items() if "clips" in one}
    total = sum(clips.values())
    if not clips or (total >= FEW_CLIPS and min(clips.values()) >= FEW_OF_A_CLASS):
        return ""
    fewest = min(clips, key=lambda name: clips[name])
    # The binomial's deviation is largest at 0.5.
    width = 1.96 * math.sqrt(0.25 / max(total, 1))
    return (
        f"the test split has {total} clips, {clips[fewest]} of {fewest!r}: accuracy is known to"
        f" +-{width:.2f} only; at least {FEW_CLIPS} clips and {FEW_OF_A_CLASS} of each class would"
        " say more"
    )


def mcnemar(lost: int, won: int) -> float:
    """One-sided exact p-value of losing at least `lost` of `lost + won` tosses of a fair coin.

    >>> mcnemar(0, 0), mcnemar(5, 0)
    (1.0, 0.03125)
    """
    n = lost + won
    # Integers until the end: the binomials of a large test set are beyond what a float can hold.
    return float(Fraction(sum(math.comb(n, k) for k in range(lost, n + 1)), 2**n))
