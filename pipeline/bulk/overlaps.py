"""What a job writes must not replace what it reads: checked before anything is written."""

import contextlib
import os
import posixpath
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from audiostyle.errors import InputError
from audiostyle.recordings import is_object
from audiostyle.store import FolderStore, Store
from audiostyle.uris import split_s3
from pipeline.bulk.items import Base, Item, Items
from pipeline.bulk.ledger import STATE, Ledger

# Beside the items' own outputs: rows, and the report's pages and pictures.
_FIXED = re.compile(
    r"results(-\d+-of-\d+)?\.jsonl|report(-\d+|-embedded)?\.html|pictures/\d+-[a-z]+\.webp",
    re.IGNORECASE,
)
# Copies of recordings for the report's players.
_OF_PAGE = re.compile(r"media/[0-9a-f]{16}/[^/]+")
# Rows of an error that are named.
_NAMED = 50

_File = tuple[int, int]  # device and inode: a file, however its path is written


def refuse_overlaps(items: Items, base: Base, store: Store, manifest: str) -> frozenset[str]:
    """Raise InputError where an output would replace a recording of any item, or the manifest.

    store: of the outputs. manifest: path or address; empty where there is none. Paths that lead to
    one file by links, or are written differently, are that file. Returns the names in the store
    of recordings that lie there.
    """
    there: _InFolder | _InBucket
    there = _InFolder(store) if isinstance(store, FolderStore) else _InBucket(store)
    inside: set[str] = set()
    problems = []
    if manifest and (reason := there.reserved(manifest)):
        raise InputError(f"out: {store.uri}: the manifest {manifest} {reason}")
    for item in items:
        for role, place in item.places().items():
            if reason := there.reserved(place):
                problems.append(f"{_line(item)}{item.id}: its {role} {place} {reason}")
            elif name := there.name_of(place):
                inside.add(name)
    problems += there.replaced(items, base)
    if problems:
        more = f"\n  and {len(problems) - _NAMED} more" if len(problems) > _NAMED else ""
        raise InputError(
            f"out: {store.uri}: outputs would replace recordings of the job; give another"
            " folder or other ids\n  " + "\n  ".join(problems[:_NAMED]) + more
        )
    return frozenset(inside)


def written_before(ledger: Ledger, places: Sequence[str]) -> set[str]:
    """Of the places that a pattern matches, those that earlier calls wrote: results and their page.

    Else the second call of a job whose pattern reaches into its outputs would go on from them.
    """
    store = ledger.store
    there = _InFolder(store) if isinstance(store, FolderStore) else _InBucket(store)
    inside = {place: names for place in places if (names := there.names(place))}
    if not inside:
        return set()
    outputs = {row["output"] for row in ledger.rows()}
    return {
        place
        for place, names in inside.items()
        if any(name in outputs or _OF_PAGE.fullmatch(name) for name in names)
    }


