"""Taking tar archives out, compressed or not: regular files, written by us, in bounded memory."""

import bz2
import gzip
import io
import logging
import lzma
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol

from audiostyle.errors import InputError
from components.preprocess.budget import Budget
from components.preprocess.target_folder import Parts, TargetFolder, UnsafeError, parts_of

log = logging.getLogger(__name__)

_CHUNK = 1 << 18
# Of the headers before one member: names of GNU's or PAX's kind, which are read into memory.
# A path is 4 KiB at the most.
_HEADER_BYTES, _HEADER_READS = 1 << 18, 40
# Bytes of an xz dictionary; `xz -9` takes 64 MiB.
_XZ_MEMORY = 256 << 20


class _Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


def untar(archive: Path, folder: TargetFolder, budget: Budget) -> None:
    """Write the files of a tar archive. Raises what `extract` explains.

    Hard and symbolic links to files in the archive become second names of these files; links to
    folders, or to nothing, are left out and named. Of two members of one name the later counts, as
    `tar --append` and `--update` mean it.
    """
    links: list[tuple[Parts, Parts, str]] = []
    with archive.open("rb") as file:
        reader = _Forward(_decompressed(archive, file), budget.expand)
        # Not tarfile's own choice of a decompressor: those take what memory a stranger asks for.
        with tarfile.open(fileobj=reader, mode="r:") as opened:  # type: ignore[call-overload]
            for member in _members(opened, reader):
                budget.file()
                parts = parts_of(member.name)
                if member.isdir():
                    folder.make(parts)
                elif member.isreg() and parts:
                    if member.issparse():
                        raise InputError(
                            f"{archive}: {member.name!r:.200} is a sparse file; make the archive"
                            " without --sparse"
                        )
                    _write(reader, member.size, parts, folder, budget)
                elif member.islnk() or member.issym():
                    links.append((parts, _target(member, parts), member.name))
                else:
                    raise UnsafeError(f"{member.name!r:.200} is a device or of an unknown kind")
        reader.require_end(archive)
    for parts, target, name in links:
        if not (parts and target and folder.link(target, parts)):
            log.warning("%s: left out: %s, a link to no file in the archive", archive, name)


def _members(opened: tarfile.TarFile, reader: "_Forward") -> Iterator[tarfile.TarInfo]:
    while (member := opened.next()) is not None:
        reader.header_ended()
        opened.members.clear()  # type: ignore[attr-defined]  # a million would take a gigabyte
        if member.size < 0 or (member.isreg() and reader.tell() != member.offset_data):
            raise tarfile.ReadError(f"{member.name!r:.200} has {member.size} bytes")
        yield member


def _target(member: tarfile.TarInfo, parts: Parts) -> Parts:
    """The member that a link names. Raises UnsafeError where it leaves the archive."""
    if member.linkname.startswith("/"):
        raise UnsafeError(f"{member.name!r:.200} is a link to {member.linkname!r:.200}")
    steps = list(() if member.islnk() else parts[:-1])
    for step in member.linkname.split("/"):
        if step == "..":
            if not steps:
                raise UnsafeError(f"{member.name!r:.200} is a link out of the archive")
            steps.pop()
        elif step not in ("", "."):
            steps.append(step)
    return parts_of("/".join(steps))


def _write(
    reader: "_Forward", size: int, parts: Parts, folder: TargetFolder, budget: Budget
) -> None:
    budget.space(size)
    with folder.writing(parts, replace=True) as file:
        left = size
        while left:
            chunk = reader.data(min(left, _CHUNK))
            if not chunk:
                raise tarfile.ReadError("unexpected end of data")
            budget.space(len(chunk))
            file.write(chunk)
            left -= len(chunk)


def _decompressed(archive: Path, file: IO[bytes]) -> _Readable:
    magic = file.read(6)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if magic == b"\xfd7zXZ\0":
        return _Xz(file)
    for name, start in (
        ("zstd", b"\x28\xb5\x2f\xfd"),
        ("7z", b"7z\xbc\xaf\x27\x1c"),
        ("rar", b"Rar!"),
    ):
        if magic.startswith(start):
            raise InputError(
                f"{archive}: is {name}; only .zip, .tar, .tar.gz, .tar.bz2 and .tar.xz are read"
            )
    return file


class _Xz:
    """Decompressed xz, like LZMAFile, but with a bound on memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = self._new()

    @staticmethod
    def _new() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; none at the end."""
        while True:
            data = b""
            if self._decoder.eof:
                # Another stream may follow, after zeros.
                data = self._decoder.unused_data.lstrip(b"\0")
                while not data and (block := self._file.read(_CHUNK)):
                    data = block.lstrip(b"\0")
                if not data:
                    return b""
                self._decoder = self._new()
            elif self._decoder.needs_input and not (data := self._file.read(_CHUNK)):
                raise EOFError("the compressed file ends too early")
            if content := self._decoder.decompress(data, size):
                return content


class _Forward:
    """What tarfile reads headers from: forward only, counted, and not much at a time."""

    def __init__(self, stream: _Readable, expand: Callable[[int], None]) -> None:
        self._stream, self._expand = stream, expand
        self._at = self._header_bytes = self._header_reads = 0
        self._block = b""

    def tell(self) -> int:
        """Bytes that were read."""
        return self._at

    def seek(self, position: int) -> None:
        """Read up to a position."""
        if position < self._at:
            raise tarfile.ReadError("a member has a negative size")
        while self._at < position and self.data(min(_CHUNK, position - self._at)):
            pass

    def read(self, size: int) -> bytes:
        """Bytes of a header. Raises ReadError for more than headers have."""
        self._header_bytes += size
        self._header_reads += 1
        if size < 0 or self._header_bytes > _HEADER_BYTES or self._header_reads > _HEADER_READS:
            raise tarfile.ReadError("a header is too long")
        content = self.data(size)
        if size == tarfile.BLOCKSIZE:
            self._block = content
        return content

    def data(self, size: int) -> bytes:
        """So many bytes, or those that there are."""
        content = io.BytesIO()
        while (left := size - content.tell()) and (part := self._stream.read(left)):
            content.write(part)
        self._at += content.tell()
        self._expand(content.tell())
        return content.getvalue()

    def header_ended(self) -> None:
        """To be called after each member's header."""
        self._header_bytes = self._header_reads = 0

    def require_end(self, archive: Path) -> None:
        """Raise ReadError unless the archive has ended as archives do.

        tarfile takes a header that is damaged or cut for the end.
        """
        if self._block.strip(b"\0"):
            raise tarfile.ReadError("a header is damaged or cut off")
        if not self._block:
            log.warning("%s: has no end mark; it may have been cut off", archive)
