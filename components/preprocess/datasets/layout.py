"""What a layout is: how to tell it by looking at a folder, and how to list its recordings."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from audiostyle.errors import InputError

# What libsndfile decodes and what people have.
SUFFIXES = frozenset((".wav", ".flac", ".ogg", ".oga", ".mp3", ".aif", ".aiff", ".aifc"))


@dataclass(frozen=True)
class Source:
    """One labelled recording, as its data set describes it. Empty: the data set does not say.

    path: relative to the data set's root. group: what must stay in one split.
    """

    path: str
    label: str
    split: str = ""
    fold: str = ""
    group: str = ""
    source_id: str = ""
    licence: str = ""


@dataclass(frozen=True)
class Layout:
    """A layout. find: the folder in which it begins, at or below the one given, or None.

    read: (root, folder found) to recordings, with paths relative to the root.
    """

    name: str
    find: Callable[[Path], Path | None]
    read: Callable[[Path, Path], list[Source]]
    warning: str = ""


def near(root: Path) -> list[Path]:
    """The folder and those in it: archives mostly hold one folder, which people keep or not."""
    return [root, *folders(root)]


def folders(folder: Path) -> list[Path]:
    """Visible folders in a folder, sorted; none where it is not a folder."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def recordings(folder: Path) -> list[Path]:
    """Audio files in a folder, sorted so that every machine agrees."""
    if not folder.is_dir():
        return []
    return sorted(
        p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")
    )


def rows(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Rows of a CSV with a header. Raises InputError naming a column or line that is not there."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            if missing := [c for c in columns if c not in (reader.fieldnames or ())]:
                raise InputError(f"{path}: has no column {', '.join(missing)}")
            for row in reader:
                if None in row or None in row.values():
                    raise InputError(f"{path}: line {reader.line_num} has not as many fields")
                yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is no CSV: {error}") from None


def relative(path: Path, root: Path) -> str:
    """POSIX path below the root."""
    return path.relative_to(root).as_posix()
