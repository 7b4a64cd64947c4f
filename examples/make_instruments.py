"""Make the bundled recordings ``examples/instruments/`` from five free collections of sounds.

Only this script needs synthesizers, oggenc, mido and those sounds; nothing else in the project
does. How to install them on Debian 12 is told in ``examples/instruments/README.md``.

The test split has a font of its own. Train and validation share two fonts, yet no recording in
them: validation plays keys whose samples train never touches; train has two fonts more. Every
split has phrases of its own. The same versions of the tools make the same bytes.
"""

import csv
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import rendering
from catalogue import (
    ALTERNATIVES,
    BORROWED,
    FLUIDR3,
    FREEPATS,
    GMBANK,
    HELD_OUT,
    INSTRUMENTS,
    NOTE_PACKAGES,
    SONIVOX,
    VSCO2,
    Font,
    Kind,
    Preset,
)
from checks import check
from phrases import Note, Phrase, compose, fit, fold
from rendering import Take
from zones import touched

SEED = 20_240_601
# Their places seed the phrases.
SPLITS = ("train", "validation", "test", "pairs")

# Phrases of each class and font; those of a split are numbered in this order.
PHRASES = {
    "train": ((FLUIDR3, 9), (FREEPATS, 7), (SONIVOX, 7), (VSCO2, 7)),
    "validation": ((FLUIDR3, 3), (FREEPATS, 3)),
    "test": ((GMBANK, 10),),
}
# Of oggenc, -1 to 10.
QUALITY = {"train": 0.0, "validation": 0.0, "test": 2.0}
# Of oggenc. Targets are compared with, so they are near transparent; FLAC takes 2.5 times as much.
PAIR_QUALITY = 8.0
# Content by the first, style by the second; each two share a register.
PAIRS = (
    ("flute", "violin"),
    ("trumpet", "clarinet"),
    ("violin", "accordion"),
    ("guitar", "piano"),
    ("saxophone", "organ"),
    ("cello", "trumpet"),
)


@dataclass(frozen=True)
class Clip:
    """One file to make: its path below the output folder, what it holds and how it is played."""

    path: str
    label: str
    split: str
    group: str
    font: Font
    take: Take
    reverb: bool

    @property
    def recordings(self) -> str:
        """The split with which it may share recordings of instruments."""
        return "test" if self.split == "pairs" else self.split


def split_clips(split: str, fonts: dict[str, Font]) -> list[Clip]:
    """Every phrase by every instrument; reverb on every other clip, in each class and overall."""
    clips = []
    players = [fonts[font.name] for font, count in PHRASES[split] for _ in range(count)]
    for index, owner in enumerate(players):
        phrase = compose(f"{split}-{index:02d}", (SEED, SPLITS.index(split), index))
        for place, (label, instrument) in enumerate(INSTRUMENTS.items()):
            font = _player(fonts, owner, label, index)
            rng = np.random.default_rng([SEED, SPLITS.index(split), index, instrument.program])
            preset, notes = _play(split, font, label, phrase, index, rng.random())
            cents = float(rng.uniform(-12, 12))
            wheel = int(rng.integers(10, 60)) if instrument.vibrato and rng.random() < 0.5 else 0
            take = Take(notes, preset, cents, wheel)
            path = f"{split}/{label}/{phrase.name}.ogg"
            reverb = (index + place) % 2 == 1
            clips.append(Clip(path, label, split, phrase.name, font, take, reverb))
    return clips


def _player(fonts: dict[str, Font], owner: Font, label: str, index: int) -> Font:
    """The font that plays a class's part of a phrase: its owner, or what stands in for it."""
    if owner.kind is not Kind.NOTES or INSTRUMENTS[label].preset in NOTE_PACKAGES:
        return owner
    substitutes = (FLUIDR3, FREEPATS, SONIVOX)
    return fonts[substitutes[index % len(substitutes)].name]


