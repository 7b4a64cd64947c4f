"""Writing a backup while others work in the workspace.

The database is copied by sqlite's own backup, and before the models: a model without a row does
no harm, a row without its model does. Other files are written once under a temporary name and
renamed, so that what is read of them is whole.
"""

import errno
import hashlib
import io
import json
import os
import shutil
import sqlite3
import stat
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from audiostyle import files
from audiostyle.errors import AudiostyleError, InputError
from audiostyle.files_at import is_temporary, naming
from pipeline.backup import FORMAT, FORMAT_VERSION, HASHES, HEAD, ROOT, Content

# Downloads, which come again by name; servers of `make stack`, whose secrets are there, too; kfp's
# cache, which holds addresses of this place and is computed again.
LEFT_OUT = ("data", "stack", "pipeline/.kfp_cache")

_SQLITE = b"SQLite format 3\0"
_SIDE_FILES = ("-wal", "-shm", "-journal")


def write(workspace: Path, target: Path, *, with_data: bool = False) -> Content:
    """Back up a workspace into a new file. Raises InputError, and never overwrites.

    with_data: downloaded data sets, too.
    """
    workspace, target = workspace.resolve(), target.absolute()
    if not workspace.is_dir():
        raise InputError(f"workspace: {workspace} is no folder")
    if target.resolve().is_relative_to(workspace):
        raise InputError(f"{target}: is inside the workspace; write the backup somewhere else")
    compressed = _is_compressed(target)
    if os.path.lexists(target):
        raise InputError(f"{target}: exists already; a backup overwrites nothing")
    if not target.parent.is_dir():
        raise InputError(f"{target.parent}: is no folder")
    left_out = tuple(name for name in LEFT_OUT if not (with_data and name == "data"))
    folder = files.temporary_folder(target)
    try:
        partial = folder / "backup"
        # Models are random numbers to a compressor: the fastest level gains as much as any other.
        form = {"mode": "w:gz", "compresslevel": 1} if compressed else {"mode": "w"}
        with naming(target, always=False), tarfile.open(partial, **form) as archive:
            content = _fill(archive, workspace, left_out, folder)
        partial.chmod(0o600)  # a registry may be private
        files.sync(partial)
        _place(partial, target)
        files.sync(target.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return content


def _place(made: Path, target: Path) -> None:
    """Give the backup its name, unless that is taken by now."""
    try:
        # Unlike a rename, refused where the name is taken.
        target.hardlink_to(made)
    except FileExistsError:
        raise InputError(f"{target}: exists already; a backup overwrites nothing") from None
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
            raise
        made.replace(target)  # a file system without hard links


def _is_compressed(target: Path) -> bool:
    if target.name.endswith((".tar.gz", ".tgz")):
        return True
    if target.name.endswith(".tar"):
        return False
    raise InputError(f"{target}: a backup's name ends in .tar, .tar.gz or .tgz")


def _fill(
    archive: tarfile.TarFile, workspace: Path, left_out: tuple[str, ...], temporary: Path
) -> Content:
    head = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "audiostyle": version("audiostyle"),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "left_out": list(left_out),
    }
    _add_json(archive, HEAD, head)
    hashes: dict[str, str] = {}
    size = links = 0
    # Databases first, see above.
    for path in sorted(_below(workspace, workspace, left_out), key=lambda p: not _is_database(p)):
        name = path.relative_to(workspace).as_posix()
        if path.is_symlink():
            links += _add_link(archive, workspace, path, name)
        elif _is_database(path):
            _copy_database(path, temporary / "database")
            mode = path.stat().st_mode
            hashes[name], length = _add_file(archive, temporary / "database", name, mode)
            size += length
        else:
            try:
                hashes[name], length = _add_file(archive, path, name)
            except FileNotFoundError:
                continue  # deleted since it was listed, by who works in the workspace
            size += length
    _add_json(archive, HASHES, hashes)
    return Content(len(hashes), size, links)


def _below(folder: Path, root: Path, left_out: tuple[str, ...]) -> Iterator[Path]:
    """Files and links, without what is half-written, what others hold open, and `left_out`."""
    for path in sorted(folder.iterdir()):
        if path.relative_to(root).as_posix() in left_out or _is_unfinished(path):
            continue
        if path.is_symlink():
            yield path
        elif path.is_dir():
            yield from _below(path, root, left_out)
        elif path.is_file() and not _is_side_file(path):
            yield path


def _is_unfinished(path: Path) -> bool:
    return is_temporary(path.name) or path.name.startswith(".mlflow.db.new-")


def _is_side_file(path: Path) -> bool:
    """Whether a file is a lock, or one of sqlite's own beside a database, part of its backup."""
    if path.name.startswith(".") and path.name.endswith(".lock"):
        return True
    base = next((path.name.removesuffix(e) for e in _SIDE_FILES if path.name.endswith(e)), "")
    return bool(base) and _is_database(path.with_name(base))


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def _copy_database(path: Path, target: Path) -> None:
    address = f"file:{quote(str(path))}?mode=ro"
    target.unlink(missing_ok=True)
    try:
        with (
            closing(sqlite3.connect(address, uri=True, timeout=30)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
            (state,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise AudiostyleError(f"{path}: cannot be backed up: {error}") from None
    if state != "ok":
        raise AudiostyleError(f"{path}: is damaged: {state}")


def _add_file(
    archive: tarfile.TarFile, path: Path, name: str, mode: int | None = None
) -> tuple[str, int]:
    """Add a file as long as it is when it is opened; returns its SHA-256 and its bytes."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        member = tarfile.TarInfo(f"{ROOT}/{name}")
        member.size, member.mtime = status.st_size, int(status.st_mtime)
        member.mode = stat.S_IMODE(mode or status.st_mode) & 0o755
        reader = _Hashing(file, status.st_size)
        try:
            archive.addfile(member, reader)  # type: ignore[arg-type]
        except OSError as error:
            if reader.left and error.errno is None:  # tarfile's own
                raise AudiostyleError(
                    f"{path}: became shorter while it was read; try again"
                ) from None
            raise error
    return reader.digest.hexdigest(), status.st_size


class _Hashing:
    """Reads so many bytes of a file, and hashes them."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self.left, self.digest = file, size, hashlib.sha256()

    def read(self, most: int) -> bytes:
        chunk = self._file.read(min(most, self.left))
        self.digest.update(chunk)
        self.left -= len(chunk)
        return chunk


def _add_link(archive: tarfile.TarFile, workspace: Path, path: Path, name: str) -> int:
    """Add a link to what is in the workspace, relative to itself; others are left out."""
    target = path.resolve()
    if not target.is_relative_to(workspace) or not target.exists():
        return 0
    member = tarfile.TarInfo(f"{ROOT}/{name}")
    member.type, member.linkname = tarfile.SYMTYPE, os.path.relpath(target, path.parent)
    archive.addfile(member)
    return 1


def _add_json(archive: tarfile.TarFile, name: str, value: Any) -> None:
    content = json.dumps(value, indent=0).encode()
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(content), int(time.time()), 0o644
    archive.addfile(member, io.BytesIO(content))
