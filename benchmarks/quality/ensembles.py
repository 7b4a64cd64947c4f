"""Ensembles: one to three instruments at once, some with chords, some with drums, become others.

What the ruler's other kinds have one of, these mix: fonts, numbers of voices, rooms, and bandwidths
(half of the pairs end at 8 kHz, as public recordings at 16 kHz do).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from audiostyle.audio import Recording, Samples, resample
from benchmarks.measures import RATE
from benchmarks.pairs import SETS, TruePair, font
from benchmarks.quality import drum_kits, playing

# Shares of pairs: with drums, with chords in the lowest voice, at 16 kHz, with a longer style.
_DRUMS, _CHORDS, _NARROW, _LONG = 0.3, 0.5, 0.5, 0.5
_NARROW_RATE = 16_000


def ensembles(
    side: str, count: int, sounds_of: Any = None, *, reverb: bool = False
) -> list[TruePair]:
    """Pairs of a side. sounds_of: a font of examples/catalogue.py; else TimGM6mb."""
    rendering = playing.rendering()
    instruments = SETS[side][0]
    random = np.random.default_rng((*playing.seed(side, 7), bool(sounds_of), reverb))
    takes: list[Any] = []
    plans: list[tuple[int, list[Any]]] = []
    for number in range(count):
        voices = _voices(random, instruments)
        for voice, (one, two) in enumerate(voices):
            chords = voice == 0 and random.random() < _CHORDS
            phrases = [_phrase(side, number, 3 * voice + k, (one, two), chords) for k in range(3)]
            for notes, program in zip(phrases, (one, two, two), strict=True):
                takes.append(rendering.Take(notes, rendering.Preset(0, program), 0.0, 0))
            takes.append(rendering.Take(phrases[0], rendering.Preset(0, two), 0.0, 0))
        plans.append((len(voices), _beats(random, side)))
    sounds = iter(rendering.render(sounds_of or font(), takes, reverb))
    pairs = []
    for number, (size, beats) in enumerate(plans):
        parts: list[list[Samples]] = [[], [], [], []]  # content, style, its second half, target
        for _ in range(size):
            for part in parts:
                part.append(next(sounds))
        for part, beat in zip(parts, beats, strict=False):
            part.append(beat)
        pairs.append(_pair(f"{side}-{number:02d}", parts, random))
    return pairs


def _voices(
    random: np.random.Generator, instruments: dict[int, tuple[int, int]]
) -> list[tuple[int, int]]:
    """Of each voice, the instrument of the content and that of the style."""
    programs = list(instruments)
    voices: list[tuple[int, int]] = []
    wanted = int(random.choice([1, 2, 2, 3]))
    while len(voices) < wanted:
        one, two = (int(x) for x in random.choice(programs, 2, replace=False))
        ranges = instruments[one], instruments[two]
        if min(r[1] for r in ranges) - max(r[0] for r in ranges) >= 12:
            voices.append((one, two))
    return voices


def _phrase(side: str, number: int, part: int, pair: tuple[int, int], chords: bool) -> Any:
    instruments = SETS[side][0]
    if not chords:
        return playing.melody(side, 2000 + number, part, pair, instruments)
    low = max(instruments[x][0] for x in pair)
    high = min(instruments[x][1] for x in pair)
    return playing.within(playing.accompanied(side, 2000 + number, part), low, high)


def _beats(random: np.random.Generator, side: str) -> list[Samples]:
    """What a kit plays in content, style, its second half, and another in the target; or none."""
    kits = [kit for kit in drum_kits.KITS[side] if kit.font.exists()]
    if random.random() > _DRUMS or len(kits) < 2:
        return []
    one, two = (kits[int(x)] for x in random.choice(len(kits), 2, replace=False))
    beats = [drum_kits.compose_beat(random) for _ in range(3)]
    played = zip((one, two, two, two), (*beats, beats[0]), strict=True)
    return [drum_kits.play(kit, beat) for kit, beat in played]


def _pair(name: str, parts: list[list[Samples]], random: np.random.Generator) -> TruePair:
    level = 10 ** (random.uniform(-6, 6, len(parts[0])) / 20)
    length = min(len(x) for part in parts for x in part)
    content, style, more, target = (
        np.sum([gain * _level(x[:length]) for gain, x in zip(level, part, strict=True)], 0)
        for part in parts
    )
    if random.random() < _LONG:
        style = np.concatenate([style, more])
    sounds: Sequence[Samples] = [content, style, target]
    if random.random() < _NARROW:
        sounds = [_narrow(x) for x in sounds]
    return playing.triples("ensemble", name, [""], [playing.ready(x) for x in sounds])[0]


def _level(sound: Samples) -> Samples:
    level: Samples = sound / max(float(np.sqrt(np.mean(sound**2))), 1e-6)
    return level


def _narrow(sound: Samples) -> Samples:
    at_rate = resample(Recording(sound[None].astype(np.float32), RATE), _NARROW_RATE)
    narrow: Samples = resample(at_rate, RATE).samples[0]
    return narrow
