"""UrbanSound8K as published, and as Analytics Vidhya's contest gave it out."""

import re
from pathlib import Path

from audiostyle.errors import InputError
from components.preprocess.datasets.layout import (
    Layout,
    Source,
    folders,
    near,
    recordings,
    relative,
    rows,
)

# In the order of classID.
CLASSES = (
    "air_conditioner",
    "car_horn",
    "children_playing",
    "dog_bark",
    "drilling",
    "engine_idling",
    "gun_shot",
    "jackhammer",
    "siren",
    "street_music",
)
_FOLD = re.compile(r"fold(\d+)")
_NAME = re.compile(r"(\d+)-(\d)-(\d+)-(\d+)")
_COLUMNS = ("slice_file_name", "fsID", "fold", "classID", "class")


def _find(root: Path) -> Path | None:
    """The folder that holds the folders fold1, fold2 …, whose files have names of four numbers."""
    for folder in (root / "UrbanSound8K" / "audio", *near(root)):
        first = [f for f in folders(folder) if _FOLD.fullmatch(f.name)]
        if first and any(_NAME.fullmatch(path.stem) for path in recordings(first[0])):
            return folder
    return None


def _read(root: Path, audio: Path) -> list[Source]:
    if (table := audio.parent / "metadata" / "UrbanSound8K.csv").is_file():
        return [
            Source(
                relative(audio / f"fold{row['fold']}" / row["slice_file_name"], root),
                row["class"],
                fold=row["fold"],
                group=row["fsID"],
                source_id=row["fsID"],
            )
            for row in rows(table, _COLUMNS)
        ]
    found = []
    for folder in folders(audio):
        if not (fold := _FOLD.fullmatch(folder.name)):
            continue
        for path in recordings(folder):
            if not (name := _NAME.fullmatch(path.stem)):
                raise InputError(f"{path}: is not named fsID-classID-occurrence-slice")
            found.append(
                Source(
                    relative(path, root),
                    CLASSES[int(name[2])],
                    fold=fold[1],
                    group=name[1],
                    source_id=name[1],
                )
            )
    return found


def _contest(root: Path) -> Path | None:
    """The folder of recordings, Train/, with train.csv beside or above it."""
    for folder in (root, *near(root / "Train"), *near(root / "train")):
        for nested in (folder, folder / "Train"):
            if _table(nested) and any(p.stem.isdigit() for p in recordings(nested)):
                return nested
    return None


def _table(folder: Path) -> Path | None:
    for place in (folder.parent, folder, folder.parent.parent):
        path = place / "train.csv"
        if path.is_file():
            with path.open(encoding="utf-8-sig") as file:
                if [c.strip() for c in file.readline().split(",")] == ["ID", "Class"]:
                    return path
    return None


def _read_contest(root: Path, folder: Path) -> list[Source]:
    table = _table(folder)
    if table is None:
        raise InputError(f"{folder}: has no train.csv beside or above it")
    return [
        Source(relative(folder / f"{row['ID']}.wav", root), row["Class"], group=row["ID"])
        for row in rows(table, ("ID", "Class"))
    ]


LAYOUTS = (
    Layout("urbansound8k", _find, _read),
    Layout(
        "analyticsvidhya-urban",
        _contest,
        _read_contest,
        "the contest hides which recordings the clips were cut from, so that slices of one"
        " recording fall on both sides of a random split: accuracy will look better than it is."
        " urbansound8k holds the same clips with their folds",
    ),
)
