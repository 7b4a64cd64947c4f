"""From a recording of any length to clips of exactly one: which part, and what fills up."""

from math import ceil, gcd

import numpy as np

from audiostyle import audio
from audiostyle.audio import Recording, Samples, Source
from audiostyle.audio.recording import centered
from components.preprocess.config import CutConfig as CutConfig

# Seconds on either side of a part that is resampled by itself. soxr's HQ filter rings for under
# 20 ms at 4 kHz, the lowest rate that a SpectrogramConfig takes; nothing further off counts.
MARGIN = 0.1
# Samples of a long recording that are looked at together: 20 to 100 s.
_STRETCH = 1 << 21


def count(source: Source, sample_rate: int, length: int, config: CutConfig) -> int:
    """How many clips `cut` makes of a recording."""
    if config.long != "windows":
        return 1
    samples = source.frames * sample_rate // source.sample_rate
    # Windows that are whole; a recording shorter than one makes one all the same.
    return 1 + max(0, samples - length) // _hop(sample_rate, config)


def cut(
    source: Source,
    sample_rate: int,
    length: int,
    config: CutConfig,
    numbers: range | None = None,
) -> Samples:
    """Clips of a recording, mixed to mono and resampled to `sample_rate` (Hz).

    length: of a clip, in samples at that rate. numbers: which of the windows; by default all.
    Output: [clips, length] float32. Nothing is decoded and resampled but what the clips need, with
    a margin.
    """
    if config.long == "windows":
        numbers = numbers or range(count(source, sample_rate, length, config))
        hop = _hop(sample_rate, config)
        first = numbers.start * hop
        samples = _part(source, sample_rate, first, numbers[-1] * hop + length)
        starts = [number * hop - first for number in numbers]
        return np.stack([_filled(samples[s : s + length], length, config.short) for s in starts])
    start = 0
    if config.long != "first":  # which needs no length, so that nothing is decoded to count it
        spare = max(0, source.frames - round(length / sample_rate * source.sample_rate))
        start = _loudest(source, spare) if config.long == "loudest" and spare else spare // 2
    begin = round(start * sample_rate / source.sample_rate)
    samples = _part(source, sample_rate, begin, begin + length)
    return _filled(samples, length, config.short)[None]


def _hop(sample_rate: int, config: CutConfig) -> int:
    return max(1, round(config.hop_seconds * sample_rate))


def _part(source: Source, sample_rate: int, begin: int, end: int) -> Samples:
    """Samples `begin` to `end`, at `sample_rate`, of the resampled whole. Output: [n] float32."""
    rate = source.sample_rate
    # Begin on a sample of both rates, so that the part lies on the grid of the whole.
    common = gcd(rate, sample_rate)
    step_in, step_out = rate // common, sample_rate // common
    steps = max(0, begin - round(MARGIN * sample_rate)) // step_out
    stop = ceil((end + MARGIN * sample_rate) * rate / sample_rate)
    part = source.part(steps * step_in, stop)
    mixed = Recording(centered(audio.mono(part))[None], rate)
    samples = audio.resample(mixed, sample_rate).samples[0]
    offset = begin - steps * step_out
    wanted: Samples = samples[offset : offset + end - begin]
    return wanted


def _loudest(source: Source, spare: int) -> int:
    """First sample of the window with most energy, of all `spare` + 1 windows."""
    length = source.frames - spare
    best, start = -1.0, 0
    # By stretches that overlap by a window: an hour need not fit in memory.
    for begin in range(0, spare + 1, _STRETCH):
        part = source.part(begin, min(begin + _STRETCH + length - 1, source.frames))
        energy = np.cumsum(np.square(audio.mono(part), dtype=np.float64))
        energy = np.concatenate([[0.0], energy])
        windows = energy[length:] - energy[:-length]
        place = int(np.argmax(windows))
        if windows[place] > best:
            best, start = float(windows[place]), begin + place
    return start


def _filled(samples: Samples, length: int, short: str) -> Samples:
    if len(samples) >= length:
        return samples
    if short == "loop":
        return np.resize(samples, length)
    return np.pad(samples, (0, length - len(samples)))
