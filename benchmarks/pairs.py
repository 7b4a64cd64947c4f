"""Pairs of recordings of which the right answer is known.

Content is phrase A on one instrument, style is phrase B on another, and the target is phrase A on
the other: what an ideal transfer would give. Played with fluidsynth from TimGM6mb, a soundfont
that the bundled classifier never heard, on General MIDI programs that it has no class for. The
method was chosen on the development pairs alone; the held-out pairs have other instruments, none
of whose recorded samples a development pair plays, and other phrases.
"""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from audiostyle import audio
from audiostyle.audio import Recording, Samples
from benchmarks.measures import RATE, prepared
from components.stylize.pairs import read_pairs

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
BUNDLED = EXAMPLES / "instruments" / "pairs" / "pairs.csv"
FONT = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")
SECONDS = 3.0

# General MIDI programs (from 0) and the lowest and highest MIDI key that they play.
DEVELOPMENT = {
    4: (40, 84),  # electric piano
    11: (53, 89),  # vibraphone
    12: (48, 84),  # marimba
    16: (40, 88),  # drawbar organ
    22: (60, 84),  # harmonica
    25: (42, 78),  # steel-string guitar
    32: (30, 60),  # double bass, plucked
    41: (50, 80),  # viola
    46: (40, 88),  # harp
    48: (40, 88),  # strings
    52: (48, 79),  # choir
    57: (40, 70),  # trombone
    60: (41, 77),  # horn
    68: (58, 86),  # oboe
    74: (60, 90),  # recorder
    105: (45, 80),  # banjo
}
HELD_OUT = {
    7: (40, 84),  # clavinet
    8: (60, 96),  # celesta
    108: (48, 84),  # kalimba
    20: (40, 84),  # reed organ
    26: (42, 80),  # jazz guitar
    53: (48, 79),  # voices
    58: (30, 58),  # tuba
    59: (55, 84),  # muted trumpet
    67: (38, 68),  # baritone saxophone
    69: (52, 81),  # English horn
    70: (36, 70),  # bassoon
    75: (60, 90),  # pan flute
    79: (60, 90),  # ocarina
    104: (45, 77),  # sitar
    107: (50, 84),  # koto
    111: (57, 84),  # shanai
}
# Played by other fonts, for fitting alone: those of the development side and many more.
FURTHER = {
    **dict.fromkeys((0, 1, 2, 5, 6, 17, 18, 19, 21, 23, 49, 50, 51), (40, 86)),
    **dict.fromkeys((24, 27, 28, 29, 30, 44, 45, 54, 61, 62, 63, 65, 80, 81, 82, 85), (44, 80)),
    **dict.fromkeys((14, 15, 56, 66, 71, 88, 89, 90, 91, 106, 109, 114), (50, 82)),
    **dict.fromkeys((9, 10, 13, 40, 64, 72, 73, 77, 78, 110, 112), (60, 88)),
    **dict.fromkeys((33, 35, 38, 39, 42), (32, 62)),
    **DEVELOPMENT,
}
assert not set(FURTHER) & set(HELD_OUT)
SETS = {
    "development": (DEVELOPMENT, 101),
    "heldout": (HELD_OUT, 20_261_126),
    "further": (FURTHER, 9001),
}
# Semitones that two instruments must have in common to be a pair.
_COMMON = 12


@dataclass(frozen=True)
class TruePair:
    """Sounds as `measures.prepared` gives them: float32, 22,050 Hz, one RMS.

    target: None where nobody knows what would be right. kind: see `benchmarks.quality.kinds`.
    """

    id: str
    content: Samples
    style: Samples
    target: Samples | None
    kind: str = "voice"


def true_pair(name: str, sounds: Sequence[Samples], kind: str = "voice") -> TruePair:
    """From content, style and target."""
    content, style, target = sounds
    return TruePair(name, content, style, target, kind)


