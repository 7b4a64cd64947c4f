"""Audio that a browser can play, inside the report's own folder."""

import re
import shutil
from pathlib import Path
from urllib.parse import quote

import numpy as np
import soundfile

from audiostyle import audio
from audiostyle.artifacts import file_digest
from audiostyle.files import replacing

# What Chromium, Firefox and Safari all decode, as libsndfile names format and sample format.
# 64-bit float, AIFF, CAF, AU and the like are not among them.
_PLAYABLE = {
    "WAV": (".wav", {"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"}),
    "WAVEX": (".wav", {"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"}),
    "FLAC": (".flac", {"PCM_S8", "PCM_16", "PCM_24"}),
    "OGG": (".ogg", {"VORBIS", "OPUS"}),
    "MP3": (".mp3", {"MPEG_LAYER_III"}),
    "MPEG": (".mp3", {"MPEG_LAYER_III"}),
}
# FLAC cannot hold more; a listening copy of such a recording is its mono mix.
_MOST_CHANNELS = 8


def publish(source: Path, recording: audio.Recording, folder: Path) -> str:
    """Make `source` playable from a page in `folder`; returns the URL relative to it.

    source: the file; recording: what `audio.read` made of it.
    A playable file inside `folder` is linked where it lies. Any other is copied to
    `folder`/media, or converted to FLAC (24 bit) there where browsers cannot play its format.
    The copy's name holds the hash of its source: safe whatever the source is called, and one
    copy serves all items that share a recording. Never moves or changes `source`.
    """
    info = soundfile.info(str(source))
    suffix, sample_formats = _PLAYABLE.get(info.format, ("", set()))
    playable = info.subtype in sample_formats
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
            samples = recording.samples
            if len(samples) > _MOST_CHANNELS:
                samples = samples.mean(0, keepdims=True)
            # Playing clips at full scale too.
            audio.write(copy, np.clip(samples, -1, 1), recording.sample_rate, subtype="PCM_24")
    return relative_url(copy.relative_to(folder))


def relative_url(path: Path) -> str:
    """A relative path as a URL, every byte of its name kept: spaces, quotes, %, # and ? encoded."""
    # "./" keeps a colon in the first name from reading as a scheme.
    return "./" + quote(path.as_posix(), errors="surrogateescape")


def _safe(name: str) -> str:
    """A name that every file system takes and no URL needs to encode."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "audio"
