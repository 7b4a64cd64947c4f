"""What a data set's module defines, and what such modules are made of."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from audiostyle import manifest
from audiostyle.errors import InputError
from audiostyle.manifest import Columns
from audiostyle.uris import object_name

# Endings of what libsndfile decodes.
SUFFIXES = frozenset(
    (
        *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
        *(".mp2", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".sph", ".nist", ".voc"),
    )
)
# Endings of recordings that it does not decode: they are named rather than passed over.
UNREADABLE = frozenset(
    (
        *(".m4a", ".m4b", ".mp4", ".aac", ".wma", ".amr", ".webm", ".ape", ".wv", ".mka", ".ac3"),
        *(".dts", ".mpc", ".tta", ".ra", ".3gp"),
    )
)
# Folders that programs leave in archives.
_NO_DATA = frozenset(("__macosx", "$recycle.bin", "system volume information"))
# Folders around a data set.
_DEEPEST = 5


@dataclass(frozen=True)
class Source:
    """One labeled recording, as its data set describes it. Empty: the data set does not say.

    path: relative to the data set's root. group: what must stay in one split.
    """

    path: str
    label: str
    split: str = ""
    fold: str = ""
    group: str = ""
    source_id: str = ""
    license: str = ""


@dataclass(frozen=True)
class File:
    """A published file. hash: see `hashes.parse`; empty where none was published."""

    url: str
    hash: str = ""
    size: int | None = None

    @property
    def name(self) -> str:
        """Of the file on disk."""
        return object_name(self.url)


@dataclass(frozen=True)
class Definition:
    """A data set, or a layout that is not of one data set alone.

    find: the folder (or table) in which it begins, at or below the one given, or None.
    read: (root, what `find` gave) to recordings, with paths relative to the root.
    needs: what such a data set has, for errors. rank: those of a lower one are looked for first.
    warning: logged whenever it is read. title and the rest: of a published data set; size: bytes
    to download, about.
    """

    name: str
    find: Callable[[Path], Path | None]
    read: Callable[[Path, Path], list[Source]]
    needs: str
    rank: int = 50
    warning: str = ""
    title: str = ""
    files: tuple[File, ...] = ()
    size: int = 0
    license: str = ""
    citation: str = ""
    note: str = ""


def near(root: Path) -> list[Path]:
    """The folder and those in it: archives mostly hold one folder, which people keep or not."""
    return [root, *folders(root)]


def levels(root: Path) -> Iterator[Path]:
    """The folder and, as long as only one of its folders holds recordings, that one."""
    for _ in range(_DEEPEST):
        yield root
        inner = [folder for folder in folders(root) if holds_recordings(folder)]
        if len(inner) != 1:
            return
        (root,) = inner


def folders(folder: Path) -> list[Path]:
    """Visible folders in a folder, sorted; none where it is not a folder."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and is_visible(p.name))


def recordings(folder: Path, endings: frozenset[str] = SUFFIXES) -> list[Path]:
    """Audio files in a folder, sorted so that every machine agrees."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in endings and is_visible(p.name))


def is_visible(name: str) -> bool:
    """Whether a name is one that a person gave: neither hidden nor a system's own."""
    return not name.startswith(".") and name.casefold() not in _NO_DATA


def all_recordings(root: Path) -> Iterator[Path]:
    """Audio files in a folder and below, decodable or not, in any order; links are followed."""
    seen = set()
    for folder, inner, names in os.walk(root, followlinks=True):
        status = os.stat(folder)  # noqa: PTH116, of a million names
        if (status.st_dev, status.st_ino) in seen:
            inner.clear()  # a link that leads back
            continue
        seen.add((status.st_dev, status.st_ino))
        inner[:] = [name for name in inner if is_visible(name)]
        for name in names:
            if is_visible(name) and _ending(name) in SUFFIXES | UNREADABLE:
                yield Path(folder, name)


def holds_recordings(folder: Path) -> bool:
    """Whether there are audio files in a folder or below."""
    return next(all_recordings(folder), None) is not None


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122, of a million names


def rows(path: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """Rows of a published CSV. Raises InputError naming a column or line that is not there."""
    for row in manifest.rows(path, Columns(columns, lambda name: "")):
        missing = [name for name in columns if not row.problem and not row.cells[name]]
        if problem := row.problem or (f"{missing[0]}: is missing" if missing else ""):
            raise InputError(f"{path}: line {row.line}: {problem}")
        yield row.cells


def relative(path: Path, root: Path) -> str:
    """POSIX path below the root."""
    return path.relative_to(root).as_posix()
