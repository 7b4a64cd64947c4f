"""Sound of any length on its way to a file: its level is known only when all of it has passed."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from audiostyle import audio_stream
from audiostyle.audio import Samples
from audiostyle.audio_stream import BLOCK, Facts


class Spool:
    """Samples in a temporary file, as float32. facts: their rate, channels, peak and level."""

    def __init__(self, file: IO[bytes], facts: Facts) -> None:
        self._file = file
        self.facts = facts

    def parts(self, gain: float = 1.0) -> Iterator[Samples]:
        """The samples in order, [channels, any n], scaled."""
        self._file.seek(0)
        channels = self.facts.channels
        while raw := self._file.read(4 * channels * BLOCK):
            frames = np.frombuffer(raw, np.float32).reshape(-1, channels)
            yield frames.T * np.float32(gain)


@contextmanager
def spooled(
    parts: Iterable[Samples], sample_rate: int, channels: int, folder: Path
) -> Iterator[Spool]:
    """Let all parts [channels, n] pass; the nameless file in `folder` goes at the end."""
    facts = Facts(sample_rate, channels)
    with tempfile.TemporaryFile(dir=folder) as file:
        for part in facts.through(parts):
            file.write(np.ascontiguousarray(part.T, np.float32).tobytes())
        yield Spool(file, facts)


def exactly(parts: Iterable[Samples], samples: int) -> Iterator[Samples]:
    """So many samples: what is beyond them is cut off, what lacks is silence."""
    left = samples
    channels = 0
    for part in parts:
        channels = len(part)
        kept = part[:, :left]
        left -= kept.shape[1]
        if kept.shape[1]:
            yield kept
    while left and channels:
        silence = np.zeros((channels, min(left, BLOCK)), np.float32)
        left -= silence.shape[1]
        yield silence


def mixed(parts: Iterable[Samples]) -> Iterator[Samples]:
    """The mean of the channels, [1, n]."""
    for part in parts:
        yield part.mean(0, keepdims=True, dtype=np.float32)


def at_rate(spool: Spool, gain: float, sample_rate: int, *, mono: bool) -> Iterator[Samples]:
    """The spooled sound, scaled, at another rate, and mixed where asked for."""
    parts = spool.parts(gain)
    return audio_stream.resampled(
        mixed(parts) if mono else parts, spool.facts.sample_rate, sample_rate
    )
