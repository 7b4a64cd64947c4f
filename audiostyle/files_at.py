"""Files relative to a folder's descriptor: no link below that folder leads elsewhere.

The folder that a person names is trusted, also where it is a link. What lies in it is not: others
may have put links there. So each part below it is opened relative to the one above, and a link
on the way is an error that names it.
"""

import contextlib
import errno
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import BinaryIO

from audiostyle.errors import InputError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_TEMPORARY = re.compile(r"\.audiostyle-[0-9a-f]{32}\.tmp(\.[A-Za-z0-9]{1,10})?")
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,10}")
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
# What a system without hard links, or between two file systems, answers to a request for one.
_NO_HARD_LINK = (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS)


def temporary_name(name: str) -> str:
    """A hidden name of its own for what becomes `name`, with the same ending.

    Its length does not depend on that of `name`, which may be as long as the system allows.
    """
    ending = PurePath(name).suffix
    return f".audiostyle-{uuid.uuid4().hex}.tmp{ending if _ENDING.fullmatch(ending) else ''}"


def is_temporary(name: str) -> bool:
    """Whether a name is one of `temporary_name`'s: what a writer that was killed leaves behind."""
    return _TEMPORARY.fullmatch(name) is not None


@contextmanager
def inside(root: Path | str, parts: Sequence[str] = (), *, make: bool = False) -> Iterator[int]:
    """A descriptor of the folder `root/parts…`, in which no part after `root` is a link.

    make: whether folders that are missing are made. Raises InputError for a link or a file in the
    way, OSError for what else cannot be opened.
    """
    root = Path(root)
    if make:
        root.mkdir(parents=True, exist_ok=True)
    folder = os.open(root, _FOLDER)
    try:
        for number, part in enumerate(parts, 1):
            path = root.joinpath(*parts[:number])
            with naming(path):
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, dir_fd=folder)
                try:
                    inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
                except OSError as error:
                    if error.errno in (errno.ELOOP, errno.ENOTDIR):
                        raise InputError(_in_the_way(path, "a folder")) from None
                    raise
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def subfolder(root: Path | str, *parts: str) -> Path:
    """The path of a folder below `root`, which is made. Raises InputError as `inside` does."""
    with inside(root, parts, make=True):
        return Path(root, *parts)


def write_at(
    folder: int, name: str, content: bytes, *, absent: bool = False, durable: bool = False
) -> bool:
    """Write a file of a folder's descriptor, as `write_bytes` does.

    absent: only where there is none. Returns whether it was written.
    """
    temporary = temporary_name(name)
    with naming(Path(name)):
        try:
            with os.fdopen(os.open(temporary, _NEW, 0o666, dir_fd=folder), "wb") as file:
                file.write(content)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            return _rename(folder, temporary, name, absent, durable)
        finally:
            _discard(folder, temporary)


def place_at(folder: int, name: str, source: Path) -> None:
    """Give a file that is not written to again a name in a folder's descriptor, durably.

    The same bytes under a second name where the system can do that, else a copy.
    """
    temporary = temporary_name(name)
    try:
        try:
            os.link(source, temporary, dst_dir_fd=folder)
        except OSError as error:
            if error.errno not in _NO_HARD_LINK:
                raise
            handle = os.open(temporary, _NEW, 0o666, dir_fd=folder)
            with source.open("rb") as whole, os.fdopen(handle, "wb") as target:
                shutil.copyfileobj(whole, target)
        handle = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        _rename(folder, temporary, name, False, True)
    finally:
        _discard(folder, temporary)


@contextmanager
def editing(root: Path | str, *parts: str) -> Iterator[BinaryIO]:
    """The file `root/parts…`, which is made where missing, open to read and write in place.

    Raises InputError where it is a link or no plain file. A file that has another name, too (a
    hard link: somebody else's file, or a backup's), is first replaced by a copy of its own.
    """
    path = Path(root, *parts)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with inside(root, parts[:-1], make=True) as folder, naming(path):
        handle = _opened(folder, parts[-1], flags, path)
        if os.fstat(handle).st_nlink > 1:
            with os.fdopen(handle, "rb") as shared:
                write_at(folder, parts[-1], shared.read(), durable=True)
            handle = _opened(folder, parts[-1], flags, path)
        with os.fdopen(handle, "r+b", buffering=0) as file:
            yield file


def open_plain(path: Path) -> BinaryIO:
    """A plain file, to read; links are followed.

    Raises InputError for what is no plain file: a named pipe would be waited on for ever.
    """
    with naming(path):
        return os.fdopen(_opened(None, str(path), _READ, path), "rb")


def remove_folder(root: Path | str, *parts: str) -> None:
    """Delete the folder `root/parts…` and what is in it, where it is there.

    Links in it are deleted, not followed. Raises InputError where one of `parts` is a link.
    """
    path = Path(root, *parts)
    with contextlib.suppress(FileNotFoundError), inside(root, parts[:-1]) as folder:
        status = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            raise InputError(_in_the_way(path, "a folder"))
        shutil.rmtree(parts[-1], dir_fd=folder)


def _opened(folder: int | None, name: str, flags: int, path: Path) -> int:
    try:
        handle = os.open(name, flags, 0o666, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise InputError(_in_the_way(path, "a plain file")) from None
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise InputError(_in_the_way(path, "a plain file"))
    return handle


def _rename(folder: int, temporary: str, name: str, absent: bool, durable: bool) -> bool:
    try:
        if absent:
            # A second name for the file: unlike a rename, refused where the name is taken.
            os.link(temporary, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        else:
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError:
        return False
    except OSError as error:
        # Some network file systems have no hard links; a rename is whole, too.
        if not absent or error.errno not in _NO_HARD_LINK:
            raise
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    if durable:
        sync_folder(folder)
    return True


def sync_folder(folder: int) -> None:
    """Wait until the names in a folder's descriptor are on the disk."""
    with contextlib.suppress(OSError):  # some file systems know no such thing for folders
        os.fsync(folder)


def _discard(folder: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


def _in_the_way(path: Path, needed: str) -> str:
    return (
        f"{path}: must be {needed}; links, pipes and other kinds are neither followed nor replaced"
    )


@contextmanager
def naming(path: Path, *, always: bool = True) -> Iterator[None]:
    """Errors of the system with the whole path; relative to a descriptor they have a part of it.

    always: also those that name a file already.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or not (always or error.filename is None):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None
