"""A file put together from parts of another, so that libsndfile sees a header that is right."""

import io
from dataclasses import dataclass
from itertools import accumulate
from typing import BinaryIO

# Bytes of our own, or a range of the other file's.
Piece = bytes | range


@dataclass(frozen=True)
class Stream:
    """What libsndfile is to read as one file.

    pieces: in order. frames: samples a channel, where they were counted. enlarged: state a size
    that is so many times the true one; what is read in order ends all the same where it does.
    most: samples a channel that there can be, where only that is known.
    """

    pieces: tuple[Piece, ...]
    frames: int | None = None
    enlarged: int = 1
    most: int | None = None


class PiecedFile:
    """A read-only file of `pieces` of another, in order."""

    def __init__(self, file: BinaryIO, stream: Stream) -> None:
        self._file = file
        pieces = stream.pieces
        self._pieces = [piece for piece in pieces if len(piece)]
        self._ends = list(accumulate(map(len, self._pieces)))
        self._size = stream.enlarged * self._ends[-1] if self._ends else 0
        self._at = 0

    def tell(self) -> int:
        """Position, in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position; where a header sends libsndfile before the start, stay."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        wanted = offset + origin
        # An error in its callback would be printed; it sees by the position that it went wrong.
        if 0 <= wanted < 1 << 62:
            self._at = wanted
        return self._at

    def read(self, count: int) -> bytes:
        """As many of the next bytes as there are, up to `count`."""
        parts = []
        start = 0
        for piece, end in zip(self._pieces, self._ends, strict=True):
            if self._at < end and count > 0:
                part = piece[self._at - start : self._at - start + count]
                if isinstance(part, range):
                    self._file.seek(part.start)
                    part = self._file.read(len(part))
                    if not part:  # the file became shorter
                        break
                parts.append(part)
                self._at += len(part)
                count -= len(part)
            start = end
        if not parts and self._ends and self._at > self._ends[-1]:
            # Where the stated end is, libmpg123 looks for a tag.
            parts.append(bytes(max(0, min(count, self._size - self._at))))
            self._at += len(parts[0])
        return b"".join(parts)


def size_of(file: BinaryIO) -> int:
    """Bytes in a file, whose position is then its start."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return size


def bytes_at(file: BinaryIO, start: int, count: int) -> bytes:
    """So many bytes from `start`; fewer at the end."""
    file.seek(start)
    return file.read(count)


def after_tags(file: BinaryIO) -> int:
    """Where the ID3v2 tags end that a file begins with."""
    at = 0
    while (tag := bytes_at(file, at, 10))[:3] == b"ID3" and len(tag) == 10:
        length = 0
        for byte in tag[6:]:
            length = length << 7 | byte & 127
        at += 10 + length
    return at
