"""What the measures of an item mean, in plain words beside a figure that anybody can read."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from components.reconstruct.report.text import MINUS


@dataclass(frozen=True)
class Finding:
    """A figure and the words after it: `45 %`, `closer to the ideal than the content`.

    name: of the measure; heading: short, for a column; share: in [0, 1], for a bar.
    """

    name: str
    heading: str
    figure: str
    words: str
    share: float


# Measures of `components.reconstruct.measures` that are shares: heading, words, and words for
# what went the other way, after its size.
_SHARES = {
    "gain": (
        "closer to the ideal",
        "closer to the ideal than the content",
        "farther from the ideal than the content",
    ),
    "pitch likeness to the content": ("pitch", "like the content in pitch", ""),
    "timbre gain": (
        "timbre",
        "of the way to the timbre of the style",
        "farther from the timbre of the style than the content",
    ),
}


def findings(measures: Mapping[str, float]) -> list[Finding]:
    """What is known of an item in plain words, in a fixed order; other measures have none."""
    return [
        _finding(name, measures[name])
        for name in _SHARES
        if name in measures and math.isfinite(measures[name])
    ]


def is_share(name: str) -> bool:
    """Whether a measure is told in per cent."""
    return name in _SHARES


def shares_first(names: Iterable[str]) -> list[str]:
    """Names of measures: those in per cent in the order in which they are told, then the others."""
    order = list(_SHARES)
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))


def heading(name: str) -> str:
    """A measure's name at the top of a column."""
    return _SHARES[name][0] if name in _SHARES else name


def whole_percent(share: float) -> str:
    """A share as a percentage without decimals; "n/a" where there is none."""
    if not math.isfinite(share):
        return "n/a"
    return f"{round(100 * share)} %".replace("-", MINUS)


def _finding(name: str, value: float) -> Finding:
    title, words, otherwise = _SHARES[name]
    if otherwise and round(100 * value) < 0:
        value, words = -value, otherwise
        return Finding(name, title, whole_percent(value), words, 0.0)
    return Finding(name, title, whole_percent(value), words, round(min(1.0, max(0.0, value)), 3))
