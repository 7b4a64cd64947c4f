"""A folder that an archive is written to. Every step is by descriptor, and no link is followed."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

# Of a member's path: what every system takes, with room for the folder that it goes to.
LONGEST, DEEPEST = 1024, 64

# What a name in an archive can be at fault for; everything else is the disk's.
_NAMES = (
    *(errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP),
    *(errno.EILSEQ, errno.EINVAL),
)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Parts = tuple[str, ...]


class UnsafeError(Exception):
    """A name that must not be written, and why."""


class NameTakenError(Exception):
    """A name that cannot be a file or folder here, and why."""


def parts_of(name: str) -> Parts:
    """The folders and the name of a path inside an archive; none for the archive's root.

    Raises UnsafeError for an absolute path and for `..`, NameTakenError for one that is too long.
    """
    if name.startswith("/"):
        raise UnsafeError(f"{name!r:.200} is absolute")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise UnsafeError(f"{name!r:.200} leaves the folder")
    if len(parts) > DEEPEST or len(os.fsencode(name)) > LONGEST:
        raise NameTakenError(f"{name!r:.200}… is longer than {LONGEST} bytes or {DEEPEST} folders")
    if "\0" in name:
        raise NameTakenError(f"{name!r:.200} holds a NUL")
    return parts


class TargetFolder:
    """A folder that is there, to be filled. A context, as it holds the folder open."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._descriptor = -1

    def __enter__(self) -> Self:
        """Open the folder."""
        self._descriptor = os.open(self.root, _FOLDER)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        os.close(self._descriptor)

    def make(self, parts: Parts) -> None:
        """Make a folder, and those above it, where there is none."""
        with _named(parts), self._opened(parts):
            pass

    @contextmanager
    def writing(self, parts: Parts, *, replace: bool = False) -> Iterator[IO[bytes]]:
        """A new file, open to be written. Raises NameTakenError where there is one already.

        replace: remove that one first.
        """
        with _named(parts), self._opened(parts[:-1]) as folder:
            if replace and self._is_file(parts[-1], folder):
                os.unlink(parts[-1], dir_fd=folder)
            descriptor = os.open(parts[-1], _FILE, 0o644, dir_fd=folder)
        with os.fdopen(descriptor, "wb") as file:
            yield file

    def link(self, old: Parts, new: Parts) -> bool:
        """Give a file that was written a second name; False where there is no such file."""
        with _named(new), self._opened(new[:-1]) as folder:
            try:
                with self._opened(old[:-1], make=False) as source:
                    if not self._is_file(old[-1], source):
                        return False
                    os.link(
                        *(old[-1], new[-1]),
                        src_dir_fd=source,
                        dst_dir_fd=folder,
                        follow_symlinks=False,
                    )
            except (FileNotFoundError, NotADirectoryError):
                return False
        return True

    def is_folder(self, parts: Parts) -> bool:
        """Whether there is a folder of this name."""
        try:
            with self._opened(parts, make=False):
                return True
        except OSError:
            return False

    @staticmethod
    def _is_file(name: str, folder: int) -> bool:
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except OSError:
            return False
        try:
            return not os.path.isdir(descriptor)  # noqa: PTH112, of a descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _opened(self, parts: Parts, *, make: bool = True) -> Iterator[int]:
        """The descriptor of a folder below the root, which is made where it is not there."""
        descriptor = os.dup(self._descriptor)
        try:
            for part in parts:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(part, 0o755, dir_fd=descriptor)
                below = os.open(part, _FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)


@contextmanager
def _named(parts: Parts) -> Iterator[None]:
    """Errors of a name as NameTakenError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NAMES:
            raise
        name = "/".join(parts)
        reason = {
            errno.EEXIST: "is there twice",
            errno.EISDIR: "is a folder and a file",
            errno.ENOTDIR: "is a file and a folder",
        }.get(error.errno or 0, f"cannot be a file here: {error.strerror}")
        raise NameTakenError(f"{name!r:.200} {reason}") from None
