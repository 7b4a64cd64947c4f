"""Short random melodies, the same for every instrument, so that only the timbre tells them apart.

A phrase is drawn once from a seed and then transposed by whole octaves into each instrument's
range, or folded into the few keys that are held out. Its melody spans at most an octave, so that
every range of two octaves can take it.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

CLIP_SECONDS = 3.0

# Semitones above the tonic.
SCALES = (
    (0, 2, 4, 5, 7, 9, 11),  # major
    (0, 2, 3, 5, 7, 8, 10),  # natural minor
    (0, 2, 3, 5, 7, 9, 10),  # dorian
    (0, 2, 4, 5, 7, 9, 10),  # mixolydian
    (0, 2, 3, 5, 7, 8, 11),  # harmonic minor
)
# Beats; the longest at 70 beats a minute lasts 1.7 s.
RHYTHM = (0.25, 0.5, 0.5, 0.5, 0.75, 1.0, 1.0, 1.5, 2.0)
SHORTEST_SECONDS = 0.14  # slow attacks (violin, organ) hardly speak in less
LONGEST_REST_SECONDS = 0.35
# A draw with less to hear is drawn again.
FEWEST_NOTES = 5
LEAST_SOUNDING = 0.65  # part of the clip


@dataclass(frozen=True)
class Note:
    """One note: start and duration in seconds, pitch as a MIDI key number, velocity 1-127."""

    start: float
    duration: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Phrase:
    """A melody, and an accompaniment below it that only the polyphonic instruments play.

    The melody lies within MIDI keys 60 (middle C) to 83; :func:`fit` moves it into a range.
    """

    name: str
    melody: tuple[Note, ...]
    accompaniment: tuple[Note, ...]

    def shape(self) -> tuple[tuple[float, int], ...]:
        """What makes this melody this melody: starts (s) and intervals (semitones) from note 1."""
        first = self.melody[0].pitch
        return tuple((note.start, note.pitch - first) for note in self.melody)


def compose(name: str, seed: tuple[int, ...]) -> Phrase:
    """Draw a phrase of at least ``CLIP_SECONDS``: 70-160 beats/min, velocities 60-120, some rests.

    The first note starts within 40 ms; the last may ring past the end.
    """
    rng = np.random.default_rng(seed)
    while True:
        phrase = _draw(name, rng)
        sounding = sum(min(n.duration, CLIP_SECONDS - n.start) for n in phrase.melody)
        if len(phrase.melody) >= FEWEST_NOTES and sounding >= LEAST_SOUNDING * CLIP_SECONDS:
            return phrase


def _draw(name: str, rng: np.random.Generator) -> Phrase:
    scale = SCALES[rng.integers(len(SCALES))]
    tonic = 60 + int(rng.integers(12))
    beat = 60.0 / rng.uniform(70, 160)  # seconds
    legato = rng.uniform(0.5, 1.0)  # sounding part of a note's time
    loudness = rng.uniform(72, 108)  # velocity
    steps = [*scale, 12]
    degree = int(rng.integers(len(steps)))
    melody: list[Note] = []
    degrees: list[int] = []
    now = rng.uniform(0.0, 0.04)
    while now < CLIP_SECONDS - 0.1:
        length = max(SHORTEST_SECONDS, beat * RHYTHM[rng.integers(len(RHYTHM))])
        if melody and rng.random() < 0.12:
            now += min(length, LONGEST_REST_SECONDS)
            continue
        sounding = max(SHORTEST_SECONDS, length * min(1.0, legato * rng.uniform(0.9, 1.1)))
        velocity = int(np.clip(round(loudness + rng.normal(0, 8)), 60, 120))
        # Microseconds are far below a MIDI tick, and make equal numbers print alike.
        melody.append(Note(round(now, 6), round(sounding, 6), tonic + steps[degree], velocity))
        degrees.append(degree)
        now += length
        leap = int(rng.choice([-3, -2, -1, -1, 1, 1, 2, 3]))
        degree = degree + leap if 0 <= degree + leap < len(steps) else degree - leap
    return Phrase(name, tuple(melody), _accompany(rng, melody, degrees, scale, tonic))


def _accompany(
    rng: np.random.Generator,
    melody: list[Note],
    degrees: list[int],
    scale: tuple[int, ...],
    tonic: int,
) -> tuple[Note, ...]:
    """Nothing (half of the time), a second voice in thirds or sixths below, or held triads."""
    kind = rng.choice(["none", "none", "voice", "chords"])
    if kind == "none":
        return ()

    def below(degree: int) -> int:
        octave, step = divmod(degree, len(scale))
        return tonic + 12 * octave + scale[step]

    if kind == "voice":
        distance = int(rng.choice([2, 5]))
        return tuple(
            Note(note.start, note.duration, below(degree - distance), max(60, note.velocity - 12))
            for note, degree in zip(melody, degrees, strict=True)
        )
    notes: list[Note] = []
    free_at = 0.0
    for note, degree in zip(melody, degrees, strict=True):
        if note.start < free_at:
            continue
        held = rng.uniform(0.6, 1.2)  # seconds
        free_at = note.start + held
        # The melody's note an octave lower, and a third and a fifth below that.
        for distance in (7, 9, 11):
            pitch = below(degree - distance)
            notes.append(
                Note(note.start, round(held - 0.03, 6), pitch, max(60, note.velocity - 16))
            )
    return tuple(notes)


def fit(
    phrase: Phrase,
    low: int,
    high: int,
    choice: float,
    polyphonic: bool = False,
    barred: Collection[int] = (),
) -> tuple[Note, ...]:
    """The notes of ``phrase`` for an instrument that plays MIDI keys ``low`` to ``high``.

    The melody moves by whole octaves; ``choice`` in [0, 1) picks among those that fit. Of it, a
    note on a ``barred`` key moves an octave, or to the nearest other key. If ``polyphonic``, the
    accompaniment moves too, without its notes that are out of range, barred, or being played by
    the melody. Raises ValueError if no octave fits or every key is barred.
    """
    lowest = min(note.pitch for note in phrase.melody)
    highest = max(note.pitch for note in phrase.melody)
    keys = [key for key in range(low, high + 1) if key not in barred]
    shifts = [s for s in range(-60, 61, 12) if low <= lowest + s and highest + s <= high]
    if not shifts or not keys:
        raise ValueError(
            f"phrase {phrase.name} spans keys {lowest} to {highest}: no octave of it lies within "
            f"{low} to {high} ({len(keys)} of them allowed); a range of 24 semitones or more takes "
            f"every phrase"
        )
    shift = shifts[int(choice * len(shifts))]
    melody = [replace(note, pitch=_allowed(note.pitch + shift, keys)) for note in phrase.melody]
    chords = [replace(note, pitch=note.pitch + shift) for note in phrase.accompaniment]
    kept = [
        note
        for note in chords
        if polyphonic and note.pitch in keys and not any(_clash(note, other) for other in melody)
    ]
    return tuple(sorted(melody + kept, key=lambda note: (note.start, note.pitch)))


def fold(phrase: Phrase, low: int, high: int, choice: float) -> tuple[Note, ...]:
    """The melody on the MIDI keys ``low`` to ``high`` alone, wrapping around past the last.

    ``choice`` in [0, 1) picks the key of its lowest note.
    """
    lowest, width = min(note.pitch for note in phrase.melody), high - low + 1
    first = int(choice * width)
    return tuple(
        replace(note, pitch=low + (note.pitch - lowest + first) % width) for note in phrase.melody
    )


def _allowed(pitch: int, keys: Collection[int]) -> int:
    octaves = [other for other in (pitch, pitch + 12, pitch - 12) if other in keys]
    return octaves[0] if octaves else min(keys, key=lambda key: abs(key - pitch))


def _clash(a: Note, b: Note) -> bool:
    overlap = a.start < b.start + b.duration and b.start < a.start + a.duration
    return a.pitch == b.pitch and overlap
