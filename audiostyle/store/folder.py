"""The store in a folder of this machine, or of a network file system."""

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from audiostyle.errors import InputError
from audiostyle.files_at import (
    inside,
    is_temporary,
    naming,
    open_plain,
    place_at,
    write_at,
)
from audiostyle.store.base import CHUNK, Entry, Stream, require_size


class FolderStore:
    """A folder, made when first written to. Writes and deletions go through no link in it."""

    def __init__(self, folder: Path | str, *below: str) -> None:
        """below: names of the folders in `folder`, which is trusted, that lead to the objects."""
        self._root = Path(os.path.abspath(folder))  # noqa: PTH100, resolves no links
        self._below = below
        self.folder = self._root.joinpath(*below)
        self.uri = str(self.folder)

    def below(self, prefix: str) -> "FolderStore":
        """See Store."""
        return FolderStore(self._root, *self._below, *_parts(prefix))

    def check(self) -> None:
        """Raise InputError where the folder is none or cannot be made; nothing is made yet."""
        try:
            with inside(self._root, self._below):
                there = self.folder
        except (FileNotFoundError, NotADirectoryError):
            there = next(path for path in self.folder.parents if os.path.lexists(path))
            if not there.is_dir() or os.path.lexists(self.folder):
                reason = "a file is in its place, or in that of a folder above it"
                raise InputError(f"{self.folder}: is no folder to store in: {reason}") from None
        except OSError as error:
            raise InputError(f"{self.folder}: is no folder to store in: {error.strerror}") from None
        if not os.access(there, os.R_OK | os.W_OK | os.X_OK):
            raise InputError(f"{there}: cannot be read and written: no permission")

    def get(self, key: str, *, most: int | None = None, compare: bool = True) -> bytes | None:
        """See Store. A folder knows no checksums."""
        path = self._path(key)
        if path.is_dir():
            return None
        try:
            with open_plain(path) as file:
                require_size(str(path), os.fstat(file.fileno()).st_size, most)
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def put(self, key: str, content: bytes, *, absent: bool = False) -> bool:
        """See Store. Readers see the old object or the new one, never a part."""
        *folders, name = _parts(key)
        if absent and os.path.lexists(self._path(key)):
            return False
        with naming(self._path(key)), self._inside(folders, make=True) as folder:
            return write_at(folder, name, content, absent=absent)

    def put_file(self, key: str, path: Path) -> None:
        """See Store. On the disk before it gets its name, which so stands for a whole file."""
        *folders, name = _parts(key)
        with naming(self._path(key)), self._inside(folders, make=True) as folder:
            place_at(folder, name, path)

    def size(self, key: str) -> int | None:
        """See Store."""
        status = self._status(key)
        return None if status is None else status.st_size

    def tag(self, key: str) -> str | None:
        """See Store."""
        status = self._status(key)
        return None if status is None else _tag(status)

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """See Store. One folder of names is held in memory at a time. Links are not descended."""
        yield from self._entries(self.folder, "", prefix)

    def _entries(self, folder: Path, above: str, prefix: str) -> Iterator[Entry]:
        def sort_key(item: os.DirEntry[str]) -> str:
            return item.name + "/" * item.is_dir(follow_symlinks=False)

        try:
            items = sorted(os.scandir(folder), key=sort_key)
        except (FileNotFoundError, NotADirectoryError):
            return
        for item in items:
            key = above + item.name
            if is_temporary(item.name):
                continue
            if item.is_dir(follow_symlinks=False):
                if f"{key}/".startswith(prefix) or prefix.startswith(f"{key}/"):
                    yield from self._entries(Path(item.path), f"{key}/", prefix)
            elif key.startswith(prefix) and item.is_file():
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    status = item.stat()
                    yield Entry(key, status.st_size, status.st_mtime)

    def delete(self, key: str) -> None:
        """See Store."""
        *folders, name = _parts(key)
        with (
            contextlib.suppress(FileNotFoundError),
            naming(self._path(key)),
            self._inside(folders) as folder,
        ):
            os.unlink(name, dir_fd=folder)

    @contextmanager
    def open(self, key: str, start: int = 0) -> Iterator[Stream]:
        """See Store."""
        path = self._path(key)
        try:
            file = open_plain(path)
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(f"{path}: does not exist, or is not a file") from None
        with file:
            status = os.fstat(file.fileno())
            file.seek(start)
            yield Stream(status.st_size, _tag(status), iter(lambda: file.read(CHUNK), b""))

    def _path(self, key: str) -> Path:
        return self.folder.joinpath(*_parts(key))

    def _inside(
        self, folders: Sequence[str], *, make: bool = False
    ) -> contextlib.AbstractContextManager[int]:
        return inside(self._root, (*self._below, *folders), make=make)

    def _status(self, key: str) -> os.stat_result | None:
        try:
            status = self._path(key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return None if stat.S_ISDIR(status.st_mode) else status


def _parts(key: str) -> list[str]:
    """A key as names of folders and a file. Raises InputError where it cannot be that."""
    parts = key.split("/")
    if {"", ".", ".."} & set(parts) or "\0" in key or is_temporary(parts[-1]):
        raise InputError(f"key {key!r}: is no relative path inside the store")
    return parts


def _tag(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}"
