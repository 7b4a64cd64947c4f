"""Instruments made of sines, for training: what recordings have little of, and tests have much.

Spectra with few or no even partials, with formants, of random strengths; struck or held; with a
little breath or none.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from audiostyle.audio import Recording, Samples
from benchmarks.measures import RATE, prepared
from benchmarks.pairs import SECONDS, TruePair, true_pair

_TOP_HZ = 10_500.0


def synthetic(count: int, phrase: Callable[[int, int], Sequence[Any]]) -> list[TruePair]:
    """Pairs of such instruments. phrase: from a pair's number and 0 or 1 to its notes."""
    pairs = []
    for number in range(count):
        random = np.random.default_rng(9000 + number)
        one, two = _instrument(random), _instrument(random)
        first, second = phrase(number, 0), phrase(number, 1)
        sounds = [
            prepared(Recording(sound[None], RATE))
            for sound in (one(first), two(second), two(first))
        ]
        pairs.append(true_pair(f"synthetic-{number:02d}", sounds))
    return pairs


def _instrument(random: np.random.Generator) -> Callable[[Sequence[Any]], Samples]:
    number = np.arange(1, random.integers(4, 24) + 1)
    size = number ** -random.uniform(0.5, 2.2)
    spectrum = int(random.integers(4))
    if spectrum == 0:
        size[1::2] *= random.choice([0, 0.02, 0.2])
    elif spectrum == 1:
        center, width = random.uniform(1, 6), random.uniform(1, 3)
        size *= np.exp(-0.5 * ((number - center) / width) ** 2) + 0.03
    elif spectrum == 2:
        size *= random.uniform(0.2, 1, len(number))
    decay, bright = float(random.choice([0, 0, 2, 5, 9])), 0.3 * random.uniform(0, 0.6)
    attack, release = random.uniform(0.005, 0.08), random.uniform(0.02, 0.15)
    breath = float(random.choice([0, 0, 0.003, 0.01]))

    def play(notes: Sequence[Any]) -> Samples:
        length = round(SECONDS * RATE)
        sound = np.zeros(length)
        for note in notes:
            t = np.arange(round((note.duration + 3 * release) * RATE)) / RATE
            pitch = 440 * 2 ** ((note.pitch - 69) / 12)
            x = breath * np.random.default_rng(1).standard_normal(len(t))
            for partial, strength in zip(number, size, strict=True):
                if pitch * partial < _TOP_HZ:
                    fall = np.exp(-decay * (1 + bright * partial) * t)
                    x += strength * fall * np.sin(2 * np.pi * pitch * partial * t + partial)
            x *= np.minimum(t / attack, 1) * np.exp(-np.maximum(t - note.duration, 0) / release)
            start = round(note.start * RATE)
            x = (note.velocity / 100) ** 1.5 * x[: max(0, length - start)]
            sound[start : start + len(x)] += x
        result: Samples = sound.astype(np.float32)
        return result

    return play
