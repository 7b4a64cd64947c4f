"""MP3 files whose header does not say how long they are, or says something else than they hold.

libsndfile estimates the length of an MP3 without a Xing or Info header by its size and its first
frames, takes what such a header states as it is, and stops there. So the frames are counted here. A
header gets the right number; a file without one is stated to be so large that no estimate is short.
"""

from dataclasses import dataclass
from typing import BinaryIO

from audiostyle.audio.pieces import Stream, after_tags, bytes_at, size_of

# kbit/s of layer III, by the header's index: of MPEG 1, and of MPEG 2 and 2.5.
_KBITS = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
)
_HERTZ = (44100, 48000, 32000)
# Bits of a header that stay the same from frame to frame: sync, version, layer, sample rate.
_SAME = 0xFFFE0C00
# The largest frame to the smallest: 160 kbit/s to 8 of MPEG 2, 320 to 32 of MPEG 1.
_ENLARGED = 20
# Bytes in which the first frame is looked for, and that are read at a time.
_SEARCH = 1 << 16
_READ = 1 << 20


@dataclass(frozen=True)
class _Frames:
    """What was counted. runs: where frames follow each other, the last one maybe cut off.

    size: bytes of the first frame; count: of whole ones; whole: the last one is.
    """

    runs: list[range]
    size: int
    count: int
    whole: bool


def is_mp3(file: BinaryIO, name: str) -> bool:
    """Whether a file looks like MPEG layer III: by its first bytes, or by its name."""
    return name.lower().endswith(".mp3") or _length(_word(bytes_at(file, after_tags(file), 4))) > 0


def repaired(file: BinaryIO) -> Stream | None:
    """The file with the right number of frames in its header, or without an estimate of it.

    None where it needs no repair, or where it has no frames.
    """
    size = size_of(file)
    counted = _count(file, size)
    if counted is None:
        return None
    first, end = counted.runs[0].start, counted.runs[-1].stop
    frame = bytes_at(file, first, counted.size)
    word = _word(frame)
    flags = 0
    if (at := _xing(frame, word)) is not None:
        flags = int.from_bytes(frame[at + 4 : at + 8], "big")
    if at is None or not flags & 1:
        frames = counted.count * (1152 if word >> 19 & 3 == 3 else 576)
        return Stream(tuple(counted.runs), frames if counted.whole else None, _ENLARGED)
    patched = bytearray(frame)
    # Fewer than are stated: a file that is cut off, which libmpg123 reads as far as it goes.
    if counted.count - 1 > int.from_bytes(frame[at + 8 : at + 12], "big"):
        patched[at + 8 : at + 12] = (counted.count - 1).to_bytes(4, "big")
    # Of the bytes stated libmpg123 tells on the terminal where they are 1 % off.
    stated = int.from_bytes(frame[at + 12 : at + 16], "big")
    if flags & 2 and abs(stated - (end - first)) > (end - first) // 200:
        patched[at + 12 : at + 16] = (end - first).to_bytes(4, "big")
    whole = counted.whole and counted.count - 1 >= int.from_bytes(frame[at + 8 : at + 12], "big")
    if bytes(patched) == frame and whole and len(counted.runs) == 1:
        return None
    return Stream((bytes(patched), counted.runs[0][len(frame) :], *counted.runs[1:]))


def _count(file: BinaryIO, size: int) -> _Frames | None:
    at = _next(file, after_tags(file), None)
    if at is None:
        return None
    first = _word(bytes_at(file, at, 4))
    same = first & _SAME
    count, whole = 0, True
    runs: list[range] = []
    begin = at
    buffer, base = b"", 0
    while at + 4 <= size:
        if not base <= at <= base + len(buffer) - 4:
            base, buffer = at, bytes_at(file, at, _READ)
            if len(buffer) < 4:
                break  # the file became shorter
        word = int.from_bytes(buffer[at - base : at - base + 4], "big")
        step = _length(word) if word & _SAME == same else 0
        if step:
            whole = at + step <= size
            count += whole
            at += step
            continue
        # A tag, or damage, which libmpg123 may give up at: go on at the next frame like these.
        if at > begin:
            runs.append(range(begin, at))
        if (following := _next(file, at + 1, same)) is None:
            begin = at
            break
        at = begin = following
    if at > begin and count:
        runs.append(range(begin, min(at, size)))
    return _Frames(runs, _length(first), count, whole) if count else None


def _next(file: BinaryIO, start: int, same: int | None) -> int | None:
    """The first frame from `start` on that another one follows, or the end of the file.

    same: what both have in common with the frames before, if there are any.
    """
    while len(buffer := bytes_at(file, start, _SEARCH)) >= 4:
        at = buffer.find(0xFF)
        while 0 <= at <= len(buffer) - 4:
            word = _word(buffer[at : at + 4])
            step = _length(word)
            if step and same in (None, word & _SAME):
                after = bytes_at(file, start + at + step, 4)
                follows = _length(_word(after)) and _word(after) & _SAME == word & _SAME
                if follows or (same and not after):
                    return start + at
            at = buffer.find(0xFF, at + 1)
        if same is None:
            return None  # an MP3 begins with one
        start += len(buffer) - 3
    return None


def _word(header: bytes) -> int:
    """The first four bytes as a number; 0 where there are fewer."""
    return int.from_bytes(header[:4], "big") if len(header) >= 4 else 0


def _length(word: int) -> int:
    """Bytes of the frame with this header; 0 for what is no header of layer III."""
    version, rate = word >> 19 & 3, word >> 10 & 3
    if word >> 21 != 0x7FF or version == 1 or word >> 17 & 3 != 1 or rate == 3:
        return 0
    kbits = _KBITS[version != 3][word >> 12 & 15]
    if not kbits:
        return 0
    hertz = _HERTZ[rate] >> {3: 0, 2: 1, 0: 2}[version]
    return (144 if version == 3 else 72) * 1000 * kbits // hertz + (word >> 9 & 1)


def _side(word: int) -> int:
    """Bytes of side information after the header."""
    mono = word >> 6 & 3 == 3
    if word >> 19 & 3 == 3:
        return 17 if mono else 32
    return 9 if mono else 17


def _xing(frame: bytes, word: int) -> int | None:
    """Where the Xing or Info header stands in a frame."""
    at = 4 + _side(word)
    return at if frame[at : at + 4] in (b"Xing", b"Info") else None
