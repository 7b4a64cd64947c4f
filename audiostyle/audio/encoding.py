"""Encoding to WAV and FLAC: limits known before the work, files whole or not there."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile

from audiostyle.audio.recording import Samples
from audiostyle.errors import AudiostyleError, InputError
from audiostyle.files import replacing
from audiostyle.files_at import naming

# Metadata that libsndfile writes into both WAV and FLAC.
Tag = Literal["title", "comment", "software"]
Subtype = Literal["PCM_16", "PCM_24", "FLOAT"]

_BYTES = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}
# Bytes of samples from which a WAV file is written as RF64, its form with 64-bit sizes
# (EBU Tech 3306): WAV's own have 32. The margin is for headers and tags.
_RF64_BYTES = (1 << 32) - (1 << 20)
# Bytes that are written to see why others could not be.
_PROBE = 1 << 20


@dataclass(frozen=True)
class _Format:
    """What a format holds; the largest values that it has room for."""

    name: str
    subtypes: tuple[str, ...]
    channels: int
    sample_rate: int  # Hz
    frames: int


# The formats that players everywhere open. libsndfile writes 1024 channels at most.
_FORMATS = {
    ".wav": _Format("WAV", ("PCM_16", "PCM_24", "FLOAT"), 1024, 2**31 - 1, 2**62),
    ".flac": _Format("FLAC", ("PCM_16", "PCM_24"), 8, 655_350, 2**36 - 1),
}


def check_writable(
    path: Path | str,
    subtype: Subtype = "PCM_16",
    *,
    channels: int = 1,
    sample_rate: int = 1,
    frames: int = 0,
) -> None:
    """Raise InputError unless `path` ends in a format that `writing` knows and that holds these.

    sample_rate: Hz. frames: samples a channel.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise InputError(
            f"{path}: cannot write {suffix or 'a name without ending'}; use {', '.join(_FORMATS)}"
        )
    held = _FORMATS[suffix]
    if subtype not in held.subtypes:
        raise InputError(f"{path}: {suffix} holds {', '.join(held.subtypes)}, not {subtype}")
    for value, most, unit in (
        (channels, held.channels, "channels"),
        (sample_rate, held.sample_rate, "Hz"),
        (frames, held.frames, "samples a channel"),
    ):
        if value > most:
            other = "; use .wav" if suffix != ".wav" else ""
            raise InputError(f"{path}: {held.name} holds at most {most} {unit}, not {value}{other}")


def write(
    path: Path | str,
    samples: Samples,
    sample_rate: int,
    *,
    subtype: Subtype = "PCM_16",
) -> None:
    """Encode a whole file. See `writing`.

    samples: [channels, n] or [n], float32. Raises InputError also for values that are no finite
    numbers or beyond full scale, which an integer format would clip.
    """
    if not np.isfinite(samples).all():
        raise InputError(f"{path}: the samples to write are not finite numbers")
    peak = float(np.abs(samples).max(initial=0))
    if peak > 1:
        raise InputError(f"{path}: a peak of {peak:.3f} would be clipped; scale to 1 or less")
    samples = np.atleast_2d(samples)
    channels, frames = samples.shape
    with writing(path, sample_rate, channels, frames=frames, subtype=subtype) as put:
        put(samples)


@contextmanager
def writing(
    path: Path | str,
    sample_rate: int,
    channels: int,
    *,
    frames: int,
    subtype: Subtype = "PCM_16",
    tags: Mapping[Tag, str] | None = None,
) -> Iterator[Callable[[Samples], None]]:
    """Encode to WAV or FLAC, by the name's ending: yields what takes [channels, n] in [-1, 1].

    Atomic: the file appears at the end of the `with`, whole; an error inside leaves none.
    sample_rate: Hz. frames: samples a channel that will come. tags: metadata to put in. A WAV of
    4 GiB and more becomes RF64. Raises InputError for what `check_writable` refuses.
    """
    path = Path(path)
    check_writable(path, subtype, channels=channels, sample_rate=sample_rate, frames=frames)
    form = _FORMATS[path.suffix.lower()].name
    if form == "WAV" and frames * channels * _BYTES[subtype] >= _RF64_BYTES:
        form = "RF64"
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        replacing(path) as temporary,
        _explained(path, temporary),
        soundfile.SoundFile(temporary, "w", sample_rate, channels, subtype, format=form) as file,
    ):
        for name, text in (tags or {}).items():
            setattr(file, name, text)
        yield lambda samples: file.write(samples.T)


@contextmanager
def _explained(path: Path, temporary: Path) -> Iterator[None]:
    """An error of libsndfile while it writes a file, as the system's, which says what it was."""
    try:
        yield
    except soundfile.SoundFileError as error:
        # libsndfile says "System error". Writing more tells why, as where the disk is full.
        with naming(path), temporary.open("ab") as file:
            file.write(bytes(_PROBE))
            file.flush()
            os.fsync(file.fileno())
        raise AudiostyleError(f"{path}: cannot be written: {error}") from None
