"""Recordings of any length, a block at a time: decoding, resampling and encoding like audio.py."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from audiostyle import audio
from audiostyle.audio import Samples, Subtype, Tag
from audiostyle.errors import AudioError

# Frames decoded at a time: 1.5 s at 44.1 kHz, half a megabyte of stereo; of more channels fewer.
BLOCK = 1 << 16


@dataclass
class Facts:
    """What one pass over a recording tells. samples: of one channel; peak: over all channels."""

    sample_rate: int
    channels: int
    samples: int = 0
    peak: float = 0.0
    squares: float = 0.0  # sum over all channels

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.samples / self.sample_rate

    @property
    def rms(self) -> float:
        """Root mean square over all channels."""
        return float((self.squares / max(1, self.samples * self.channels)) ** 0.5)

    def through(self, parts: Iterable[Samples]) -> Iterator[Samples]:
        """The parts as they are, counted in as they pass."""
        for part in parts:
            self.samples += part.shape[1]
            self.squares += float(np.square(part, dtype=np.float64).sum())
            self.peak = max(self.peak, float(part.max()), -float(part.min()))
            yield part


def facts(path: Path | str) -> Facts:
    """Rate and channels; the rest is counted by `through`. Raises AudioError like `audio.read`."""
    path = Path(path)
    audio.require_file(path)
    with _decoding(path) as file:
        audio.require_rate(file.samplerate, path)
        return Facts(file.samplerate, file.channels)


def require_sound(found: Facts, path: Path | str, *, seconds: float) -> None:
    """Raise AudioError naming `path` for what `audio.require_sound` refuses."""
    if found.seconds < seconds:
        raise AudioError(
            path, f"is too short: {found.seconds:.3f} s, at least {seconds:.3f} s are needed"
        )
    if found.peak < audio.SILENCE:
        level = f"{20 * np.log10(found.peak):.0f} dBFS" if found.peak else "all zeros"
        raise AudioError(path, f"is silent (peak {level}, at least -80 dBFS is needed)")


def blocks(path: Path | str) -> Iterator[Samples]:
    """Samples in order, [channels, n] float32 with n >= 1. Raises AudioError like `audio.read`."""
    path = Path(path)
    audio.require_file(path)
    found = False
    with _decoding(path) as file:
        frames = min(BLOCK, 2 * BLOCK // file.channels)
        while len(block := file.read(frames, dtype="float32", always_2d=True)):
            audio.require_numbers(block, path)
            found = True
            yield np.ascontiguousarray(block.T)
    if not found:
        raise AudioError(path, "is empty (no samples)")


@contextlib.contextmanager
def _decoding(path: Path) -> Iterator[soundfile.SoundFile]:
    try:
        with soundfile.SoundFile(path) as file:
            yield file
    except (soundfile.SoundFileError, ValueError) as error:
        detail = str(getattr(error, "error_string", error)).rstrip(".")
        raise AudioError(path, f"cannot be decoded as audio: {detail}") from None


def resampled(parts: Iterable[Samples], sample_rate: int, wanted: int) -> Iterator[Samples]:
    """Blocks [channels, n] at another rate (Hz): together the very samples of `audio.resample`."""
    if sample_rate == wanted:
        yield from parts
        return
    stream, channels = None, 0
    for part in parts:
        channels = len(part)
        stream = stream or soxr.ResampleStream(
            sample_rate, wanted, channels, dtype="float32", quality="HQ"
        )
        yield from _some(stream.resample_chunk(np.ascontiguousarray(part.T)))
    if stream is not None:
        rest = np.empty((0, channels), np.float32)
        yield from _some(stream.resample_chunk(rest, last=True))


def _some(samples: Samples) -> Iterator[Samples]:
    if len(samples):
        yield np.ascontiguousarray(samples.T)


@contextlib.contextmanager
def writing(
    path: Path | str,
    sample_rate: int,
    channels: int,
    *,
    subtype: Subtype = "PCM_16",
    tags: Mapping[Tag, str] | None = None,
) -> Iterator[Callable[[Samples], None]]:
    """Encode block by block: yields what takes [channels, n] in [-1, 1]; atomic as `audio.write`.

    The file appears at the end of the `with`, whole; an error inside leaves none.
    """
    path = Path(path)
    audio.check_writable(path, subtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(
        prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent
    )
    os.close(handle)
    try:
        with soundfile.SoundFile(temporary, "w", sample_rate, channels, subtype) as file:
            for name, text in (tags or {}).items():
                setattr(file, name, text)
            yield lambda samples: file.write(samples.T)
        Path(temporary).chmod(audio.ordinary_rights())
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