def refuse_model_folder(store: Store, model: Path) -> None:
    """Raise InputError where outputs would be written into the model's folder."""
    if isinstance(store, FolderStore) and is_inside(store.folder, model):
        raise InputError(f"out: {store.folder}: is in the folder of the model {model}")


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path, which need not exist, is a folder or in it, all links followed."""
    path = Path(os.path.realpath(path))
    try:
        return any(same_file(part, folder) for part in (path, *path.parents))
    except OSError:
        return False


def same_file(first: Path | str, second: Path | str) -> bool:
    """Whether two paths are names of one file or folder that is there."""
    try:
        return Path(first).samefile(second)
    except (OSError, ValueError):
        return False


def _output(item: Item, base: Base) -> str:
    return f"{item.id}.{item.reconstruct.get('format', base.reconstruct.format)}"


def _line(item: Item) -> str:
    return f"line {item.line}: " if item.line else ""


class _InFolder:
    """Recordings and outputs of a folder, by file."""

    def __init__(self, store: FolderStore) -> None:
        self._folder = store.folder
        self._real = os.path.realpath(store.folder)
        self._parent = lru_cache(maxsize=1 << 12)(os.path.realpath)
        self._look = lru_cache(maxsize=1 << 16)(_look)

    def reserved(self, place: str) -> str:
        """What is wrong with where a recording lies; empty where nothing is."""
        for name in self.names(place):
            if name.casefold().startswith(f"{STATE}/"):
                return f"lies in {self._folder / STATE}, which the job clears"
            if _FIXED.fullmatch(name):
                return "would be replaced: the job writes a file of this name"
        return ""

    def name_of(self, place: str) -> str:
        """The name of a recording that lies in the folder itself; else empty."""
        return next((name for name in self.names(place) if "/" not in name), "")

    def names(self, place: str) -> list[str]:
        """Names in the folder of a place, and of what it leads to where it is a link."""
        if is_object(place):
            return []
        folder, name = os.path.split(place)
        paths = [f"{self._parent(folder).rstrip('/')}/{name}"]
        if self._look(place).is_link:
            paths.append(os.path.realpath(place))
        begin = f"{self._real}/"
        return [path.removeprefix(begin) for path in paths if path.startswith(begin)]

    def replaced(self, items: Items, base: Base) -> list[str]:
        """Of each output that is a recording, or a folder: what is wrong."""
        outputs: dict[_File, str] = {}
        problems = []
        if not self._folder.exists():
            return []
        for item in items:
            path = f"{self._folder}/{_output(item, base)}"
            there = _look(path)
            outputs |= dict.fromkeys(there.files, path)
            if there.is_folder:
                problems.append(f"{_line(item)}{item.id}: its output {path} is a folder")
        if not outputs:
            return problems
        for item in items:
            for role, place in item.places().items():
                files = () if is_object(place) else self._look(place).files
                if output := next((outputs[file] for file in files if file in outputs), None):
                    problems.append(
                        f"{_line(item)}{item.id}: its {role} {place} would be replaced by the"
                        f" output {output}"
                    )
        return problems


@dataclass(frozen=True)
class _There:
    """What is at a path. files: the path's own and, of a link, the one that it leads to."""

    files: tuple[_File, ...] = ()
    is_link: bool = False
    is_folder: bool = False


def _look(path: str) -> _There:
    try:
        status = Path(path).lstat()
    except (OSError, ValueError):
        return _There()
    files = [(status.st_dev, status.st_ino)]
    is_link = stat.S_ISLNK(status.st_mode)
    if is_link:
        with contextlib.suppress(OSError):
            target = Path(path).stat()
            files.append((target.st_dev, target.st_ino))
    return _There(tuple(files), is_link, stat.S_ISDIR(status.st_mode))


class _InBucket:
    """Recordings and outputs of a prefix, by key.

    Keys that are one for any server count as one.
    """

    def __init__(self, store: Store) -> None:
        self._prefix = f"{plain_address(store.uri)}/"
        self._recordings: dict[str, str] = {}

    def reserved(self, place: str) -> str:
        """See _InFolder."""
        name = self.name_of(place)
        if name.startswith(f"{STATE}/"):
            return f"lies in {self._prefix}{STATE}, which the job clears"
        if _FIXED.fullmatch(name):
            return "would be replaced: the job writes an object of this name"
        return ""

    def names(self, place: str) -> list[str]:
        """See _InFolder."""
        return [name] if (name := self.name_of(place)) else []

    def name_of(self, place: str) -> str:
        """See _InFolder."""
        if not is_object(place):
            return ""
        address = plain_address(place)
        if not address.startswith(self._prefix):
            return ""
        name = address.removeprefix(self._prefix)
        self._recordings.setdefault(name, place)
        return name

    def replaced(self, items: Items, base: Base) -> list[str]:
        """See _InFolder."""
        if not self._recordings:
            return []
        outputs = ((item, _output(item, base)) for item in items)
        return [
            f"{_line(item)}{item.id}: its output would replace {self._recordings[output]}"
            for item, output in outputs
            if output in self._recordings
        ]


def plain_address(address: str) -> str:
    """An s3:// address as servers may read it that take a//b and a/./b for a/b."""
    bucket, key = split_s3(address)
    return f"s3://{bucket}/{posixpath.normpath('/' + key).lstrip('/')}".rstrip("/")
