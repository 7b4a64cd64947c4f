"""FLAC files whose header does not say how many samples they hold, or says too few.

FLAC that was written into a pipe states 0, and libsndfile stops at what is stated. Every frame says
which samples it holds, so the last one tells how many there are.
"""

import re
from typing import BinaryIO

from audiostyle.audio.pieces import Stream, after_tags, bytes_at, size_of

# Where STREAMINFO, the first block, states rate, channels, bits and samples.
_TOTAL = 18
# Largest frame: 8 channels of 65,535 samples in 32 bits.
_LARGEST = 1 << 21
_SYNC = re.compile(rb"\xff[\xf8\xf9]")
# Block sizes by code; 6 and 7 are stated after the frame's number.
_BLOCKS = (0, 192, 576, 1152, 2304, 4608, 0, 0, *(256 << k for k in range(8)))


def is_flac(file: BinaryIO) -> bool:
    """Whether it begins as FLAC, after ID3v2 tags where there are some."""
    begin = bytes_at(file, after_tags(file), 5)
    return begin[:4] == b"fLaC" and begin[4:] != b"" and begin[4] & 127 == 0


def repaired(file: BinaryIO) -> Stream | None:
    """The file with the right number of samples in its header; None where it needs no repair.

    libsndfile takes what follows the last frame, as a tag of another format, for damage. So no more
    samples are read than there are.
    """
    first, size = after_tags(file), size_of(file)
    info = bytes_at(file, first, 42)
    if len(info) < 42:
        return None
    stated = int.from_bytes(info[21:26], "big") & (1 << 36) - 1
    held, whole = _last_sample(file, first + 42, size, int.from_bytes(info[8:10], "big"))
    # Of a file that is cut off nobody knows; 0 stands for that.
    total = held if whole else max(stated, held) if stated else 0
    if total == stated and whole:
        return None
    rest = int.from_bytes(info[_TOTAL:26], "big") >> 36 << 36
    header = info[:_TOTAL] + (rest | total).to_bytes(8, "big")
    most = total or held or None
    return Stream((header, range(first + 26, size)), total if whole else None, most=most)


def _last_sample(file: BinaryIO, begin: int, size: int, fixed: int) -> tuple[int, bool]:
    """Samples up to the end of the last frame, and whether that frame is whole and the end.

    begin: of the first byte after STREAMINFO. fixed: samples of a block, where all have as many.
    """
    for reach in (1 << 16, _LARGEST):
        start = max(begin, size - reach)
        tail = bytes_at(file, start, size - start)
        for match in reversed(list(_SYNC.finditer(tail))):
            samples = _end_of_frame(tail[match.start() : match.start() + 16], fixed)
            if samples:
                frame = tail[match.start() :]
                checksum = int.from_bytes(frame[-2:], "big")
                # 0 is also what it is over a whole frame with zeros behind it.
                return samples, checksum != 0 and _checksum(frame[:-2]) == checksum
    return 0, False


def _end_of_frame(header: bytes, fixed: int) -> int:
    """Samples up to the end of the frame with this header; 0 for what is no header."""
    if len(header) < 6 or header[3] & 1 or header[2] >> 4 == 0 or header[2] & 15 == 15:
        return 0
    # A number in the manner of UTF-8: of the frame, or of its first sample.
    ones = 8 - (header[4] ^ 0xFF).bit_length()
    length = max(1, ones)
    if ones == 1 or ones > 7 or len(header) < 4 + length + 5:
        return 0
    number = header[4] & (0x7F >> ones)
    for byte in header[5 : 4 + length]:
        if byte >> 6 != 2:
            return 0
        number = number << 6 | byte & 63
    at = 4 + length
    code = header[2] >> 4
    block = _BLOCKS[code]
    if code in (6, 7):
        block = int.from_bytes(header[at : at + code - 5], "big") + 1
        at += code - 5
    at += {12: 1, 13: 2, 14: 2}.get(header[2] & 15, 0)
    if at >= len(header) or _checksum8(header[:at]) != header[at]:
        return 0
    return number + block if header[1] & 1 else number * fixed + block


def _checksum8(content: bytes) -> int:
    """CRC-8 with the polynomial x^8 + x^2 + x + 1."""
    value = 0
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ (0x07 if value & 0x80 else 0)) & 0xFF
    return value


def _table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 8
        for _ in range(8):
            value = (value << 1 ^ (0x8005 if value & 0x8000 else 0)) & 0xFFFF
        table.append(value)
    return table


_CRC16 = _table()


def _checksum(content: bytes) -> int:
    """CRC-16 with the polynomial x^16 + x^15 + x^2 + 1."""
    value = 0
    for byte in content:
        value = (value << 8 & 0xFFFF) ^ _CRC16[value >> 8 ^ byte]
    return value