def can_play() -> bool:
    """Whether the soundfont, fluidsynth and what writes MIDI files are installed."""
    try:
        _player().require("fluidsynth", "fluidsynth")
    except (ImportError, RuntimeError):
        return False
    return FONT.exists()


def played(name: str, count: int = 16) -> list[TruePair]:
    """The first pairs of a set, 'development' or 'heldout', dry and in tune. The same each time."""
    instruments, seed = SETS[name]
    rendering = _player()
    take, preset = rendering.Take, rendering.Preset
    pairs = _scores(instruments, seed, name)[:count]
    takes = []
    for one, two, first, second in pairs:
        for program, notes in ((one, first), (two, second), (two, first)):
            takes.append(take(notes, preset(0, program), 0.0, 0))
    sounds = [_prepared(clip) for clip in rendering.render(font(), takes, False)]
    return [
        true_pair(f"{name}-{number:02d}-{one}-{two}", sounds[3 * number : 3 * number + 3])
        for number, (one, two, _, _) in enumerate(pairs)
    ]


def samples(name: str) -> set[Any]:
    """The soundfont's recorded samples that any pair of a set plays."""
    instruments, seed = SETS[name]
    zones, preset = example_module("zones"), _player().Preset
    return {
        sample
        for one, two, first, second in _scores(instruments, seed, name)
        for program, notes in ((one, first), (two, second), (two, first))
        for note in notes
        for sample in zones.touched(
            font(), preset(0, program), note.pitch, (note.velocity, note.velocity)
        )
    }


def read(manifest: Path, seconds: float = SECONDS, kind: str = "voice") -> list[TruePair]:
    """Pairs of a CSV (id,content,style,target), or of the pairs.csv in a folder, cut."""
    path = manifest / "pairs.csv" if manifest.is_dir() else manifest
    pairs = []
    for pair in read_pairs(path):
        if pair.target is None:
            continue
        files = (pair.content, pair.style, pair.target)
        pairs.append(true_pair(pair.id, [cut(Path(file), seconds) for file in files], kind))
    return pairs


def cut(file: Path, seconds: float = SECONDS) -> Samples:
    """The first seconds of a recording."""
    recording = audio.read(file)
    samples = recording.samples[:, : round(seconds * recording.sample_rate)]
    return prepared(Recording(samples, recording.sample_rate))


def _prepared(clip: Samples) -> Samples:
    return prepared(Recording(np.asarray(clip, np.float32)[None], RATE))


def _scores(instruments: dict[int, tuple[int, int]], seed: int, name: str) -> list[Any]:
    """Pairs (content program, style program, content's notes, style's notes), shuffled."""
    random = np.random.default_rng(seed)
    programs = list(instruments)
    scores: list[Any] = []
    while len(scores) < 32:
        order = [int(program) for program in random.permutation(programs)]
        for one, two in zip(order, [*order[-1:], *order[:-1]], strict=True):
            low = max(instruments[one][0], instruments[two][0])
            high = min(instruments[one][1], instruments[two][1])
            if high - low < _COMMON or len(scores) == 32:
                continue
            number = len(scores)
            phrases = [
                _centered(
                    example_module("phrases").compose(f"{name}-{number}-{part}", (seed, number, k)),
                    (low + high) // 2,
                )
                for k, part in enumerate("ab")
            ]
            scores.append((one, two, *phrases))
    return scores


def _centered(phrase: Any, center: int) -> Any:
    """The melody in the middle of what both instruments can play."""
    pitches = [note.pitch for note in phrase.melody]
    shift = center - (min(pitches) + max(pitches)) // 2
    return tuple(replace(note, pitch=note.pitch + shift) for note in phrase.melody)


def font() -> Any:
    """TimGM6mb, as the scripts of examples/ know soundfonts."""
    return replace(example_module("catalogue").FLUIDR3, name=FONT.stem, path=FONT)


def _player() -> ModuleType:
    return example_module("rendering")


@cache
def example_module(name: str) -> ModuleType:
    """A module of examples/, whose scripts import each other by their bare names."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(EXAMPLES))
