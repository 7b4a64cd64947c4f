"""Bringing a workspace back from a backup: checked to the last byte, whole or not at all."""

import gzip
import hashlib
import os
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

from audiostyle import files
from audiostyle.errors import InputError
from audiostyle.files_at import naming, open_plain
from audiostyle.untrusted import json_value
from pipeline.backup import FORMAT, FORMAT_VERSION, HASHES, HEAD, ROOT, Content

_GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20
# Bytes of the list of hashes: enough for a million files.
_MOST_JSON = 200 << 20
_LATEST = 1 << 40  # seconds since 1970 that file systems can keep


def restore(source: Path, workspace: Path) -> Content:
    """Bring back a workspace, whole or not at all. Raises InputError.

    workspace: a folder that is not there yet, or is empty.
    """
    workspace = workspace.absolute()
    if workspace.is_symlink() or (
        workspace.exists() and (not workspace.is_dir() or any(workspace.iterdir()))
    ):
        raise InputError(
            f"workspace: {workspace} holds something already; name a new one with --workspace"
        )
    temporary = files.temporary_folder(workspace)
    try:
        with naming(workspace, always=False):
            content = _read(source, temporary)
        temporary.chmod(0o755)
        temporary.replace(workspace)  # refused by the system where something is in it by now
        files.sync(workspace.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return content


def _read(source: Path, folder: Path) -> Content:
    try:
        with open_plain(source) as file:
            compressed = file.read(len(_GZIP)) == _GZIP
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:gz" if compressed else "r:") as archive:
                return _unpack(archive, source, folder)
    except FileNotFoundError:
        raise InputError(f"{source}: is no file") from None
    except (FileExistsError, NotADirectoryError) as error:
        raise InputError(f"{source}: two of its names meet ({error.filename})") from None
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
        raise InputError(f"{source}: is no backup, or is damaged ({error})") from None


def _unpack(archive: tarfile.TarFile, source: Path, folder: Path) -> Content:
    first = archive.next()
    if first is None or first.name != HEAD:
        raise InputError(f"{source}: is no backup of audiostyle")
    head = _json(archive, first, source)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise InputError(f"{source}: is no backup of audiostyle")
    if head.get("format_version") != FORMAT_VERSION:
        raise InputError(
            f"{source}: has format version {head.get('format_version')!r:.40}, and this release"
            f" reads {FORMAT_VERSION}; use the release that wrote it"
        )
    hashes: dict[str, str] = {}
    links: list[tuple[Path, str]] = []
    size, listed = 0, None
    while (member := archive.next()) is not None:
        if listed is not None:
            raise InputError(f"{source}: holds more after its list of hashes")
        if member.name == HASHES:
            listed = _json(archive, member, source)
            continue
        name = _safe(member.name, source)
        path = folder / name
        if name in hashes:
            raise InputError(f"{source}: holds {name!r:.200} twice")
        if member.issym():
            links.append((path, member.linkname))
        elif member.isreg() and member.sparse is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            hashes[name] = _extract(archive, member, path)
            size += member.size
        else:
            raise InputError(f"{source}: {name!r:.200} is neither a file nor a link")
    if listed is None:
        raise InputError(f"{source}: is cut off: its list of hashes is missing")
    if listed != hashes:
        wrong = sorted(
            set(hashes.items()) ^ set(listed.items() if isinstance(listed, dict) else ())
        )
        name = wrong[0][0] if wrong else HASHES
        raise InputError(f"{source}: {name!r:.200} is not as it was written (SHA-256)")
    # Links come last, so that no file is written through one.
    for path, target in links:
        place = (path.parent / target).resolve()
        if not place.is_relative_to(folder.resolve()) or not place.exists():
            raise InputError(f"{source}: the link {path.name!r:.200} leads out of the workspace")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)
    return Content(len(hashes), size, len(links))


def _safe(name: str, source: Path) -> str:
    parts = PurePosixPath(name).parts
    inside = parts[1:]
    if parts[:1] != (ROOT,) or not inside or ".." in inside or "\0" in name:
        raise InputError(f"{source}: {name!r:.200} does not belong into a workspace")
    return "/".join(inside)


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> str:
    digest = hashlib.sha256()
    content = archive.extractfile(member)
    assert content is not None  # noqa: S101, a regular file
    with content, path.open("xb") as file:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(member.mode & 0o755 | 0o600)
    seconds = min(max(member.mtime, 0), _LATEST)
    os.utime(path, (seconds, seconds))
    return digest.hexdigest()


def _json(archive: tarfile.TarFile, member: tarfile.TarInfo, source: Path) -> Any:
    if not member.isreg() or member.size > _MOST_JSON:
        raise InputError(f"{source}: {member.name} is no list of ours")
    content = archive.extractfile(member)
    assert content is not None  # noqa: S101, a regular file
    with content:
        return json_value(content.read())
