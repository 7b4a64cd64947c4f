"""How loud recordings are to a listener, so that a page can play several at one level.

Integrated loudness of ITU-R BS.1770-4: K-weighted power over blocks of 400 ms, gated first at
-70 LUFS and then 10 LU below what is left. One channel counts as two loudspeakers that play the
same, as a browser does; more than two count by their mean power.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from audiostyle.audio import blocks

# A step of the measurement in seconds, and the steps of a block: blocks overlap by 75 %.
_STEP, _STEPS = 0.1, 4
_ABSOLUTE, _RELATIVE = -70.0, -10.0
# What is turned down by more is nearly gone on the loudspeakers of a laptop: where one recording
# is so much softer than the others, it stays softer.
MOST_DB = 24.0

_Filter = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def integrated(path: Path) -> float:
    """Loudness of a recording in LUFS; -inf where nothing of it is above -70 LUFS.

    Raises AudioError like `audio.read`.
    """
    # Its import takes a second, which a process that shows no page need not spend.
    from scipy.signal import lfilter

    facts = blocks.facts(path)
    size = max(1, round(_STEP * facts.sample_rate))
    filters = _weighting(facts.sample_rate)
    states = [np.zeros((facts.channels, 2)) for _ in filters]
    steps: list[npt.NDArray[np.float64]] = []
    rest = np.zeros(0)
    for part in blocks.blocks(path):
        weighted = part.astype(np.float64)
        for index, (b, a) in enumerate(filters):
            weighted, states[index] = lfilter(b, a, weighted, axis=1, zi=states[index])
        power = np.concatenate([rest, 2 * np.square(weighted).mean(0)])
        whole = len(power) // size * size
        steps.append(power[:whole].reshape(-1, size).mean(1))
        rest = power[whole:]
    if not any(map(len, steps)) and len(rest):
        steps.append(rest.mean(keepdims=True))
    return _gated(np.concatenate([*steps, np.zeros(0)]))


def gains(loudness: Mapping[str, float]) -> dict[str, float]:
    """By how many dB each recording is turned down to be as loud as the quietest: 0 or less.

    loudness: name to LUFS. What is silent has no say and keeps its level.
    """
    heard = [level for level in loudness.values() if math.isfinite(level)]
    quietest = min(heard, default=0.0)
    return {
        name: -min(level - quietest, MOST_DB) if math.isfinite(level) else 0.0
        for name, level in loudness.items()
    }


def _gated(steps: npt.NDArray[np.float64]) -> float:
    """Loudness of the power of successive steps, in LUFS."""
    count = min(_STEPS, len(steps))
    if not count:
        return -math.inf
    power = np.convolve(steps, np.full(count, 1 / count), "valid")
    power = power[power > 10 ** ((_ABSOLUTE + 0.691) / 10)]
    if len(power):
        power = power[power > power.mean() * 10 ** (_RELATIVE / 10)]
    return -0.691 + 10 * math.log10(power.mean()) if len(power) else -math.inf


def _weighting(sample_rate: int) -> list[_Filter]:
    """The two filters of the K weighting at a sample rate (Hz): a shelf, and a high pass.

    BS.1770 has the coefficients at 48 kHz; at others the same analogue filters are taken.
    """
    shelf, low, q, gain = 1681.974450955533, 38.13547087602444, 0.7071752369554196, 3.99984385397
    k = math.tan(math.pi * min(shelf / sample_rate, 0.45))
    high = 10 ** (gain / 20)
    middle = high**0.4996667741545416
    scale = 1 + k / q + k * k
    up = [high + middle * k / q + k * k, 2 * (k * k - high), high - middle * k / q + k * k]
    down = [scale, 2 * (k * k - 1), 1 - k / q + k * k]
    first = np.array(up) / scale, np.array(down) / scale
    k, q = math.tan(math.pi * low / sample_rate), 0.5003270373238773
    scale = 1 + k / q + k * k
    second = np.array([1.0, -2.0, 1.0]), np.array([scale, 2 * (k * k - 1), 1 - k / q + k * k])
    return [first, (second[0], second[1] / scale)]
