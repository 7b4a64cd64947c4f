"""Pairs that are played here: chords, duets, drum kits, and phrases of recorded notes.

Each as in `benchmarks.pairs`: phrase A by instrument 1, phrase B by instrument 2, and phrase A by
instrument 2. The two sides have no instrument or kit in common.
"""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from audiostyle.audio import Recording, Samples
from benchmarks.measures import RATE, prepared
from benchmarks.pairs import (
    EXAMPLES,
    FONT,
    SECONDS,
    SETS,
    TruePair,
    example_module,
    font,
    true_pair,
)
from benchmarks.quality import drum_kits

# Recorded notes: the npm packages tonejs-instrument-*-mp3, which hold VSCO2.
NOTES = Path(os.environ.get("VSCO2_DIR") or EXAMPLES.parent / "node_modules")

# Instruments that play several notes at once.
CHORDAL = {
    "development": (4, 11, 16, 25, 46, 48, 52, 105),
    "heldout": (7, 8, 20, 26, 53, 107, 108),
    "further": (
        *(0, 1, 2, 5, 6, 15, 17, 18, 19, 21, 24, 27, 28, 29, 44, 45, 49, 50, 51, 54, 61, 62, 80),
        *(81, 88, 89, 90, 91, 4, 11, 16, 25, 46, 48, 52, 105),
    ),
}
# Recorded instruments and the MIDI keys that they play.
RECORDED = {
    "development": {
        "violin": (56, 88),
        "cello": (38, 70),
        "trumpet": (55, 82),
        "flute": (60, 91),
        "organ": (43, 84),
        "piano": (40, 84),
        "xylophone": (65, 96),
    },
    "heldout": {
        "clarinet": (52, 86),
        "trombone": (40, 70),
        "french-horn": (41, 74),
        "bassoon": (36, 70),
        "tuba": (30, 58),
        "harp": (40, 88),
        "contrabass": (30, 57),
    },
}


def chords(side: str, count: int, sounds_of: Any = None) -> list[TruePair]:
    """Melodies with an accompaniment below them, each by one instrument.

    sounds_of: a font of examples/catalogue.py; else TimGM6mb.
    """
    take, preset = rendering().Take, rendering().Preset
    random = np.random.default_rng(seed(side, 1))
    pairs = _couples(CHORDAL[side], random, count)
    takes = []
    for number, (one, two) in enumerate(pairs):
        ranges = [SETS[side][0][program] for program in (one, two)]
        low, high = max(r[0] for r in ranges), min(r[1] for r in ranges)
        first, second = (within(accompanied(side, number, part), low, high) for part in range(2))
        takes += [take(first, preset(0, one), 0.0, 0), take(second, preset(0, two), 0.0, 0)]
        takes.append(take(first, preset(0, two), 0.0, 0))
    sounds = [ready(clip) for clip in rendering().render(sounds_of or font(), takes, False)]
    return triples("chords", side, [f"{a}-{b}" for a, b in pairs], sounds)


def duet(side: str, count: int, sounds_of: Any = None) -> list[TruePair]:
    """Two instruments at once, in other registers, become two others."""
    take, preset = rendering().Take, rendering().Preset
    random = np.random.default_rng(seed(side, 2))
    instruments = SETS[side][0]
    high_ones = [program for program, (low, top) in instruments.items() if top >= 79]
    low_ones = [program for program, (low, top) in instruments.items() if low <= 48]
    takes: list[Any] = []
    names: list[str] = []
    while len(names) < count:
        a, c = (int(x) for x in random.choice(high_ones, 2, replace=False))
        b, d = (int(x) for x in random.choice(low_ones, 2, replace=False))
        if len({a, b, c, d}) < 4:
            continue
        number = len(names)
        above = [melody(side, number, part, (a, c), instruments) for part in range(2)]
        below = [melody(side, number, part + 2, (b, d), instruments) for part in range(2)]
        for part, (high, low) in ((0, (a, b)), (1, (c, d)), (0, (c, d))):
            takes.append(take(above[part], preset(0, high), 0.0, 0))
            takes.append(take(below[part], preset(0, low), 0.0, 0))
        names.append(f"{a}+{b}-{c}+{d}")
    voices = rendering().render(sounds_of or font(), takes, False)
    both = [one + two for one, two in zip(voices[::2], voices[1::2], strict=True)]
    return triples("duet", side, names, [ready(clip) for clip in both])


def drums(side: str, count: int) -> list[TruePair]:
    """Beats of one kit become another's."""
    random = np.random.default_rng(seed(side, 3))
    kits = [kit for kit in drum_kits.KITS[side] if kit.font.exists()]
    sounds: list[Samples] = []
    names: list[str] = []
    for one, two in _couples(range(len(kits)), random, count):
        beats = np.random.default_rng((*seed(side, 3), len(names)))
        first, second = drum_kits.compose_beat(beats), drum_kits.compose_beat(beats)
        for kit, beat in ((kits[one], first), (kits[two], second), (kits[two], first)):
            sounds.append(ready(drum_kits.play(kit, beat)))
        names.append(f"{drum_kits.kit_name(kits[one])}-{drum_kits.kit_name(kits[two])}")
    return triples("drums", side, names, sounds)


