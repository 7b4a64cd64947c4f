"""Decoded audio in memory: samples with their rate, resampled and mixed."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import soxr

Samples = npt.NDArray[np.float32]

# Share of the channels' energy. Two that are independent keep half of it in their mean; what
# keeps less than this is one sound against its own inverse: a swapped wire, a voice remover.
CANCELED = 0.01
# Share of a channel's root mean square. A constant offset that is smaller changes no spectrum that
# is heard, and a short sound has as much by chance.
OFFSET = 0.1


@dataclass(frozen=True)
class Recording:
    """Decoded audio. samples: [channels, n] float32, nominally in [-1, 1]; sample_rate in Hz."""

    samples: Samples
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.sample_rate

    @property
    def frames(self) -> int:
        """Samples a channel."""
        return int(self.samples.shape[1])

    def part(self, start: int, stop: int) -> "Recording":
        """See Source."""
        return Recording(self.samples[:, start:stop], self.sample_rate)


class Source(Protocol):
    """Audio of which parts can be had: a Recording in memory, or a file decoded on demand."""

    @property
    def frames(self) -> int:
        """Samples a channel."""

    @property
    def sample_rate(self) -> int:
        """In Hz."""

    def part(self, start: int, stop: int) -> "Recording":
        """Samples from `start` to before `stop`; fewer at the end."""


def resample(recording: Recording, sample_rate: int) -> Recording:
    """The recording at another sample rate (Hz), by soxr at high quality."""
    if recording.sample_rate == sample_rate:
        return recording
    samples = soxr.resample(recording.samples.T, recording.sample_rate, sample_rate, quality="HQ")
    return Recording(np.ascontiguousarray(samples.T), sample_rate)


def mono(recording: Recording) -> Samples:
    """Mean of the channels; where they cancel each other, the loudest. Output: [n] float32."""
    samples = recording.samples
    mixed: Samples = samples[0]
    if len(samples) > 1:
        mixed = samples.mean(0, dtype=np.float32)
        energies = [energy(channel) for channel in samples]
        if energy(mixed) < CANCELED * float(np.mean(energies)):
            mixed = samples[int(np.argmax(energies))]
    return mixed


def centered(samples: Samples) -> Samples:
    """A channel [n] without its constant offset, where that matters."""
    mean, deviation = float(samples.mean(dtype=np.float64)), float(samples.std(dtype=np.float64))
    if abs(mean) <= OFFSET * deviation:
        return samples
    without: Samples = (samples - np.float32(mean)).astype(np.float32)
    return without


def energy(samples: Samples) -> float:
    """Sum of the squares of a channel [n] about its mean."""
    if not samples.size:
        return 0.0
    wide = samples.astype(np.float64)
    return float(np.square(wide - wide.mean()).sum())