def _play(
    split: str, font: Font, label: str, phrase: Phrase, index: int, choice: float
) -> tuple[Preset, tuple[Note, ...]]:
    """The preset and the notes of a clip; only train has the further presets, and barred keys."""
    instrument = INSTRUMENTS[label]
    preset, barred = instrument.preset, set[int]()
    if split == "validation":
        return preset, fold(phrase, *HELD_OUT[font.name][label], choice)
    if split == "train":
        presets = (preset, *ALTERNATIVES.get((font.name, label), ()))
        preset = presets[index // 2 % len(presets)]  # two in a row: one dry, one with reverb
        first, last = HELD_OUT.get(font.name, {}).get(label, (0, -1))
        held = {s for key in range(first, last + 1) for s in touched(font, instrument.preset, key)}
        keys = range(instrument.low, instrument.high + 1)
        barred = {key for key in keys if held & touched(font, preset, key)}
        first, last = BORROWED.get((font.name, label), (0, -1))
        barred.update(range(first, last + 1))
    low, high = instrument.low, instrument.high
    return preset, fit(phrase, low, high, choice, instrument.polyphonic, barred)


def pair_clips(font: Font) -> tuple[list[Clip], list[dict[str, str]]]:
    """Content, style and target of each pair, and the rows of ``pairs.csv``; dry and in tune."""
    clips, rows = [], []
    for index, pair in enumerate(PAIRS):
        one, two = (INSTRUMENTS[label] for label in pair)
        # Transposed to the middle of what both can play, so one melody serves for both.
        center = (max(one.low, two.low) + min(one.high, two.high)) // 2
        names = [f"pair-{index}-{role}" for role in ("a", "b")]
        melodies = [
            _centered(compose(name, (SEED, SPLITS.index("pairs"), index, part)), center)
            for part, name in enumerate(names)
        ]
        row = {"id": f"{pair[0]}-{pair[1]}"}
        roles = (("content", 0, 0), ("style", 1, 1), ("target", 0, 1))
        for role, melody, player in roles:
            path = f"{row['id']}/{role}.ogg"
            row[role] = path
            take = Take(melodies[melody], INSTRUMENTS[pair[player]].preset, 0.0, 0)
            group = names[melody]
            clips.append(Clip(f"pairs/{path}", pair[player], "pairs", group, font, take, False))
        rows.append(row)
    return clips, rows


def _centered(phrase: Phrase, center: int) -> tuple[Note, ...]:
    pitches = [note.pitch for note in phrase.melody]
    shift = center - (min(pitches) + max(pitches)) // 2
    return tuple(replace(note, pitch=note.pitch + shift) for note in phrase.melody)


def write(clips: list[Clip], out: Path) -> None:
    """Render the clips, one run of the synthesizer for each font, room and part, and encode them.

    What may not share recordings does not share a run either, in which an echo might last.
    """
    parts: dict[tuple[str, bool, str], list[Clip]] = {}
    for clip in clips:
        parts.setdefault((clip.font.name, clip.reverb, clip.recordings), []).append(clip)
    for (font, reverb, recordings), chosen in sorted(parts.items(), key=lambda part: part[0]):
        click.echo(f"{font}, {'reverb' if reverb else 'dry'}, {recordings}: {len(chosen)} clips")
        audio = rendering.render(chosen[0].font, [clip.take for clip in chosen], reverb)
        for clip, samples in zip(chosen, audio, strict=True):
            quality = QUALITY.get(clip.split, PAIR_QUALITY)
            rendering.write_ogg(out / clip.path, samples, quality)


def write_table(path: Path, rows: list[dict[str, str]]) -> None:
    """Write rows as CSV with the first row's keys as header."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def manifest_rows(clips: list[Clip]) -> list[dict[str, str]]:
    """One row a clip, ordered by path."""
    return [
        {
            "path": clip.path,
            "label": clip.label,
            "split": clip.split,
            "group": clip.group,
            "source": f"{clip.font.name} ({clip.font.package} {clip.font.version})",
            "license": clip.font.license,
        }
        for clip in sorted(clips, key=lambda clip: clip.path)
    ]


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="[default: beside this script]")
@click.option("--fluidr3", type=click.Path(path_type=Path), default=FLUIDR3.path)
@click.option("--freepats", type=click.Path(path_type=Path), default=FREEPATS.path)
@click.option("--sonivox", type=click.Path(path_type=Path), default=SONIVOX.path)
@click.option("--vsco2", type=click.Path(path_type=Path), default=VSCO2.path)
@click.option("--gmbank", type=click.Path(path_type=Path), default=GMBANK.path)
def main(
    out: Path | None, fluidr3: Path, freepats: Path, sonivox: Path, vsco2: Path, gmbank: Path
) -> None:
    """Make the recordings, their tables, and check them. Replaces the splits' folders in --out."""
    out = out or Path(__file__).parent / "instruments"
    places = (
        (FLUIDR3, fluidr3),
        (FREEPATS, freepats),
        (SONIVOX, sonivox),
        (VSCO2, vsco2),
        (GMBANK, gmbank),
    )
    fonts = {font.name: replace(font, path=path) for font, path in places}
    try:
        for tool, package in (
            ("fluidsynth", "fluidsynth"),
            ("timidity", "timidity"),
            ("oggenc", "vorbis-tools"),
        ):
            rendering.require(tool, package)
        for font in fonts.values():
            rendering.require_font(font, presets_of(font))
    except (rendering.MissingToolError, ValueError) as error:
        raise click.ClickException(str(error)) from error

    clips = [clip for split in PHRASES for clip in split_clips(split, fonts)]
    pairs, pair_rows = pair_clips(fonts[GMBANK.name])
    clips += pairs

    for split in SPLITS:
        shutil.rmtree(out / split, ignore_errors=True)
    write(clips, out)
    write_table(out / "manifest.csv", manifest_rows(clips))
    write_table(out / "pairs" / "pairs.csv", pair_rows)
    try:
        check(out, clips)
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def presets_of(font: Font) -> list[Preset]:
    """All presets that the script plays in a font, in order."""
    if font.kind is Kind.NOTES:
        return sorted(NOTE_PACKAGES)
    presets = {instrument.preset for instrument in INSTRUMENTS.values()}
    for label in INSTRUMENTS:
        presets.update(ALTERNATIVES.get((font.name, label), ()))
    return sorted(presets)


if __name__ == "__main__":
    main()
