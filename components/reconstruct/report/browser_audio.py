"""Audio that a browser can play, inside the report's own folder."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from audiostyle import audio
from audiostyle.artifacts import file_digest
from audiostyle.audio import blocks
from audiostyle.files import replacing

# What Chromium, Firefox and Safari all decode, as libsndfile names format and sample format.
# 64-bit float, AIFF, CAF, AU and the like are not among them.
_PLAYABLE = {
    "WAV": (".wav", {"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"}),
    # Not 24 bits, which may be 24 of 32: Chromium plays none of these.
    "WAVEX": (".wav", {"PCM_U8", "PCM_16", "FLOAT"}),
    "FLAC": (".flac", {"PCM_S8", "PCM_16", "PCM_24"}),
    "OGG": (".ogg", {"VORBIS", "OPUS"}),
    "MP3": (".mp3", {"MPEG_LAYER_III"}),
    "MPEG": (".mp3", {"MPEG_LAYER_III"}),
}
# What FLAC holds at most; a listening copy of a recording beyond it is its mono mix, at 48 kHz.
_MOST_CHANNELS, _MOST_HZ, _LISTENING_HZ = 8, 655_350, 48_000


@dataclass(frozen=True)
class Published:
    """A recording that the page plays and gives away: URLs relative to it, and a file's name."""

    url: str
    download: str
    file_name: str


def publish(source: Path, folder: Path, name: str = "") -> Published:
    """Make `source` playable from a page in `folder`, and to be had there under its name.

    name: of the file as people know it, by default the source's own.
    A file inside `folder` is linked where it lies. Any other is copied to `folder`/media. One
    that browsers cannot play is converted to FLAC (24 bit) there, which is played, and given away
    where the file itself is elsewhere. A copy lies in a folder named by the hash of its source,
    so that one copy serves all items that share a recording. Never moves or changes `source`.
    """
    name = name or source.name
    with audio.opening(source) as file:
        suffix, sample_formats = _PLAYABLE.get(file.format, ("", set()))
        playable = file.subtype in sample_formats and not file.repaired
    inside = source.resolve()
    own = ""
    if inside.is_relative_to(folder.resolve()):
        own = relative_url(inside.relative_to(folder.resolve()))
    if own and playable:
        return Published(own, own, name)

    if not playable:
        suffix = ".flac"
        name = name if own else f"{_split(name)[0]}{suffix}"
    copy = folder / "media" / file_digest(source)[:16] / safe_name(name, suffix)
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        if playable:
            with replacing(copy) as temporary:
                shutil.copyfile(source, temporary)
        else:
            _convert(source, copy)
    url = relative_url(copy.relative_to(folder))
    return Published(url, own or url, name)


def _convert(source: Path, copy: Path) -> None:
    """Write a recording as FLAC, a block at a time."""
    measured = blocks.facts(source)
    rate, channels = measured.sample_rate, measured.channels
    parts = blocks.blocks(source)
    if channels > _MOST_CHANNELS:
        for _ in measured.through(blocks.blocks(source)):
            pass
        parts, channels = blocks.mixed(parts, measured), 1
    if rate > _MOST_HZ:
        parts, rate = blocks.resampled(parts, rate, _LISTENING_HZ), _LISTENING_HZ
    with audio.writing(copy, rate, channels, frames=0, subtype="PCM_24") as write:
        for part in parts:
            write(np.clip(part, -1, 1))  # playing clips at full scale too


def relative_url(path: Path) -> str:
    """A relative path as a URL, every byte of its name kept: spaces, quotes, %, # and ? encoded."""
    # "./" keeps a colon in the first name from reading as a scheme.
    return "./" + quote(path.as_posix(), errors="surrogateescape")


def safe_name(name: str, suffix: str) -> str:
    """A file's name that every file system takes and no URL needs to encode.

    suffix: what browsers know the format by, which takes the place of another.
    >>> safe_name("Flute no. 2 (take/3).WAV", ".wav"), safe_name("über.oga", ".ogg")
    ('Flute-no.-2-take-3.wav', 'ber.ogg')
    """
    return (re.sub(r"[^A-Za-z0-9._]+", "-", _split(name)[0]).strip("-.")[:60] or "audio") + suffix


def _split(name: str) -> tuple[str, str]:
    """Stem and suffix of a file's name, whatever else the name holds."""
    stem, dot, suffix = name.rpartition(".")
    return (stem, dot + suffix) if stem and len(suffix) <= 5 else (name, "")
