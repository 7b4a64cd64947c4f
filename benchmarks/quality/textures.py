"""Statistics of sound textures, after McDermott and Simoncelli (2011): what no method here matches.

Envelopes of 24 bands between 50 Hz and 10 kHz, evenly spaced in ERB rate, compressed by a power of
0.3: their mean, coefficient of variation and skewness; how they go together, band by band; and the
power of each in six octaves of modulation from 0.5 to 32 Hz.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import stft

from audiostyle.audio import Samples
from benchmarks.measures import RATE

Array = NDArray[np.float64]
_BANDS, _HOP, _N_FFT = 24, 110, 1024
_BLOCK, _PAUSE_DB = 512, 50.0
_RATES = tuple(0.5 * 2.0**octave for octave in range(7))  # Hz, edges of the modulation bands


@dataclass(frozen=True)
class Texture:
    """Statistics by name, each [n]."""

    values: dict[str, Array]

    def distance(self, other: "Texture") -> float:
        """Mean over kinds of statistics of the mean absolute difference."""
        return float(
            np.mean([np.abs(self.values[name] - other.values[name]).mean() for name in self.values])
        )


def texture(samples: Samples) -> Texture:
    """Of float32 [n] at 22,050 Hz, leveled."""
    _, _, spectrum = stft(samples, RATE, nperseg=_N_FFT, noverlap=_N_FFT - _HOP)
    power = _bank() @ np.abs(spectrum) ** 2
    envelope = np.sqrt(power + 1e-12) ** 0.3  # [bands, frames]
    mean = envelope.mean(1)
    centered = envelope - mean[:, None]
    deviation = centered.std(1) + 1e-6
    together = np.corrcoef(
        centered + 1e-9 * np.random.default_rng(0).standard_normal(centered.shape)
    )
    modulation = np.abs(np.fft.rfft(centered * np.hanning(centered.shape[1]), axis=1)) ** 2
    rates = np.fft.rfftfreq(centered.shape[1], _HOP / RATE)
    total = modulation.sum(1) + 1e-12
    shares = [
        modulation[:, (rates >= low) & (rates < high)].sum(1) / total
        for low, high in pairwise(_RATES)
    ]
    return Texture(
        {
            "mean": mean / 0.3,
            "variation": deviation / mean,
            "skewness": np.tanh((centered**3).mean(1) / deviation**3 / 2),
            "together": together[np.triu_indices(_BANDS, 1)],
            "modulation": np.sqrt(np.concatenate(shares)),
        }
    )


def without_pauses(samples: Samples) -> Samples:
    """A recording without what is 50 dB below its loudest 23 ms: a texture has no silence."""
    count = len(samples) // _BLOCK
    blocks = samples[: count * _BLOCK].reshape(count, _BLOCK)
    power = np.square(blocks, dtype=np.float64).mean(1)
    sounding: Samples = blocks[power > power.max(initial=0.0) * 10 ** (-_PAUSE_DB / 10)].reshape(-1)
    return sounding


def _bank() -> Array:
    def rate(hertz: Any) -> Any:
        return 21.4 * np.log10(1 + 0.00437 * hertz)

    edges = np.linspace(rate(50.0), rate(10_000.0), _BANDS + 2)
    bins = rate(np.fft.rfftfreq(_N_FFT, 1 / RATE))
    width = edges[1] - edges[0]
    weight = np.cos(np.clip((bins - edges[1:-1, None]) / width, -1, 1) * np.pi / 2) ** 2
    nearest = np.abs(bins - edges[1:-1, None]).argmin(1)
    weight[np.arange(_BANDS), nearest] = np.maximum(weight[np.arange(_BANDS), nearest], 0.2)
    result: Array = weight / weight.sum(1, keepdims=True)
    return result
