"""Recordings of any length, a block at a time: decoded, measured and resampled."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from audiostyle.audio.decoding import opening
from audiostyle.audio.levels import require_level, require_seconds
from audiostyle.audio.recording import CANCELED, OFFSET, Recording, Samples

# Samples decoded at a time, of both channels of stereo: 1.5 s at 44.1 kHz, half a megabyte.
BLOCK = 1 << 16

_Channels = npt.NDArray[np.float64]


def block_frames(channels: int) -> int:
    """Frames in a block: of many channels fewer, so that memory does not grow with them."""
    return max(1, min(BLOCK, 2 * BLOCK // channels))


@dataclass
class Facts:
    """What one pass over a recording says. samples: of one channel.

    sums, squares, lowest, highest: of each channel, [channels]; mixed: sum of the squares of the
    mean of the channels.
    """

    sample_rate: int
    channels: int
    samples: int = 0
    sums: _Channels = field(default_factory=lambda: np.zeros(0))
    squares: _Channels = field(default_factory=lambda: np.zeros(0))
    lowest: _Channels = field(default_factory=lambda: np.zeros(0))
    highest: _Channels = field(default_factory=lambda: np.zeros(0))
    mixed: float = 0.0

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.samples / self.sample_rate

    @property
    def peak(self) -> float:
        """Largest absolute sample of all channels."""
        return float(max(self.highest.max(), -self.lowest.min())) if self.samples else 0.0

    @property
    def amplitude(self) -> float:
        """Half of the distance from the lowest to the highest sample, of the loudest channel."""
        return float((self.highest - self.lowest).max() / 2) if self.samples else 0.0

    @property
    def rms(self) -> float:
        """Root mean square of all channels about their means: a constant offset does not count."""
        return float(self._variances().mean() ** 0.5) if self.samples else 0.0

    @property
    def offsets(self) -> Samples:
        """Constant offset of each channel, [channels, 1]; 0 where it does not matter."""
        means = self.sums / max(1, self.samples)
        means[np.abs(means) < OFFSET * np.sqrt(self._variances())] = 0
        return means.astype(np.float32)[:, None]

    @property
    def loudest_alone(self) -> int | None:
        """The loudest channel, where the mean of all would be next to silence; else None."""
        variances = self._variances()
        count = max(1, self.samples)
        mixed = self.mixed / count - float(self.sums.mean() / count) ** 2
        return int(variances.argmax()) if mixed < CANCELED * variances.mean() else None

    def through(self, parts: Iterable[Samples]) -> Iterator[Samples]:
        """The parts [channels, n] as they are, counted in as they pass."""
        for part in parts:
            wide = part.astype(np.float64)
            if not self.samples:
                self.sums = self.squares = np.zeros(len(part))
                self.lowest, self.highest = np.full((2, len(part)), np.inf) * [[1], [-1]]
            self.samples += part.shape[1]
            self.sums = self.sums + wide.sum(1)
            self.squares = self.squares + np.square(wide).sum(1)
            self.lowest = np.minimum(self.lowest, wide.min(1))
            self.highest = np.maximum(self.highest, wide.max(1))
            self.mixed += float(np.square(wide.mean(0)).sum())
            yield part

    def _variances(self) -> _Channels:
        count = max(1, self.samples)
        return np.maximum(self.squares / count - np.square(self.sums / count), 0)


def facts(path: Path | str, content: bytes | None = None) -> Facts:
    """Rate and channels; the rest is counted by `through`. Raises AudioError like `audio.read`."""
    with opening(path, content) as file:
        return Facts(file.sample_rate, file.channels)


def require_sound(measured: Facts, path: Path | str, *, seconds: float) -> None:
    """Raise AudioError naming `path` for what `audio.require_sound` refuses."""
    require_seconds(measured.samples, measured.sample_rate, path, least=seconds)
    require_level(measured.amplitude, path)


def blocks(path: Path | str, content: bytes | None = None) -> Iterator[Samples]:
    """Samples in order, [channels, n] float32 with n >= 1. Like `audio.read`, errors included."""
    with opening(path, content) as file:
        frames = block_frames(file.channels)
        yield file.part(0, frames).samples
        while (block := file.following(frames)).size:
            yield block


def parts_of(recording: Recording) -> Iterator[Samples]:
    """The samples of a recording in memory, in the blocks in which `blocks` gives a file's."""
    frames = block_frames(len(recording.samples))
    for start in range(0, recording.frames, frames):
        yield recording.samples[:, start : start + frames]


def mixed(parts: Iterable[Samples], measured: Facts) -> Iterator[Samples]:
    """Blocks [1, n]: like `audio.mono` of the whole. measured: of the same parts, all of them."""
    alone = measured.loudest_alone
    for part in parts:
        yield part.mean(0, keepdims=True, dtype=np.float32) if alone is None else part[[alone]]


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
        # To 70 times the rate a block becomes 70.
        size = max(1, block_frames(channels) * sample_rate // max(sample_rate, wanted))
        for start in range(0, part.shape[1], size):
            piece = np.ascontiguousarray(part[:, start : start + size].T)
            yield from _some(stream.resample_chunk(piece))
    if stream is not None:
        rest = np.empty((0, channels), np.float32)
        yield from _some(stream.resample_chunk(rest, last=True))


def _some(samples: Samples) -> Iterator[Samples]:
    if len(samples):
        yield np.ascontiguousarray(samples.T)
