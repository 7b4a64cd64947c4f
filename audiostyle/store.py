"""Object stores: a folder (`file://` or a plain path) or a bucket (`s3://bucket/prefix`).

Small on purpose: whole objects in and out, written with a condition where asked for, and read
from any byte on. S3 means its protocol: SeaweedFS and others are reached through
AWS_ENDPOINT_URL, which boto3 reads itself, as it does credentials and region.
"""

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import unquote, urlsplit

from audiostyle.errors import AudiostyleError, InputError
from audiostyle.uris import require_no_secret

# Attempts of one request: botocore waits up to 1, 2 and 4 s in between. That rides out a busy
# server; who can wait for one that is started again does so, knowing for how long.
ATTEMPTS = 4
CHUNK = 1 << 20  # bytes; a larger one makes no download faster


class StoreUnavailableError(AudiostyleError):
    """The store did not answer, or stopped in the middle: the same request may work later."""


@dataclass(frozen=True)
class Entry:
    """An object in a listing. size: bytes; modified: seconds since 1970."""

    key: str
    size: int
    modified: float


@dataclass(frozen=True)
class Stream:
    """An object that is being read. total: bytes of all of it; tag: changes when it does."""

    total: int
    tag: str
    chunks: Iterator[bytes]


class Store(Protocol):
    """Objects by key: relative POSIX paths, without `..`. Errors name the object's URI."""

    uri: str

    def check(self) -> None:
        """Raise InputError or StoreUnavailableError now rather than later."""

    def get(self, key: str) -> bytes | None:
        """The object's bytes; None where there is none."""

    def put(self, key: str, content: bytes, *, absent: bool = False) -> bool:
        """Write a whole object. absent: only where there is none; tells whether it was written."""

    def put_file(self, key: str, path: Path) -> None:
        """Write a whole object from a file, which must not be written to afterwards."""

    def size(self, key: str) -> int | None:
        """The object's size in bytes; None where there is none."""

    def tag(self, key: str) -> str | None:
        """A text that changes when the object does; None where there is none."""

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """The objects whose keys begin with `prefix`, sorted by key."""

    def delete(self, key: str) -> None:
        """Take an object away; nothing happens where there is none."""

    def open(self, key: str, start: int = 0) -> contextlib.AbstractContextManager[Stream]:
        """Read an object from byte `start` on. Raises InputError where there is none."""


def open_store(uri: str | Path) -> Store:
    """The store at a URI: `s3://bucket/prefix`, `file:///folder`, or a plain path."""
    parts = urlsplit(require_no_secret("store", str(uri)))
    if parts.scheme == "s3":
        if not parts.netloc:
            raise InputError(f"{uri}: names no bucket; s3://bucket/prefix is needed")
        # boto3 takes a second to import, and a folder needs none of it.
        from audiostyle.store_s3 import S3Store

        return S3Store(parts.netloc, parts.path.strip("/"))
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise InputError(f"{uri}: names a host; file:///folder is needed")
        return FileStore(Path(unquote(parts.path)))
    if "://" in str(uri):
        raise InputError(f"{uri}: has no store; use s3://bucket/prefix, file:///folder or a path")
    return FileStore(Path(uri))


def checked(key: str) -> str:
    """The key, if it is a relative path that stays inside the store; else raises InputError."""
    pure = PurePosixPath(key)
    if not key or pure.is_absolute() or ".." in pure.parts:
        raise InputError(f"key {key!r}: is no relative path inside the store")
    return key


class FileStore:
    """A folder, made when first written to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.uri = self.folder.as_uri()

    def check(self) -> None:
        """Raise InputError where the folder is none or cannot be made."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{self.uri}: is no folder to store in: {error.strerror}") from None
        if not os.access(self.folder, os.R_OK | os.W_OK | os.X_OK):
            raise InputError(f"{self.uri}: may not be read and written")

    def get(self, key: str) -> bytes | None:
        """See Store."""
        try:
            return (self.folder / checked(key)).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, key: str, content: bytes, *, absent: bool = False) -> bool:
        """See Store. Readers see the old object or the new one, never a part."""
        path = self.folder / checked(key)
        if absent and path.exists():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            temporary.write_bytes(content)
            return self._place(temporary, path, absent)
        finally:
            temporary.unlink(missing_ok=True)

    @staticmethod
    def _place(temporary: Path, path: Path, absent: bool) -> bool:
        if absent:
            try:
                # A second name for the file: unlike a rename, refused where the name is taken.
                path.hardlink_to(temporary)
            except FileExistsError:
                return False
            except OSError as error:
                # Some network file systems have no hard links; a rename is whole, too.
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                    raise
            else:
                return True
        temporary.replace(path)
        return True

    def put_file(self, key: str, path: Path) -> None:
        """See Store. On the disk before it gets its name, which so stands for a whole file."""
        target = self.folder / checked(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
        try:
            try:
                temporary.hardlink_to(path)
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                    raise
                shutil.copyfile(path, temporary)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
            synced(target.parent)
        finally:
            temporary.unlink(missing_ok=True)

    def size(self, key: str) -> int | None:
        """See Store."""
        try:
            return (self.folder / checked(key)).stat().st_size
        except FileNotFoundError:
            return None

    def tag(self, key: str) -> str | None:
        """See Store."""
        try:
            return _tag((self.folder / checked(key)).stat())
        except FileNotFoundError:
            return None

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """See Store. One folder of names is held in memory at a time."""
        yield from self._below(self.folder, prefix)

    def _below(self, folder: Path, prefix: str) -> Iterator[Entry]:
        try:
            found = sorted(os.scandir(folder), key=lambda e: e.name + "/" * e.is_dir())
        except FileNotFoundError:
            return
        for item in found:
            key = Path(item.path).relative_to(self.folder).as_posix()
            if item.name.startswith("."):
                continue
            if item.is_dir():
                if f"{key}/".startswith(prefix) or prefix.startswith(f"{key}/"):
                    yield from self._below(Path(item.path), prefix)
            elif key.startswith(prefix):
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    status = item.stat()
                    yield Entry(key, status.st_size, status.st_mtime)

    def delete(self, key: str) -> None:
        """See Store."""
        (self.folder / checked(key)).unlink(missing_ok=True)

    @contextmanager
    def open(self, key: str, start: int = 0) -> Iterator[Stream]:
        """See Store."""
        path = self.folder / checked(key)
        try:
            file = path.open("rb")
        except (FileNotFoundError, IsADirectoryError):
            raise InputError(f"{path}: does not exist, or is not a file") from None
        with file:
            status = os.fstat(file.fileno())
            file.seek(start)
            yield Stream(status.st_size, _tag(status), iter(lambda: file.read(CHUNK), b""))


def synced(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can say so."""
    with contextlib.suppress(OSError):  # some file systems have no such thing for folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _tag(status: os.stat_result) -> str:
    return f"{status.st_size}-{status.st_mtime_ns}"
