"""Taking zip archives out: regular files, written by us, in bounded memory."""

import contextlib
import re
import stat
import zipfile
from pathlib import Path
from typing import Any

from audiostyle.errors import InputError
from audiostyle.progress import bar
from components.preprocess.budget import Budget
from components.preprocess.target_folder import Parts, TargetFolder, UnsafeError, parts_of

_CHUNK = 1 << 18
# Bytes of the directory at a zip's end, all of which zipfile holds in memory.
_DIRECTORY = 256 << 20
# Bytes of an LZMA dictionary, which is allocated whole, however small the member.
_DICTIONARY = 64 << 20
_ENTRY, _LOCAL = 46, 30  # bytes of fixed fields: of an entry of the directory, before a member
_UTF8, _UNIX = 0x800, 3


def unzip(archive: Path, folder: TargetFolder, budget: Budget) -> None:
    """Write the files of a zip archive. Raises what `extract` explains."""
    _check_directory(archive, budget)
    with zipfile.ZipFile(archive) as opened:
        members = [(member, _parts(member)) for member in opened.infolist()]
        _check(members, archive)
        # First what the archive says of itself, then, while writing, what is true.
        said = budget.copy()
        for member, _ in members:
            said.expand(member.file_size)
        budget.space(sum(member.file_size for member, _ in members))
        for member, parts in bar(members, f"extract {archive.name}", len(members)):
            if _is_folder(member) or not parts:
                folder.make(parts)
                continue
            _check_dictionary(archive, member)
            with opened.open(member) as source, folder.writing(parts) as file:
                while chunk := source.read(_CHUNK):
                    budget.expand(len(chunk))
                    budget.space(len(chunk))
                    file.write(chunk)


def _parts(member: zipfile.ZipInfo) -> Parts:
    name = member.filename
    if not member.flag_bits & _UTF8 and not name.isascii():
        # zipfile takes such a name for one of DOS; macOS and many tools write UTF-8 all the same.
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode()
    if "\\" in name and (member.create_system != _UNIX or "/" not in name):
        # Some programs for Windows write its separator, which the format does not know.
        name = name.replace("\\", "/")
    parts = parts_of(name)
    if parts and re.fullmatch("[A-Za-z]:", parts[0]):
        raise UnsafeError(f"{name!r:.200} names a drive")
    return parts


def _check(members: list[tuple[zipfile.ZipInfo, Parts]], archive: Path) -> None:
    names: set[Parts] = set()
    end = 0
    for member, _ in sorted(members, key=lambda pair: pair[0].header_offset):
        # One compressed block that stands for many files: how small archives expand to petabytes.
        if member.header_offset < end:
            raise UnsafeError(f"{member.filename!r:.200} overlaps another member")
        end = member.header_offset + _LOCAL + member.compress_size
    for member, parts in members:
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UnsafeError(f"{member.filename!r:.200} is a link or a device")
        if _is_folder(member):
            continue
        if parts in names:
            raise InputError(f"{archive}: holds two members named {member.filename!r:.200}")
        names.add(parts)


def _is_folder(member: zipfile.ZipInfo) -> bool:
    return member.is_dir() or stat.S_ISDIR(member.external_attr >> 16)


def _check_directory(archive: Path, budget: Budget) -> None:
    """Count the entries before zipfile makes an object of each."""
    with archive.open("rb") as file:
        # The standard library's own reading of the end record, zip64 included, so that what is
        # counted here is what it reads afterwards.
        record: Any = zipfile._EndRecData(file)  # type: ignore[attr-defined]
        if record is None:
            raise zipfile.BadZipFile("it has no directory at its end")
        size, location = record[zipfile._ECD_SIZE], record[zipfile._ECD_LOCATION]  # type: ignore[attr-defined]
        if record[zipfile._ECD_SIGNATURE] == b"PK\x06\x06":  # type: ignore[attr-defined]
            location -= 56 + 20  # zip64's own end record and its locator
        if size > _DIRECTORY:
            raise InputError(f"{archive}: has a directory of {size} bytes; not extracted")
        file.seek(max(0, location - size))
        directory = memoryview(file.read(size))
    at = 0
    while at + _ENTRY <= len(directory):
        lengths = (directory[at + i] + (directory[at + i + 1] << 8) for i in (28, 30, 32))
        at += _ENTRY + sum(lengths)
        budget.file()


def _check_dictionary(archive: Path, member: zipfile.ZipInfo) -> None:
    if member.compress_type != zipfile.ZIP_LZMA:
        return
    with archive.open("rb") as file:
        file.seek(member.header_offset)
        header = file.read(_LOCAL)
        file.seek(
            int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1
        )
        # Version of the coder (2 bytes), length of its properties (2), of these the first is 1.
        properties = file.read(9)
    size = int.from_bytes(properties[5:9], "little")
    if size > _DICTIONARY:
        raise InputError(
            f"{archive}: {member.filename!r:.200} needs {size} bytes of memory to expand;"
            f" at most {_DICTIONARY} are taken"
        )
