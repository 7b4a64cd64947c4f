"""Recordings of any length, a block at a time: decoding and resampling like audio.py."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from audiostyle import audio
from audiostyle.audio import Samples

# Frames decoded at a time: 1.5 s at 44.1 kHz, half a megabyte of stereo; of more channels fewer.
BLOCK = 1 << 16


@dataclass
class Facts:
    """What one pass over a recording tells. samples: of one channel; peak: over all channels."""

    sample_rate: int
    channels: int
    samples: int = 0
    peak: float = 0.0
    squares: float = 0.0  # sum over all channels

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.samples / self.sample_rate

    @property
    def rms(self) -> float:
        """Root mean square over all channels."""
        return float((self.squares / max(1, self.samples * self.channels)) ** 0.5)

    def through(self, parts: Iterable[Samples]) -> Iterator[Samples]:
        """The parts as they are, counted in as they pass."""
        for part in parts:
            self.samples += part.shape[1]
            self.squares += float(np.square(part, dtype=np.float64).sum())
            self.peak = max(self.peak, float(part.max()), -float(part.min()))
            yield part


def facts(path: Path | str) -> Facts:
    """Rate and channels; the rest is counted by `through`. Raises AudioError like `audio.read`."""
    with audio.opening(path) as file:
        return Facts(file.sample_rate, file.channels)


def require_sound(found: Facts, path: Path | str, *, seconds: float) -> None:
    """Raise AudioError naming `path` for what `audio.require_sound` refuses."""
    audio.require_seconds(found.seconds, path, least=seconds)
    audio.require_peak(found.peak, path)


def blocks(path: Path | str) -> Iterator[Samples]:
    """Samples in order, [channels, n] float32 with n >= 1. Raises AudioError like `audio.read`."""
    with audio.opening(path) as file:
        frames = min(BLOCK, 2 * BLOCK // file.channels)
        yield file.part(0, frames).samples
        while (block := file.following(frames)).size:
            yield block


def resampled(parts: Iterable[Samples], sample_rate: int, wanted: int) -> Iterator[Samples]:
    """Blocks [channels, n] at another rate (Hz): together the very samples of `audio.resample`."""
    if sample_rate == wanted:
        yield from parts
        return
    stream, channels = None, 0
    for part in parts:
        channels = len(part)
        stream = stream or soxr.ResampleStream(
            sample_rate, wanted, channels, dtype="float32", quality="HQ"
        )
        yield from _some(stream.resample_chunk(np.ascontiguousarray(part.T)))
    if stream is not None:
        rest = np.empty((0, channels), np.float32)
        yield from _some(stream.resample_chunk(rest, last=True))


def _some(samples: Samples) -> Iterator[Samples]:
    if len(samples):
        yield np.ascontiguousarray(samples.T)
