"""From a recording of any length to clips of exactly one: which part, and what fills up."""

from typing import Literal

import numpy as np
from pydantic import Field

from audiostyle import audio
from audiostyle.audio import Recording, Samples
from audiostyle.config import Config

# Seconds on either side of a part that is resampled by itself. soxr's HQ filter rings for under
# 20 ms at 4 kHz, the lowest rate that a SpectrogramConfig takes; nothing further off counts.
MARGIN = 0.1


class CutConfig(Config):
    """Which clips are cut from a recording that is longer or shorter than a clip."""

    long: Literal["first", "centre", "loudest", "windows"] = Field(
        "first", description="which part of a long recording; windows: all, one every hop"
    )
    hop_seconds: float = Field(
        3.0, gt=0, le=600, description="from one window to the next, for windows"
    )
    short: Literal["pad", "loop"] = Field(
        "pad", description="zeros after a short recording, or the recording again"
    )


def cut(recording: Recording, sample_rate: int, length: int, config: CutConfig) -> Samples:
    """Clips of a recording, mixed to mono and resampled to `sample_rate` (Hz).

    length: of a clip, in samples at that rate. Output: [clips, length] float32. A single part is
    resampled alone, with a margin, as the rest is not used.
    """
    mixed = Recording(audio.mono(recording)[None], recording.sample_rate)
    seconds = length / sample_rate
    if config.long == "windows":
        samples = audio.resample(mixed, sample_rate).samples[0]
        hop = max(1, round(config.hop_seconds * sample_rate))
        # Windows that are whole; a recording shorter than one makes one all the same.
        starts = range(0, max(1, len(samples) - length + 1), hop)
        return np.stack([_filled(samples[s : s + length], length, config.short) for s in starts])
    spare = mixed.samples.shape[1] - round(seconds * mixed.sample_rate)
    if spare <= 0:
        start = 0
    elif config.long == "loudest":
        start = _loudest(mixed.samples[0], spare)
    else:
        start = 0 if config.long == "first" else spare // 2
    return _part(mixed, start, sample_rate, length, config)[None]


def _part(
    mixed: Recording, start: int, sample_rate: int, length: int, config: CutConfig
) -> Samples:
    """The clip that begins at a sample of the recording. Output: [length] float32."""
    rate = mixed.sample_rate
    # Begin on a sample of both rates, so that the part lies on the grid of the whole.
    margin = round(MARGIN * rate)
    step = rate // np.gcd(rate, sample_rate)
    before = max(0, start - margin) // step * step
    after = start + round(length / sample_rate * rate) + margin
    part = Recording(mixed.samples[:, before:after], rate)
    samples = audio.resample(part, sample_rate).samples[0]
    offset = round((start - before) * sample_rate / rate)
    return _filled(samples[offset : offset + length], length, config.short)


def _loudest(samples: Samples, spare: int) -> int:
    """First sample of the window with most energy, of all `spare` + 1 windows."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    length = len(samples) - spare
    return int(np.argmax(energy[length:] - energy[:-length]))


def _filled(samples: Samples, length: int, short: str) -> Samples:
    if len(samples) >= length:
        return samples
    if short == "loop":
        return np.resize(samples, length)
    return np.pad(samples, (0, length - len(samples)))
