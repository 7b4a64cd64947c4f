"""Several recordings of one style as one recording: of each as much as its share says.

A method reads one style clip. A medley of up to a minute is as much as it reads of any style
(`spectra.style_magnitude`), whatever the number and the length of the recordings.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from audiostyle import audio
from audiostyle.audio import Recording, Samples, blocks

RATE = 44_100  # Hz
LONGEST, _SHORTEST = 60.0, 12.0  # s of a medley; what is too short for its share is repeated
_RUN = 3.0  # s of a recording in a row, so that notes and phrases stay whole
_FADE = 0.01  # s at each end of a run
_LEAST = 0.1  # s of a recording
_LEVEL = 0.1  # root mean square of each recording: its share is counted in time, not in loudness


def write_medley(recordings: Sequence[Path], shares: Sequence[float], out: Path) -> None:
    """Write a medley, mono at 44.1 kHz, as FLAC to the file `out`.

    shares: one for each recording, above 0. The same recordings make the same file. Raises
    AudioError for a recording that is unusable, silent or shorter than 0.1 s.
    """
    facts = [_facts(path) for path in recordings]
    weights = np.asarray(shares, float) / sum(shares)
    whole = min(x.seconds / w for x, w in zip(facts, weights, strict=True))
    seconds = min(LONGEST, max(_SHORTEST, whole))
    parts = [
        _part(path, x, seconds * weight)
        for path, x, weight in zip(recordings, facts, weights, strict=True)
    ]
    samples = np.concatenate(parts)
    peak = float(np.abs(samples).max())
    audio.write(out, samples * np.float32(min(1.0, 0.99 / peak)), RATE, subtype="PCM_24")


def _facts(path: Path) -> blocks.Facts:
    facts = blocks.facts(path)
    for _ in facts.through(blocks.blocks(path)):
        pass
    blocks.require_sound(facts, path, seconds=_LEAST)
    return facts


def _part(path: Path, facts: blocks.Facts, seconds: float) -> Samples:
    """So many seconds of a recording, in runs evenly spread over it: [samples] at RATE."""
    runs = max(1, int(min(seconds, facts.seconds) // _RUN))
    length = min(facts.samples, max(1, round(seconds / runs * facts.sample_rate)))
    room = facts.samples - length
    starts = [room * number // max(1, runs - 1) for number in range(runs)]
    fade = min(round(_FADE * RATE), 1 + length // 4)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    pieces = []
    for piece in _cut(path, facts, starts, length):
        at_rate = audio.resample(Recording(piece[None], facts.sample_rate), RATE).samples[0].copy()
        at_rate[:fade] *= ramp[: len(at_rate)]
        at_rate[-fade:] *= ramp[::-1][-len(at_rate) :]
        pieces.append(at_rate)
    joined = np.concatenate(pieces)
    joined = np.resize(joined, max(1, round(seconds * RATE)))  # what is too short begins again
    level = float(np.sqrt(np.mean(np.square(joined, dtype=np.float64))))
    scaled: Samples = (joined * (_LEVEL / max(level, 1e-9))).astype(np.float32)
    return scaled


def _cut(path: Path, facts: blocks.Facts, starts: Sequence[int], length: int) -> Iterator[Samples]:
    """The runs that begin at `starts`, in order: [length] at the recording's own rate."""
    pieces = [np.zeros(length, np.float32) for _ in starts]
    alone = facts.loudest_alone
    offset = facts.offsets.mean() if alone is None else facts.offsets[alone, 0]
    at = 0
    for part in blocks.mixed(blocks.blocks(path), facts):
        for start, piece in zip(starts, pieces, strict=True):
            low, high = max(start, at), min(start + length, at + part.shape[1])
            if low < high:
                piece[low - start : high - start] = part[0, low - at : high - at] - offset
        at += part.shape[1]
    yield from pieces
