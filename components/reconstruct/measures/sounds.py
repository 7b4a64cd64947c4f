"""What a measure hears: the recordings of an item, decoded when first asked for."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from audiostyle.audio import Recording, Samples, blocks, mono, resample

# The analysis is fixed, whatever the transfer used, so that figures can be compared.
RATE = 22050  # Hz
_RMS = 0.1


class Sounds:
    """The result of an item and what it was made from: mono, at 22,050 Hz, of an RMS of 0.1.

    Each is [n] float32, and None where the item has no such recording.
    """

    def __init__(self, result: Path, sources: Mapping[str, Path]) -> None:
        """sources: the files of the item by role (content, style, target)."""
        self._paths = {"result": result, **sources}

    @cached_property
    def result(self) -> Samples | None:
        """The result."""
        return self._heard("result")

    @cached_property
    def content(self) -> Samples | None:
        """The content."""
        return self._heard("content")

    @cached_property
    def style(self) -> Samples | None:
        """The style."""
        return self._heard("style")

    @cached_property
    def target(self) -> Samples | None:
        """The recording that an ideal transfer would have given."""
        return self._heard("target")

    def _heard(self, role: str) -> Samples | None:
        path = self._paths.get(role)
        return None if path is None else leveled(listening(path))


def listening(path: Path) -> Recording:
    """A file's mono mix at 22,050 Hz, decoded a block at a time."""
    facts = blocks.facts(path)
    for _ in facts.through(blocks.blocks(path)):
        pass
    parts = blocks.resampled(blocks.mixed(blocks.blocks(path), facts), facts.sample_rate, RATE)
    return Recording(np.concatenate(list(parts), 1), RATE)


def leveled(recording: Recording) -> Samples:
    """Mono, at 22,050 Hz, of an RMS of 0.1: loudness is not timbre. Output: [n] float32."""
    samples = mono(resample(recording, RATE))
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return np.asarray(samples * (_RMS / max(level, 1e-9)), np.float32)
