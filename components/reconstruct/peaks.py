"""Peaks that stand alone, such as a pop, are turned down where they are: the rest keeps its level.

A look-ahead limiter: the gain is 1, and around each sample above the ceiling it falls to what that
sample needs and rises again, over a few milliseconds.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from audiostyle.audio import Samples

# Seconds over which the gain falls before a peak, and rises after it.
_RAMP = 0.005
# Share of the stretches of such a length that may be turned down, and of a short sound their
# number: one attack. Where more would have to be, the whole is turned down instead.
_RARE, _ATTACK = 0.02, 4
_FLOOR = 1e-9


class Peaks:
    """The largest absolute sample of each stretch of a sound that passes by."""

    def __init__(self, sample_rate: int) -> None:
        """sample_rate: Hz."""
        self.size = max(1, round(_RAMP * sample_rate))
        self._peaks: list[npt.NDArray[np.float32]] = []
        self._rest = np.zeros(0, np.float32)

    def through(self, parts: Iterable[Samples]) -> Iterator[Samples]:
        """The parts [channels, n] as they are."""
        for part in parts:
            loudest = np.concatenate([self._rest, np.abs(part).max(0)])
            whole = len(loudest) // self.size * self.size
            self._peaks.append(loudest[:whole].reshape(-1, self.size).max(1))
            self._rest = loudest[whole:]
            yield part

    def all(self) -> npt.NDArray[np.float32]:
        """In order; the last stretch may be shorter."""
        rest = [self._rest.max(keepdims=True)] if len(self._rest) else []
        return np.concatenate([*self._peaks, *rest, np.zeros(0, np.float32)])

    def common(self) -> float:
        """The level that all but rare stretches stay below."""
        peaks = self.all()
        rare = max(int(_RARE * len(peaks)), min(_ATTACK, len(peaks) // 5))
        return float(np.partition(peaks, -rare - 1)[-rare - 1]) if len(peaks) else 0.0

    def limited(self, parts: Iterable[Samples], gain: float, ceiling: float) -> Iterator[Samples]:
        """The same parts, scaled by `gain` or less, and nowhere above `ceiling`."""
        peaks = self.all()
        # At the borders of the stretches: what either neighbor, and the ones beyond them, need.
        needed = np.minimum(gain, ceiling / np.maximum(peaks, _FLOOR))
        around = np.pad(needed, 1, mode="edge")
        borders = np.minimum(around[:-1], around[1:])
        at = 0
        for part in parts:
            place = np.arange(at, at + part.shape[1]) / self.size
            curve = np.interp(place, np.arange(len(borders)), borders)
            yield part * curve.astype(np.float32)
            at += part.shape[1]
