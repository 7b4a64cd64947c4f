"""Taking archives out safely: zip, and tar with any of its compressions."""

import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from audiostyle.errors import AudiostyleError, InputError
from audiostyle.files import temporary_folder
from audiostyle.progress import bar

_CHUNK = 1 << 20
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
)
_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


@dataclass(frozen=True)
class Limits:
    """What an archive may grow to.

    files: NSynth, the largest that is known by name, has 306,000. ratio: expanded to compressed;
    deflate cannot do better than 1032, PCM audio seldom better than 10. floor: bytes that are
    always allowed, so that small archives of silence are.
    """

    files: int = 1_000_000
    ratio: float = 50.0
    floor: int = 1 << 28

    def bytes(self, archive: Path) -> int:
        """Bytes to which this archive may expand."""
        return max(self.floor, int(self.ratio * archive.stat().st_size))


def is_archive(path: Path) -> bool:
    """Whether a file's name says that it is an archive."""
    return path.name.lower().endswith(_SUFFIXES)


def extract(archive: Path, target: Path, limits: Limits | None = None) -> None:
    """Take all files out of an archive into `target`, a folder that is made: all, or none.

    Nothing leaves the folder: absolute paths, `..`, links that point out and special files are
    refused with InputError, as is an archive that is damaged or expands beyond the limits.
    """
    temporary = temporary_folder(target)
    try:
        extract_into(archive, temporary, limits or Limits())
        temporary.chmod(0o755)
        temporary.rename(target)
    except OSError as error:
        raise AudiostyleError(f"{target}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def extract_into(archive: Path, folder: Path, limits: Limits) -> None:
    """As `extract`, into a folder that is there; an error leaves what was taken out so far."""
    with _explained(archive):
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                _unzip(opened, archive, folder, limits)
        else:
            with tarfile.open(archive) as opened_tar:
                _untar(opened_tar, archive, folder, limits)


@contextmanager
def _explained(archive: Path) -> Iterator[None]:
    try:
        yield
    except tarfile.FilterError as error:
        raise InputError(f"{archive}: is not safe to extract: {error}") from None
    except _DAMAGE as error:
        raise InputError(f"{archive}: is damaged or no archive: {_line(error)}") from None
    # zipfile: methods, passwords; tarfile: links to what is not there, numbers that are none
    except (RuntimeError, LookupError, ValueError, OverflowError) as error:
        raise InputError(f"{archive}: cannot be extracted: {_line(error)}") from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class _Budget:
    """Counts files and bytes, and raises InputError beyond the limits or what the disk holds."""

    def __init__(self, archive: Path, folder: Path, limits: Limits) -> None:
        self._archive, self._folder, self._limits = archive, folder, limits
        self._bytes = limits.bytes(archive)
        self._files = 0

    def file(self, count: int = 1) -> None:
        self._files += count
        if self._files > self._limits.files:
            raise InputError(
                f"{self._archive}: holds more than {self._limits.files} files; not extracted"
            )

    def expand(self, size: int) -> None:
        self._bytes -= size
        if self._bytes < 0:
            raise InputError(
                f"{self._archive}: expands to more than {self._limits.bytes(self._archive)} bytes,"
                f" {self._limits.ratio:g} times its size; not extracted"
            )

    def space(self, size: int) -> None:
        free = shutil.disk_usage(self._folder).free
        if size > free:
            raise AudiostyleError(
                f"{self._folder}: {size} bytes are needed for {self._archive.name}, {free} are free"
            )


def _unzip(opened: zipfile.ZipFile, archive: Path, folder: Path, limits: Limits) -> None:
    members = opened.infolist()
    # First what the archive says of itself, then, while writing, what is true.
    said = _Budget(archive, folder, limits)
    said.file(len(members))
    for member in members:
        name = member.filename
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or "\\" in name or ":" in pure.parts[0:1]:
            raise InputError(f"{archive}: is not safe to extract: {name!r} leaves the folder")
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise InputError(f"{archive}: is not safe to extract: {name!r} is a link or a device")
        said.expand(member.file_size)
    said.space(sum(member.file_size for member in members))
    true = _Budget(archive, folder, limits)
    for member in bar(members, f"extract {archive.name}", len(members)):
        path = folder / member.filename
        if member.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            continue
        with opened.open(member) as source:
            _copy(source, path, true)


def _untar(opened: tarfile.TarFile, archive: Path, folder: Path, limits: Limits) -> None:
    budget = _Budget(archive, folder, limits)
    for member in bar(opened, f"extract {archive.name}"):
        budget.file()
        budget.expand(member.size)
        budget.space(member.size)
        # The standard library's filter: no absolute path, no .., no link out, no device.
        safe = tarfile.data_filter(member, str(folder))
        # It takes a leading / away where we would rather not have such an archive at all.
        if member.name.startswith("/"):
            raise InputError(f"{archive}: is not safe to extract: {member.name!r} is absolute")
        opened.extract(safe, folder, filter="data")


def _copy(source: IO[bytes], path: Path, budget: _Budget) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        while chunk := source.read(_CHUNK):
            budget.expand(len(chunk))
            file.write(chunk)
