"""Sound of any length on its way: its level is known only when all of it has passed."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

import numpy as np

from audiostyle.audio import Samples
from audiostyle.audio.blocks import Facts, block_frames, mixed, resampled

# Bytes that stay in memory: 3 minutes at 22,050 Hz, mono.
_IN_MEMORY = 16 << 20


class Spool:
    """Samples as float32, in memory while they are few, else in temporary files.

    facts: their rate, channels, peak and level.
    """

    def __init__(self, files: list[tuple[IO[bytes], int]], facts: Facts) -> None:
        """files: each with the number of channels in it."""
        self._files = files
        self.facts = facts

    def parts(self, gain: float = 1.0) -> Iterator[Samples]:
        """The samples in order, [channels, any n], scaled."""
        frames = block_frames(self.facts.channels)
        for file, _ in self._files:
            file.seek(0)
        while self._files and (
            raw := [file.read(4 * channels * frames) for file, channels in self._files]
        ):
            if not raw[0]:
                return
            together = [
                np.frombuffer(part, np.float32).reshape(-1, channels)
                for part, (_, channels) in zip(raw, self._files, strict=True)
            ]
            samples = together[0] if len(together) == 1 else np.concatenate(together, 1)
            yield samples.T * np.float32(gain)


@contextmanager
def spooled(
    groups: Iterable[Iterable[Samples]],
    sample_rate: int,
    channels: int,
    folder: Path | str | None = None,
) -> Iterator[Spool]:
    """Let all parts of all groups of channels pass, one group after the other.

    groups: parts [channels of the group, n]. folder: for the nameless files of a long sound, which
    go at the end; the system's by default.
    """
    facts = Facts(sample_rate, channels)
    place = None if folder is None else str(folder)
    with ExitStack() as stack:
        files: list[tuple[IO[bytes], int]] = []
        for parts in groups:
            file: IO[bytes] | None = None
            for part in parts:
                width = len(part)
                if file is None:
                    size = _IN_MEMORY * width // channels
                    file = stack.enter_context(SpooledTemporaryFile(size, dir=place))
                    files.append((file, width))
                passed = facts.through([part]) if width == channels else [part]
                for samples in passed:
                    file.write(np.ascontiguousarray(samples.T, np.float32).tobytes())
        spool = Spool(files, facts)
        if len(files) > 1:
            for _ in facts.through(spool.parts()):
                pass
        yield spool


def exactly(parts: Iterable[Samples], samples: int) -> Iterator[Samples]:
    """So many samples: what is beyond them is cut off, what lacks is silence."""
    left = samples
    channels = 0
    for part in parts:
        channels = len(part)
        wanted = part[:, :left]
        left -= wanted.shape[1]
        if wanted.shape[1]:
            yield wanted
    while left and channels:
        silence = np.zeros((channels, min(left, block_frames(channels))), np.float32)
        left -= silence.shape[1]
        yield silence


def at_rate(spool: Spool, gain: float, sample_rate: int, *, mono: bool) -> Iterator[Samples]:
    """The spooled sound, scaled, at another rate, and mixed where asked for."""
    parts = spool.parts(gain)
    parts = mixed(parts, spool.facts) if mono else parts
    return resampled(parts, spool.facts.sample_rate, sample_rate)
