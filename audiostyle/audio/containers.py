"""WAV, RF64, CAF and AU files whose header was never finished, or states a wrong size.

A recorder that loses power, a program that writes into a pipe: the header then says that there are
0 bytes of sound, or as many as its field can hold. The sound goes on to the end of the file, but
for the chunks that may follow it.
"""

import re
import struct
from typing import BinaryIO

from audiostyle.audio.pieces import Piece, Stream, bytes_at, size_of

# Chunks that stand after the sound, as programs write them.
_KNOWN = (
    b"LIST|id3 |ID3 |bext|cue |smpl|fact|JUNK|junk|iXML|_PMX|PEAK|DISP|inst|plst|axml|chna|minf"
    b"|elm1|regn|umid|PAD |FLLR|acid|strc|afsp|SAUR|ResU|AFAn|levl|LGWV"
)
_CHUNK = re.compile(_KNOWN)
_BEFORE_SOUND = re.compile(_KNOWN + b"|fmt |data")
_NAME = re.compile(rb"[ -~]{4}")
# Bytes at the end in which such chunks are looked for.
_TAIL = 1 << 20
# Sizes that stand for "not known yet" where a field has 32 bits.
_UNKNOWN = {0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF}
# Chunks before the sound; a file with more is damaged, or made to keep a reader busy.
_MOST_CHUNKS = 10_000
_CAF_EDITS = 4  # bytes before the sound in CAF's data chunk


def repaired(file: BinaryIO) -> Stream | None:
    """The file with the right size of its sound in its header; None where it needs no repair."""
    head = bytes_at(file, 0, 12)
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return _wave(file, head)
    if head[:4] == b"caff":
        return _caf(file)
    if head[:4] in (b".snd", b"dns."):
        return _au(file)
    return None


def _wave(file: BinaryIO, head: bytes) -> Stream | None:
    size = size_of(file)
    at, wide, padded = 12, None, True
    chunks: list[Piece] = []  # before the sound
    for _ in range(_MOST_CHUNKS):
        chunk = bytes_at(file, at, 8)
        if len(chunk) < 8:
            return None
        name, length = chunk[:4], int.from_bytes(chunk[4:], "little")
        if name == b"data":
            break
        end = at + 8 + length
        if name == b"ds64" and length >= 24:
            wide = int.from_bytes(bytes_at(file, at + 16, 8), "little")
        else:
            chunks.append(range(at, end))
        if length & 1:
            # Some programs leave out the byte that a chunk of an odd length is padded by.
            missing = _BEFORE_SOUND.fullmatch(bytes_at(file, end, 4)) is not None
            padded &= not missing
            chunks.append(b"\0" if missing else range(end, end + 1))
            end += not missing
        at = end
    else:
        return None
    start = at + 8
    stated = wide if head[:4] == b"RF64" and wide is not None and length in _UNKNOWN else length
    end = _end_of_sound(file, start, stated, size)
    if padded and end == start + stated:
        return None
    return Stream((*_wave_header(chunks, end - start), range(start, end)))


def _wave_header(chunks: list[Piece], length: int) -> list[Piece]:
    """Header up to the sound. chunks: those before it; length: bytes of the sound."""
    rest = sum(map(len, chunks)) + 12
    if length < (1 << 32) - rest - 64:
        size = struct.pack("<I", length)
        return [b"RIFF" + struct.pack("<I", rest + length) + b"WAVE", *chunks, b"data" + size]
    wide = b"ds64" + struct.pack("<IQQQI", 28, rest + 36 + length, length, 0, 0)
    return [b"RF64\xff\xff\xff\xffWAVE" + wide, *chunks, b"data\xff\xff\xff\xff"]


def _end_of_sound(file: BinaryIO, start: int, stated: int, size: int) -> int:
    """Where the sound that begins at `start` ends, in a file of `size` bytes."""
    end = start + stated
    if stated in _UNKNOWN or end > size:
        if stated == 0 and _are_chunks(file, start, size):
            return start
        return _start_of_tail(file, start, size)
    rest = end + (stated & 1)
    # What follows is no chunk, and more than what was stated: the size is wrong, as that of
    # a file of more than 4 GiB, which is stated modulo 2^32.
    if size - rest > stated and not _are_chunks(file, rest, size):
        return _start_of_tail(file, start, size)
    return end


def _are_chunks(file: BinaryIO, at: int, size: int, others: set[int] | None = None) -> bool:
    """Whether the file is chunks from here to its end.

    others: places from which it is known not to be, to which such places are added.
    """
    passed = set()
    others = set() if others is None else others
    while at < size - 7 and at not in others:
        passed.add(at)
        chunk = bytes_at(file, at, 8)
        if not _NAME.fullmatch(chunk[:4]):
            break
        length = int.from_bytes(chunk[4:], "little")
        at += 8 + length + (length & 1)
    else:
        if at <= size + 1 and at not in others:
            return True
    others |= passed
    return False


def _start_of_tail(file: BinaryIO, start: int, size: int) -> int:
    """Where the chunks after the sound begin; the end of the file where there are none."""
    first = max(start, size - _TAIL)
    others: set[int] = set()
    for match in _CHUNK.finditer(bytes_at(file, first, size - first)):
        at = first + match.start()
        if (at - start) % 2 == 0 and _are_chunks(file, at, size, others):
            return at
    return size


def _caf(file: BinaryIO) -> Stream | None:
    size = size_of(file)
    at = 8
    while len(chunk := bytes_at(file, at, 12)) == 12:
        length = int.from_bytes(chunk[4:], "big", signed=True)
        start = at + 12
        if chunk[:4] == b"data":
            if (length > _CAF_EDITS and start + length <= size) or size - start <= _CAF_EDITS:
                return None
            header = bytes_at(file, 0, at + 4) + struct.pack(">q", size - start)
            return Stream((header, range(start, size)))
        if length < 0:
            return None
        at = start + length
    return None


def _au(file: BinaryIO) -> Stream | None:
    header = bytes_at(file, 0, 12)
    if len(header) < 12 or header[8:] != bytes(4):
        return None
    return Stream((header[:8] + b"\xff" * 4, range(12, size_of(file))))
