"""UrbanSound8K as Analytics Vidhya's contest gave it out: numbered clips and a table."""

from pathlib import Path

from audiostyle.errors import InputError
from components.preprocess.datasets.base import (
    Definition,
    Source,
    near,
    recordings,
    relative,
    rows,
)


def _find(root: Path) -> Path | None:
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


def _read(root: Path, folder: Path) -> list[Source]:
    table = _table(folder)
    if table is None:
        raise InputError(f"{folder}: has no train.csv beside or above it")
    return [
        Source(relative(folder / f"{row['ID']}.wav", root), row["Class"], group=row["ID"])
        for row in rows(table, ("ID", "Class"))
    ]


DEFINITION = Definition(
    "analyticsvidhya-urban",
    _find,
    _read,
    needs="Train/<ID>.wav, and train.csv with the columns ID,Class beside or above it",
    rank=11,
    warning="the contest hides which recordings the clips were cut from, so that slices of one"
    " recording fall on both sides of a random split: accuracy will look better than it is."
    " urbansound8k holds the same clips with their folds",
    title="5,435 labeled clips of UrbanSound8K, as a contest gave them out (the paper's own)",
    license="CC BY-NC 3.0",
    citation="Analytics Vidhya, Practice Problem: Urban Sound Classification",
    note="given out behind a login: download train.zip by hand and use --from FILE;"
    " no checksum was published",
)
