"""Notes to samples with recordings of single notes, one file a key, named by it: ``Fs4.mp3``.

Each note plays the recording of the nearest key, moved in pitch by resampling as a sampler does.
"""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from phrases import Note

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
# Recordings begin with up to a second of breath or silence before they reach this part of the peak.
ONSET_LEVEL = 0.02
ONSET_SECONDS = 0.005  # kept before it
# Time constant of the fade after a note's end, and how long that is heard.
RELEASE_SECONDS, TAIL_SECONDS = 0.025, 0.4
# Of the room: by how much its energy lies below the note's, and the time to fall by 60 dB.
ROOM_DB, ROOM_SECONDS = -12.0, 1.2


@cache
def recordings(folder: Path) -> dict[int, tuple[NDArray[np.float32], int]]:
    """The recordings of an instrument by MIDI key: samples [n] from the onset, and rate in Hz."""
    samples = {}
    for path in note_files(folder):
        x, rate = soundfile.read(path, dtype="float32", always_2d=True)
        x = x.mean(axis=1)
        onset = int(np.argmax(np.abs(x) > ONSET_LEVEL * np.abs(x).max()))
        samples[_key(path)] = (x[max(0, onset - round(ONSET_SECONDS * rate)) :], rate)
    return samples


def note_files(folder: Path) -> list[Path]:
    """The recordings of an instrument, in order of name; raises ValueError if there are none."""
    files = sorted(path for path in folder.glob("*.mp3") if re.fullmatch(r"[A-G]s?\d", path.stem))
    if not files:
        raise ValueError(f"{folder} has no recordings of notes, such as Fs4.mp3")
    return files


def nearest(folder: Path, key: int) -> int:
    """The key whose recording plays a MIDI key; the lower one of two as near."""
    return min(recordings(folder), key=lambda other: (abs(other - key), other))


def play(
    folder: Path, notes: Sequence[Note], cents: float, seconds: float, sample_rate: int
) -> NDArray[np.float32]:
    """Play notes, detuned by ``cents``. Output: [seconds * sample_rate], mono, dry."""
    end = round(seconds * sample_rate)
    out = np.zeros(end + round(10 * sample_rate), dtype=np.float32)
    for note in notes:
        key = nearest(folder, note.pitch)
        x, rate = recordings(folder)[key]
        ratio = 2 ** ((note.pitch - key + cents / 100) / 12)
        heard = round((note.duration + TAIL_SECONDS) * rate * ratio)
        tone = soxr.resample(x[:heard], rate * ratio, sample_rate, "VHQ")
        after = np.arange(len(tone)) / sample_rate - note.duration
        fade = np.exp(-after.clip(0) / RELEASE_SECONDS).astype(np.float32)
        start = round(note.start * sample_rate)
        out[start : start + len(tone)] += tone * fade * (note.velocity / 127) ** 2
    return out[:end]


def in_room(x: NDArray[np.float32], sample_rate: int, room: int) -> NDArray[np.float32]:
    """Add a reverberant tail of exponentially decaying noise; ``room`` seeds it. [n] stays [n]."""
    n = round(ROOM_SECONDS * sample_rate)
    tail = np.random.default_rng(room).standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    tail *= 10 ** (ROOM_DB / 20) / np.sqrt(np.square(tail).sum())
    size = len(x) + n
    wet = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(tail, size), size)[: len(x)]
    return (x + wet).astype(np.float32)


def _key(path: Path) -> int:
    letter, sharp, octave = path.stem[0], "s" in path.stem, int(path.stem[-1])
    return 12 * (octave + 1) + STEPS[letter] + sharp
