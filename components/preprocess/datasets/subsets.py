"""Data sets that come with their splits: Medley-solos-DB, NSynth, Speech Commands."""

from pathlib import Path

from audiostyle.errors import InputError
from audiostyle.untrusted import json_value
from components.preprocess.datasets.layout import (
    Layout,
    Source,
    folders,
    near,
    recordings,
    relative,
    rows,
)

_MEDLEY = "Medley-solos-DB_metadata.csv"
_MEDLEY_SPLITS = {"training": "train", "validation": "validation", "test": "test"}
_NSYNTH_SPLITS = {"nsynth-train": "train", "nsynth-valid": "validation", "nsynth-test": "test"}
_LISTS = {"validation_list.txt": "validation", "testing_list.txt": "test"}


def _find_medley(root: Path) -> Path | None:
    return next((f for f in near(root) if (f / _MEDLEY).is_file()), None)


def _read_medley(root: Path, base: Path) -> list[Source]:
    places = {p.stem: p for folder in near(root) for p in recordings(folder)}
    found = []
    columns = ("subset", "instrument", "instrument_id", "song_id", "uuid4")
    for row in rows(base / _MEDLEY, columns):
        if row["subset"] not in _MEDLEY_SPLITS:
            raise InputError(f"{base / _MEDLEY}: subset {row['subset']!r} is none of its subsets")
        name = f"Medley-solos-DB_{row['subset']}-{row['instrument_id']}_{row['uuid4']}"
        # One that is not there is named as a failure later on, as every other file would be.
        path = places.get(name, root / f"{name}.wav")
        found.append(
            Source(
                relative(path, root),
                row["instrument"],
                split=_MEDLEY_SPLITS[row["subset"]],
                group=row["song_id"],
                source_id=row["song_id"],
            )
        )
    return found


def _nsynth_parts(folder: Path) -> list[Path]:
    return [f for f in near(folder) if (f / "examples.json").is_file() and (f / "audio").is_dir()]


def _find_nsynth(root: Path) -> Path | None:
    return next((folder for folder in near(root) if _nsynth_parts(folder)), None)


def _read_nsynth(root: Path, base: Path) -> list[Source]:
    found = []
    for part in _nsynth_parts(base):
        table = part / "examples.json"
        try:
            notes = json_value(table.read_bytes())
            for name, note in sorted(notes.items()):
                found.append(
                    Source(
                        relative(part / "audio" / f"{name}.wav", root),
                        note["instrument_family_str"],
                        split=_NSYNTH_SPLITS.get(part.name, ""),
                        group=note["instrument_str"],
                        source_id=name,
                    )
                )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{table}: is not NSynth's table of notes: {error!r}") from None
    return found


def _find_speech(root: Path) -> Path | None:
    return next((f for f in near(root) if all((f / name).is_file() for name in _LISTS)), None)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no text in UTF-8: {error}") from None


def _read_speech(root: Path, base: Path) -> list[Source]:
    listed = {line.strip(): split for name, split in _LISTS.items() for line in _lines(base / name)}
    return [
        Source(
            relative(path, root),
            folder.name,
            split=listed.get(f"{folder.name}/{path.name}", "train"),
            group=path.stem.split("_nohash_")[0],
            source_id=path.stem,
        )
        for folder in folders(base)
        if not folder.name.startswith("_")  # _background_noise_ is no word
        for path in recordings(folder)
    ]


LAYOUTS = (
    Layout("medley-solos-db", _find_medley, _read_medley),
    Layout("nsynth", _find_nsynth, _read_nsynth),
    Layout("speechcommands", _find_speech, _read_speech),
)
