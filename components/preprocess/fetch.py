"""From a name, address, archive or folder to a folder with the data set in it."""

import fcntl
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from audiostyle.artifacts import digest_of, file_digest
from audiostyle.errors import InputError
from audiostyle.files import temporary_folder
from audiostyle.manifest import FORMATS, is_manifest
from audiostyle.store import open_store
from audiostyle.uris import file_path, object_name, require_no_secret, scheme_of, split_object
from components.preprocess.datasets import registry
from components.preprocess.datasets.base import Definition, File
from components.preprocess.download import Patience, download
from components.preprocess.extract import ENDINGS, Limits, extract_into, is_archive
from components.preprocess.hashes import parse

log = logging.getLogger(__name__)


def located(
    data: str, home: Path, *, mirror: str = "", hash: str = "", patience: Patience | None = None
) -> Path:
    """Folder (or manifest) of a data set, fetched to `home` first where it is not here.

    data: a folder or manifest, as it is; an archive on this machine or at an address, or a name.
    mirror: address of a folder with the published files in it, or of one archive.
    hash: of an archive for which none is built in, as `hashes.parse` takes it.
    """
    require_no_secret("data", data)
    require_no_secret("from", mirror)
    if hash:
        parse(hash)  # a mistyped one is said before the download
    path = Path(data)
    if path.is_dir() or (path.is_file() and is_manifest(path)):
        return path.resolve()
    if path.exists():
        if not (path.is_file() and is_archive(path)):
            forms = ", ".join((*(f".{name}" for name in FORMATS), *ENDINGS))
            raise InputError(f"data: {path} is neither a folder nor a file that ends in {forms}")
        # By content: another archive of the same name is another data set.
        name = _archive_name(path.name, file_digest(path))
        return fetch(name, (File(str(path), hash),), home, patience=patience)
    if scheme_of(data):
        about = [data, hash, _tag(data)] if scheme_of(data) == "s3" else [data, hash]
        name = _archive_name(object_name(data.rstrip("/")), digest_of(about))
        return fetch(name, (File(data, hash),), home, patience=patience)
    known = registry.named(data)
    files = _mirrored(known, mirror) if mirror else known.files
    if hash:
        if len(files) != 1:
            raise InputError(f"hash: {data} has {len(files)} files, one hash says too little")
        files = (replace(files[0], hash=hash),)
    if not files:
        raise InputError(f"{known.name}: has no address: {known.note}")
    return fetch(known.name, files, home, patience=patience)


def fetch(
    name: str,
    files: tuple[File, ...],
    home: Path,
    *,
    patience: Patience | None = None,
    limits: Limits | None = None,
) -> Path:
    """Download and extract files to `home`/NAME; returns that folder.

    A folder of that name is the whole data set, as it is made in one go. What is resumable lies in
    NAME.download until then. Archives on this machine are extracted where they are.
    """
    folder = home / name
    if folder.is_dir():
        return folder.resolve()
    paths = [_path_of(file.url) for file in files]
    local = [_checked(path, file) for path, file in zip(paths, files, strict=True) if path]
    if len(local) == len(files):
        return _extracted(local, folder, limits or Limits())
    downloads = home / f"{name}.download"
    with _alone(downloads):
        try:
            if folder.is_dir():
                return folder.resolve()  # another process has fetched it meanwhile
            here = [
                path or _download(file, downloads, patience)
                for path, file in zip(paths, files, strict=True)
            ]
            _extracted(here, folder, limits or Limits())
            shutil.rmtree(downloads, ignore_errors=True)
        finally:
            _remove_if_empty(downloads)
    return folder.resolve()


def _extracted(files: list[Path], folder: Path, limits: Limits) -> Path:
    """Archives and other files in one folder, whole or not at all; returns the folder."""
    temporary = temporary_folder(folder)
    try:
        for path in files:
            if is_archive(path):
                extract_into(path, temporary, limits)
            else:
                shutil.copyfile(path, temporary / path.name)
        temporary.chmod(0o755)
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster, with the same
                raise
    except InputError:
        # An archive that was downloaded is no good: nothing of it is worth keeping.
        shutil.rmtree(folder.with_name(f"{folder.name}.download"), ignore_errors=True)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder.resolve()


