"""Kinds of recordings that people bring, each with a development and a held-out side.

Played pairs are kept in a cache (`AUDIOSTYLE_BENCHMARKS`, by default ~/.cache/audiostyle). Public
recordings come from `PAIRS_DIR` (StarNet, VCTK) and `ESC10_DIR` (ESC-10), by default folders of
../shared/data; a kind whose recordings are not there is passed over, with a word why.
"""

import csv
import os
from pathlib import Path

import numpy as np

from audiostyle.artifacts import digest_of
from benchmarks import pairs
from benchmarks.pairs import TruePair, true_pair
from benchmarks.quality import ensembles, playing

ROOT = Path(__file__).resolve().parents[2]
KINDS = (
    *("voice", "chords", "duet", "drums", "ensemble", "real", "starnet", "starmix", "speech"),
    "fx",
)
SIDES = ("development", "heldout")
_CACHE = Path(os.environ.get("AUDIOSTYLE_BENCHMARKS") or Path.home() / ".cache" / "audiostyle")
_DATA = ROOT.parent / "shared" / "data"
_PAIRS = Path(os.environ.get("PAIRS_DIR") or _DATA / "pairs")
_ESC10 = Path(os.environ.get("ESC10_DIR") or _DATA / "ESC-10")
_KIND_OF_TABLE = {"starnet": "solo", "starmix": "mix", "speech": "speech"}
# Excerpts of StarNet are 10 s.
_STARNET_SECONDS, _SPEECH_SECONDS = 10.0, 6.0
# StarNet's pieces 1 and 2 and the first sentences of VCTK: what methods may be chosen on.
_DEVELOPMENT = ("starnet-1", "starnet-2", "003", "008", "011", "016")
# Effects and textures of ESC-10: those that methods may be chosen on, and the others.
_EFFECTS = {
    "development": ("002", "003", "005", "008", "010"),  # rain, sea, clock, chainsaw, fire
    "heldout": ("001", "004", "006", "007", "009"),  # dog, baby, sneeze, helicopter, rooster
}
_TAKES = {"development": 0, "heldout": 30}
# Pairs of a kind that are played.
_MOST = 16
_SOURCES = ("voice", "chords", "drums", "speech")


def pairs_of(kind: str, side: str, count: int) -> tuple[list[TruePair], str]:
    """At most `count` pairs of a kind, the same each time; and why there are none, where so."""
    if kind in _KIND_OF_TABLE:
        return _public(kind, side, count)
    if kind == "fx":
        return _effects(side, count)
    if lacking := playing.missing(kind, side):
        return [], lacking
    return _cached(kind, side, count), ""


def _public(kind: str, side: str, count: int) -> tuple[list[TruePair], str]:
    table = _PAIRS / "pairs.csv"
    if not table.is_file():
        return [], f"{table} is missing (PAIRS_DIR)"
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == _KIND_OF_TABLE[kind]]
    early = [any(name in row["id"] for name in _DEVELOPMENT) for row in rows]
    rows = [row for row, mine in zip(rows, early, strict=True) if mine == (side == SIDES[0])]
    # Every other one, so that few pairs show both directions.
    step = max(1, len(rows) // count)
    seconds = _SPEECH_SECONDS if kind == "speech" else _STARNET_SECONDS
    return [
        true_pair(
            row["id"],
            [pairs.cut(_PAIRS / row[role], seconds) for role in ("content", "style", "target")],
            kind,
        )
        for row in rows[::step][:count]
    ], ""


def _effects(side: str, count: int) -> tuple[list[TruePair], str]:
    folders = {path.name[:3]: path for path in sorted(_ESC10.glob("[0-9][0-9][0-9] - *"))}
    if not all(name in folders for name in _EFFECTS[side]):
        return [], f"{_ESC10} is missing (ESC10_DIR)"
    effects = []
    contents = {kind: pairs_of(kind, side, 8)[0] for kind in _SOURCES}
    contents = {kind: known for kind, known in contents.items() if known}
    for number in range(count if contents else 0):
        kind = list(contents)[number % len(contents)]
        content = contents[kind][number // len(contents) % len(contents[kind])]
        names = _EFFECTS[side]
        folder = folders[names[number % len(names)]]
        style = sorted(folder.glob("*.ogg"))[_TAKES[side] + number // len(names)]
        sound = pairs.cut(style, 5.0)
        name = f"{content.id}-{folder.name[6:].replace(' ', '')}"
        effects.append(TruePair(f"{kind}-{name}", content.content[: 3 * 22050], sound, None, "fx"))
    return effects, ""


def _cached(kind: str, side: str, count: int) -> list[TruePair]:
    make = {**playing.PLAYED, "ensemble": ensembles.ensembles}.get(kind, pairs.played)
    modules = (playing, pairs, ensembles) if kind == "ensemble" else (playing, pairs)
    made_by = [Path(module.__file__ or "").read_text("utf-8") for module in modules]
    folder = _CACHE / "pairs" / digest_of([kind, side, made_by])[:16]
    path = folder / "pairs.npz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        sounds = {
            f"{number:03d} {pair.id} {role}": getattr(pair, role)
            for number, pair in enumerate(make(side, _MOST))
            for role in ("content", "style", "target")
        }
        temporary = path.with_suffix(f".{os.getpid()}.npz")
        np.savez_compressed(temporary, **sounds)
        temporary.replace(path)
    with np.load(path, allow_pickle=False) as stored:
        names = list(stored)
        return [
            true_pair(names[at].split()[1], [stored[name] for name in names[at : at + 3]], kind)
            for at in range(0, 3 * min(count, _MOST), 3)
        ]
