"""Writing files: each appears whole or not at all, and no link leads a write elsewhere.

A new file gets a temporary name in the folder where it belongs, and its own name when it is whole.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audiostyle.files_at import (
    inside,
    is_temporary,
    naming,
    sync_folder,
    temporary_name,
    write_at,
)


def has_text_name(path: Path | str) -> bool:
    """Whether a path is text: Linux takes any bytes as a name, artifacts and libsndfile UTF-8."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def write_text(path: Path | str, text: str, *, durable: bool = False) -> None:
    """Write a text file in UTF-8, as `write_bytes` does."""
    write_bytes(path, text.encode(), durable=durable)


def write_bytes(path: Path | str, content: bytes, *, durable: bool = False) -> None:
    """Write a file as a whole or not at all. A link in its place is replaced, not followed.

    durable: return when file and name are on the disk, so that a power cut does not lose them.
    """
    path = Path(path)
    with naming(path), inside(path.parent) as folder:
        write_at(folder, path.name, content, durable=durable)


@contextmanager
def replacing(path: Path | str, *, durable: bool = False) -> Iterator[Path]:
    """Yields an empty temporary file, to fill; it becomes `path` at the end.

    For libraries that write to a path. It is in a temporary folder beside `path`: a library may
    have temporary files of its own, which a process that is killed leaves there. An error inside
    leaves `path` as it was.
    """
    path = Path(path)
    folder = _folder_beside(path)
    temporary = folder / temporary_name(path.name)
    try:
        temporary.touch(exist_ok=False)
        rights = temporary.stat().st_mode
        yield temporary
        # Those of any new file: safetensors puts a file for its owner alone in this one's place.
        temporary.chmod(rights)
        if durable:
            sync(temporary)
        temporary.replace(path)
        if durable:
            sync(path.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def replacing_folder(folder: Path | str) -> Iterator[Path]:
    """Yields an empty temporary folder beside `folder`, to fill; it becomes `folder` at the end.

    One that is there is replaced whole. An error inside leaves it as it was. Other users can read
    the new one.
    """
    folder = Path(folder)
    temporary = temporary_folder(folder)
    try:
        yield temporary
        temporary.chmod(0o755)
        if folder.is_dir():
            # Two renames: a reader may see no folder for an instant, but never a mixture.
            before = temporary_folder(folder)
            try:
                folder.rename(before / "replaced")
                try:
                    temporary.rename(folder)
                except OSError:
                    (before / "replaced").rename(folder)
                    raise
            finally:
                shutil.rmtree(before, ignore_errors=True)
        else:
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def temporary_folder(folder: Path | str) -> Path:
    """A new hidden folder beside `folder`, for this user alone. Its parents are made."""
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    return _folder_beside(folder)


def _folder_beside(path: Path) -> Path:
    folder = path.with_name(temporary_name("x"))
    folder.mkdir(mode=0o700)
    return folder


def copy(source: Path | str, target: Path | str, *, durable: bool = False) -> None:
    """Copy a file's content as a whole or not at all. The folder of `target` is made."""
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target, durable=durable) as temporary:
        shutil.copyfile(source, temporary)


def remove_temporaries(folder: Path | str) -> None:
    """Delete what writers that were killed left in a folder. No other may be writing there."""
    for path in Path(folder).iterdir():
        if not is_temporary(path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def sync(path: Path | str) -> None:
    """Wait until a file's bytes, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if Path(path).is_dir():
            sync_folder(handle)
        else:
            os.fsync(handle)
    finally:
        os.close(handle)
