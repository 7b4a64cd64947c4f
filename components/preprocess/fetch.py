"""From a name, address, archive or folder to a folder with the data set in it."""

import shutil
from dataclasses import replace
from pathlib import Path

from audiostyle.artifacts import digest_of, file_digest
from audiostyle.errors import InputError
from audiostyle.files import temporary_folder
from audiostyle.uris import require_no_secret
from components.preprocess.datasets import published
from components.preprocess.datasets.published import File, Published
from components.preprocess.datasets.tables import is_manifest
from components.preprocess.download import Patience, download
from components.preprocess.extract import Limits, extract_into, is_archive


def located(
    data: str, home: Path, *, mirror: str = "", hash: str = "", patience: Patience | None = None
) -> Path:
    """Folder (or manifest) of a data set, fetched to `home` first where it is not here.

    data: a folder or manifest, as it is; an archive on this machine or at an address, or a name.
    mirror: address of a folder with the published files in it, or of one archive.
    hash: `md5:…` or `sha256:…` of an archive for which none is built in.
    """
    require_no_secret("data", data)
    require_no_secret("from", mirror)
    path = Path(data)
    if path.is_dir() or (path.is_file() and is_manifest(path)):
        return path.resolve()
    if path.is_file():
        if not is_archive(path):
            raise InputError(f"data: {path} is neither a folder nor a manifest nor an archive")
        # By content: another archive of the same name is another data set.
        unnamed = _unnamed(str(path.resolve()), hash, file_digest(path))
        return fetch(unnamed, home, patience=patience)
    if "://" in data:
        return fetch(_unnamed(data, hash, digest_of([data, hash])), home, patience=patience)
    known = published.named(data)
    if mirror:
        known = _mirrored(known, mirror)
    if hash:
        if len(known.files) != 1:
            raise InputError(f"hash: {data} has {len(known.files)} files, one hash says too little")
        known = replace(known, files=(replace(known.files[0], hash=hash),))
    return fetch(known, home, patience=patience)


def fetch(
    data: Published, home: Path, *, patience: Patience | None = None, limits: Limits | None = None
) -> Path:
    """Download and extract a data set to `home`/NAME; returns that folder.

    A folder of that name is the whole data set, as it is made in one go. What is resumable lies in
    NAME.download until then.
    """
    folder = home / data.name
    if folder.is_dir():
        return folder.resolve()
    if not data.files:
        raise InputError(f"{data.name}: has no address: {data.note}")
    downloads = home / f"{data.name}.download"
    try:
        files = [
            download(
                file.url,
                downloads / file.name,
                hash=file.hash,
                size=file.size,
                patience=patience,
            )
            for file in data.files
        ]
    finally:
        _remove_if_empty(downloads)
    temporary = temporary_folder(folder)
    try:
        for file in files:
            if is_archive(file):
                extract_into(file, temporary, limits or Limits())
            else:
                shutil.copyfile(file, temporary / file.name)
        temporary.chmod(0o755)
        temporary.rename(folder)
    except InputError:
        # The archive itself is no good: nothing of it is worth keeping.
        shutil.rmtree(downloads)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(downloads)
    return folder.resolve()


def _unnamed(uri: str, hash: str, digest: str) -> Published:
    name = uri.rstrip("/").rpartition("/")[2]
    if not is_archive(Path(name)):
        raise InputError(f"{uri}: is no archive: its name ends neither in .zip nor in .tar.…")
    stem = name
    while Path(stem).suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz"):
        stem = Path(stem).stem
    return Published(f"{stem}-{digest[:12]}", name, (File(uri, hash),), 0, "", "")


def _mirrored(data: Published, mirror: str) -> Published:
    """The same files at another address; their hashes stay."""
    mirror = mirror if "://" in mirror else str(Path(mirror).absolute())
    if is_archive(Path(mirror)):
        if len(data.files) > 1:
            raise InputError(
                f"from: {data.name} has {len(data.files)} files: give the folder they are in"
            )
        old = data.files[0] if data.files else File("")
        return replace(data, files=(replace(old, url=mirror),))
    if not data.files:
        raise InputError(f"from: {mirror}: name the archive itself, {data.name} has no known name")
    return replace(
        data,
        files=tuple(replace(f, url=f"{mirror.rstrip('/')}/{f.name}") for f in data.files),
    )


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
