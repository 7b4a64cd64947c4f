"""Audio that a browser can play, inside the report's own folder."""

import re
import shutil
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


def publish(source: Path, folder: Path) -> str:
    """Make `source` playable from a page in `folder`; returns the URL relative to it.

    A playable file inside `folder` is linked where it lies. Any other is copied to
    `folder`/media, or converted to FLAC (24 bit) there where browsers cannot play its format.
    The copy's name holds the hash of its source: safe whatever the source is called, and one
    copy serves all items that share a recording. Never moves or changes `source`.
    """
    with audio.opening(source) as file:
        suffix, sample_formats = _PLAYABLE.get(file.format, ("", set()))
        playable = file.subtype in sample_formats and not file.repaired
    inside = source.resolve()
    if playable and inside.is_relative_to(folder.resolve()):
        return relative_url(inside.relative_to(folder.resolve()))

    digest = file_digest(source)[:16]
    copy = folder / "media" / f"{_safe(source.stem)}-{digest}{suffix if playable else '.flac'}"
    if not copy.exists():
        copy.parent.mkdir(parents=True, exist_ok=True)
        if playable:
            with replacing(copy) as temporary:
                shutil.copyfile(source, temporary)
        else:
            _convert(source, copy)
    return relative_url(copy.relative_to(folder))


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


def _safe(name: str) -> str:
    """A name that every file system takes and no URL needs to encode."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "audio"
