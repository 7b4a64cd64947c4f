"""Ogg files that are several streams, one after the other, as `cat` and radio stations make them.

libsndfile decodes the first stream only.
"""

from typing import BinaryIO

from audiostyle.audio.pieces import Stream, bytes_at, size_of

_HEADER = 27


def is_ogg(file: BinaryIO) -> bool:
    """Whether it begins as Ogg."""
    return bytes_at(file, 0, 4) == b"OggS"


def streams(file: BinaryIO) -> list[Stream]:
    """Each stream of a chain; none where the file is one stream."""
    size = size_of(file)
    starts = [0]
    at, begun = 0, False
    while at < size:
        page = bytes_at(file, at, _HEADER + 255)
        if len(page) < _HEADER or page[:4] != b"OggS":
            break  # damage, or no Ogg: the rest stays with the last stream
        begins = bool(page[5] & 2)
        if begins and begun:
            starts.append(at)
        # Streams that are multiplexed begin together.
        begun = not begins
        segments = page[_HEADER : _HEADER + page[26]]
        at += _HEADER + len(segments) + sum(segments)
    ends = [*starts[1:], size]
    chain = [Stream((range(*link),)) for link in zip(starts, ends, strict=True)]
    return chain if chain[1:] else []