def _download(file: File, downloads: Path, patience: Patience | None) -> Path:
    target = downloads / file.name
    return download(file.url, target, hash=file.hash, size=file.size, patience=patience)


@contextmanager
def _alone(downloads: Path) -> Iterator[None]:
    """Let no other process work in a folder of downloads, which is made; others wait."""
    while True:
        if downloads.is_symlink():
            raise InputError(f"{downloads}: is a link; a folder is needed to download to")
        downloads.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(downloads, flags)
        except FileNotFoundError:
            continue  # another process has finished, and removed it
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                log.info("data: waiting for another process, which fills %s", downloads)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(downloads, os.fstat(descriptor)):  # else that one has removed it
                yield
                return
        finally:
            os.close(descriptor)


def _is_at(path: Path, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), status)
    except FileNotFoundError:
        return False


@contextmanager
def named(folder: Path, name: str) -> Iterator[None]:
    """Let errors about a folder name what a person gave: an archive, or an address."""
    try:
        yield
    except InputError as error:
        if str(folder) == name:
            raise
        raise InputError(str(error).replace(str(folder), name)) from None


@contextmanager
def discarding(folder: Path, data: str, home: Path) -> Iterator[None]:
    """On an error of what `located` extracted from an archive on this machine, remove that again.

    It is as quickly extracted once more, and a mended archive goes to another folder.
    """
    new = is_archive(Path(data)) and not scheme_of(data) and folder.parent == home.resolve()
    try:
        yield
    except InputError:
        if new:
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # not empty
                home.rmdir()
                home.parent.rmdir()
        raise


def _tag(uri: str) -> str:
    """What changes when an object does. Raises InputError where there is none."""
    store, key = split_object(uri)
    tag = open_store(store).tag(key)
    if tag is None:
        raise InputError(f"{uri}: there is no such object")
    return tag


def _path_of(url: str) -> Path | None:
    """The file on this machine that an address names, if it does."""
    scheme = scheme_of(url)
    if scheme == "file":
        return file_path(url)
    return None if scheme else Path(url)


def _checked(path: Path, file: File) -> Path:
    """A file on this machine, of the size and hash that are expected. Raises InputError."""
    if not path.is_file():
        raise InputError(f"{path}: does not exist, or is not a file")
    if file.size is not None and path.stat().st_size != file.size:
        raise InputError(f"{path}: has {path.stat().st_size} bytes, {file.size} are expected")
    if file.hash and (digits := (expected := parse(file.hash)).of(path)) != expected.digits:
        raise InputError(f"{path}: expected {expected.title} {expected.digits}, got {digits}")
    return path


def _archive_name(file_name: str, digest: str) -> str:
    """A folder's name for an archive: its own without the ending, and a digest."""
    if not is_archive(Path(file_name)):
        raise InputError(f"{file_name}: is no archive: its name must end in {', '.join(ENDINGS)}")
    ending = next(e for e in sorted(ENDINGS, key=len)[::-1] if file_name.lower().endswith(e))
    return f"{file_name[: -len(ending)].lstrip('.')[:80]}-{digest[:12]}"


def _mirrored(data: Definition, mirror: str) -> tuple[File, ...]:
    """The same files at another address; their hashes stay."""
    mirror = mirror if scheme_of(mirror) else str(Path(mirror).absolute())
    if is_archive(Path(mirror)):
        if len(data.files) > 1:
            raise InputError(
                f"from: {data.name} has {len(data.files)} files: give the folder they are in"
            )
        old = data.files[0] if data.files else File("")
        return (replace(old, url=mirror),)
    if not data.files:
        raise InputError(f"from: {mirror}: name the archive itself, {data.name} has no known name")
    return tuple(replace(file, url=f"{mirror.rstrip('/')}/{file.name}") for file in data.files)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # not empty, or gone
        folder.rmdir()