def real(side: str, count: int) -> list[TruePair]:
    """Phrases put together from recorded notes."""
    instruments = {name: keys for name, keys in RECORDED[side].items() if _notes_of(name).is_dir()}
    random = np.random.default_rng(seed(side, 4))
    sampler = example_module("sampler")
    pairs = [
        (a, b)
        for a, b in _couples(tuple(instruments), random, 4 * count)
        if min(instruments[a][1], instruments[b][1]) - max(instruments[a][0], instruments[b][0])
        >= 12
    ][:count]
    sounds = []
    for number, (a, b) in enumerate(pairs):
        first, second = (melody(side, 50 + number, k, (a, b), instruments) for k in range(2))
        for name, notes in ((a, first), (b, second), (b, first)):
            clip = sampler.play(_notes_of(name), notes, 0.0, SECONDS, RATE)
            sounds.append(ready(clip))
    return triples("real", side, [f"{a}-{b}" for a, b in pairs], sounds)


def melodies(side: str, count: int, sounds_of: Any = None) -> list[TruePair]:
    """As `benchmarks.pairs` plays them, of any length of list and any font."""
    take, preset = rendering().Take, rendering().Preset
    random = np.random.default_rng(seed(side, 6))
    instruments = SETS[side][0]
    takes: list[Any] = []
    names: list[str] = []
    for a, b in _couples(tuple(instruments), random, 4 * count):
        if (
            min(instruments[a][1], instruments[b][1]) - max(instruments[a][0], instruments[b][0])
            < 12
        ):
            continue
        number = 100 + len(names)
        first, second = (melody(side, number, part, (a, b), instruments) for part in range(2))
        for program, notes in ((a, first), (b, second), (b, first)):
            takes.append(take(notes, preset(0, program), 0.0, 0))
        names.append(f"{a}-{b}")
        if len(names) == count:
            break
    sounds = [ready(clip) for clip in rendering().render(sounds_of or font(), takes, False)]
    return triples("voice", side, names, sounds)


def random_phrase(number: int, part: int) -> tuple[Any, ...]:
    """Notes for an instrument of any range: two melodies, then a melody over chords."""
    if number % 3 == 2:
        return within(accompanied("development", 300 + number, part), 40, 84)
    return melody("development", 500 + number, part, ("any",), {"any": (48, 84)})


def missing(kind: str, side: str) -> str:
    """What keeps a kind from being played here; empty where nothing does."""
    if kind in ("chords", "duet", "drums", "voice", "ensemble") and not shutil.which("fluidsynth"):
        return "fluidsynth is not installed"
    if kind in ("chords", "duet", "voice", "ensemble") and not FONT.exists():
        return f"{FONT} is missing (Debian: timgm6mb-soundfont)"
    if kind == "drums" and sum(kit.font.exists() for kit in drum_kits.KITS[side]) < 2:
        return f"{drum_kits.KITS[side][0].font} is missing"
    if kind == "real" and sum(_notes_of(name).is_dir() for name in RECORDED[side]) < 2:
        return f"{NOTES} lacks tonejs-instrument-*-mp3 (npm install; VSCO2_DIR)"
    return ""


def rendering() -> Any:
    """What plays soundfonts, examples/rendering.py."""
    return example_module("rendering")


def seed(side: str, kind: int) -> tuple[int, int]:
    """Of a side's pairs of a kind."""
    return (SETS[side][1], kind)


def ready(clip: Samples) -> Samples:
    """As `TruePair` holds sounds."""
    return prepared(Recording(np.asarray(clip, np.float32)[None], RATE))


def triples(
    kind: str, side: str, names: Sequence[str], sounds: Sequence[Samples]
) -> list[TruePair]:
    """Pairs of sounds, each content, style and target in turn."""
    return [
        true_pair(f"{side}-{number:02d}-{name}", sounds[3 * number : 3 * number + 3], kind)
        for number, name in enumerate(names)
    ]


def _couples(things: Sequence[Any], random: np.random.Generator, count: int) -> list[Any]:
    """Pairs of different things, each as often as the others."""
    if len(things) < 2:
        raise SystemExit(f"two or more are needed to make pairs of, here {len(things)}")
    couples: list[Any] = []
    while len(couples) < count:
        order = [things[int(at)] for at in random.permutation(len(things))]
        couples += zip(order, [*order[-1:], *order[:-1]], strict=True)
    return couples[:count]


def accompanied(side: str, number: int, part: int) -> tuple[Any, ...]:
    """A phrase that has an accompaniment: every second one has."""
    compose = example_module("phrases").compose
    for attempt in range(100):
        phrase = compose("chords", (*seed(side, 1), number, part, attempt))
        if phrase.accompaniment:
            return (*phrase.melody, *phrase.accompaniment)
    raise AssertionError("no phrase with an accompaniment")


def within(notes: tuple[Any, ...], low: int, high: int) -> tuple[Any, ...]:
    """Notes moved to the middle of a range; what still lies outside goes by octaves."""
    pitches = [note.pitch for note in notes]
    shift = (low + high) // 2 - (min(pitches) + max(pitches)) // 2
    moved = []
    for note in notes:
        pitch = note.pitch + shift
        while pitch < low:
            pitch += 12
        while pitch > high:
            pitch -= 12
        moved.append(replace(note, pitch=pitch))
    return tuple(moved)


def melody(
    side: str, number: int, part: int, names: Sequence[Any], ranges: dict[Any, tuple[int, int]]
) -> tuple[Any, ...]:
    """A melody in the range that instruments have in common."""
    low = max(ranges[name][0] for name in names)
    high = min(ranges[name][1] for name in names)
    phrase = example_module("phrases").compose("quality", (*seed(side, 5), number, part))
    return within(phrase.melody, low, high)


def _notes_of(name: str) -> Path:
    return NOTES / f"tonejs-instrument-{name}-mp3"


PLAYED: dict[str, Callable[..., list[TruePair]]] = {
    "chords": chords,
    "duet": duet,
    "drums": drums,
    "real": real,
}
