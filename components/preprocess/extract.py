"""Taking archives out safely: zip, and tar with any of its compressions."""

import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audiostyle.errors import AudiostyleError, InputError
from audiostyle.files import temporary_folder
from components.preprocess.budget import Budget, Limits
from components.preprocess.target_folder import NameTakenError, TargetFolder, UnsafeError
from components.preprocess.untar import untar
from components.preprocess.unzip import unzip

__all__ = ["ENDINGS", "Limits", "extract", "extract_into", "is_archive"]

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
)
ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


def is_archive(path: Path) -> bool:
    """Whether a file's name says that it is an archive."""
    return path.name.lower().endswith(ENDINGS)


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
    budget = Budget(archive, folder, limits)
    with _explained(archive, folder), TargetFolder(folder) as target:
        (unzip if _is_zip(archive) else untar)(archive, target, budget)


def _is_zip(archive: Path) -> bool:
    """By its beginning: a tar whose last member is a zip ends like one."""
    with archive.open("rb") as file:
        start = file.read(4)
    if start.startswith(b"PK"):
        return True
    # A program may stand before the archive that it unpacks.
    return archive.name.lower().endswith(".zip") and zipfile.is_zipfile(archive)


@contextmanager
def _explained(archive: Path, folder: Path) -> Iterator[None]:
    try:
        yield
    except UnsafeError as error:
        raise InputError(f"{archive}: is not safe to extract: {error}") from None
    except NameTakenError as error:
        raise InputError(f"{archive}: cannot be extracted: {error}") from None
    except _DAMAGE as error:
        raise InputError(f"{archive}: is damaged or no archive: {_line(error)}") from None
    # zipfile: methods, passwords; tarfile: numbers that are none
    except (RuntimeError, LookupError, ValueError, OverflowError) as error:
        raise InputError(f"{archive}: cannot be extracted: {_line(error)}") from None
    except OSError as error:
        if error.errno is None:  # bz2 says so of damage
            raise InputError(f"{archive}: is damaged or no archive: {_line(error)}") from None
        raise AudiostyleError(
            f"{folder.parent}: {archive.name} cannot be extracted: {error.strerror}"
        ) from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
