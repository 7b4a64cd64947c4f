"""Audio files in and out: decoding, resampling, encoding."""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from audiostyle.errors import AudioError, InputError
from audiostyle.files import replacing

Samples = npt.NDArray[np.float32]

# 80 dB below full scale: above the rounding noise of a 16-bit file of digital silence (-96 dB),
# below anything that was recorded.
SILENCE = 1e-4

# Hz. Below, a short file would be hours of sound; above, nothing records.
RATES = (1000, 1_536_000)
# Of full scale. Some write integers as floats, up to 2^31; squares of more leave float32.
LOUDEST = 1e10

# Metadata that libsndfile writes into both WAV and FLAC.
Tag = Literal["title", "comment", "software"]
Subtype = Literal["PCM_16", "PCM_24", "FLOAT"]
# Samples, of all channels together, that are decoded at a time.
_PIECE = 1 << 22
# What each format can hold; the formats that players everywhere open.
_FORMATS: dict[str, tuple[str, ...]] = {
    ".wav": ("PCM_16", "PCM_24", "FLOAT"),
    ".flac": ("PCM_16", "PCM_24"),
}


@dataclass(frozen=True)
class Recording:
    """Decoded audio. samples: [channels, n] float32, nominally in [-1, 1]; sample_rate in Hz."""

    samples: Samples
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.sample_rate

    @property
    def frames(self) -> int:
        """Samples a channel."""
        return int(self.samples.shape[1])

    def part(self, start: int, stop: int) -> "Recording":
        """See Source."""
        return Recording(self.samples[:, start:stop], self.sample_rate)


class Source(Protocol):
    """Audio of which parts can be had: a Recording in memory, or a file decoded on demand."""

    @property
    def frames(self) -> int:
        """Samples a channel."""

    @property
    def sample_rate(self) -> int:
        """In Hz."""

    def part(self, start: int, stop: int) -> "Recording":
        """Samples from `start` to before `stop`; fewer at the end."""


class _Bytes(io.BytesIO):
    """A file in memory in which libsndfile may seek to where a lying header sends it."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except (ValueError, OverflowError):
            # An error in its callback would be printed; it sees by the place that it went wrong.
            return self.tell()


class AudioFile:
    """A file opened by `opening`. See Source."""

    def __init__(self, path: Path, file: soundfile.SoundFile) -> None:
        self.path = path
        self._file = file
        self.frames = int(file.frames)
        self.sample_rate = int(file.samplerate)
        self.channels = int(file.channels)

    def part(self, start: int, stop: int) -> Recording:
        """See Source. Raises AudioError like `following`, and where there is no sample."""
        with _decoding(self.path):
            if self._file.tell() != start:
                self._file.seek(start)
        samples = self.following(stop - start)
        if not samples.size:
            raise AudioError(self.path, "is empty (no samples)")
        return Recording(samples, self.sample_rate)

    def following(self, frames: int) -> Samples:
        """The next so many frames, or those that are left. Output: [channels, n] float32.

        Raises AudioError where they cannot be decoded or hold values like NaN.
        """
        with _decoding(self.path):
            samples = np.ascontiguousarray(_read(self._file, frames).T)
        if samples.size:
            _require_numbers(samples, self.path)
        return samples


@contextmanager
def opening(path: Path | str, content: bytes | None = None) -> Iterator[AudioFile]:
    """Open WAV, FLAC, OGG, MP3, AIFF or whatever else libsndfile reads, to decode parts of it.

    content: the file's bytes, where they are in memory already; `path` then only names it.
    Raises AudioError where the file is missing, empty or no audio.
    """
    path = Path(path)
    if content is None:
        _require_file(path)
    elif not content:
        raise AudioError(path, "is empty (0 bytes)")
    with _decoding(path):
        file = soundfile.SoundFile(path if content is None else _Bytes(content))
    with file:
        if not RATES[0] <= file.samplerate <= RATES[1]:
            told = f"{RATES[0]} to {RATES[1]} are accepted"
            raise AudioError(path, f"has a sample rate of {file.samplerate} Hz; {told}")
        yield AudioFile(path, file)


def read(path: Path | str, content: bytes | None = None) -> Recording:
    """Decode a whole file. See `opening`; raises AudioError where it is corrupt, too."""
    with opening(path, content) as file:
        return file.part(0, max(1, file.frames))


def _read(file: soundfile.SoundFile, frames: int) -> Samples:
    """So many frames, or those that there are. Output: [n, channels] float32.

    In pieces, since a header may promise more than any memory holds; always of two dimensions, so
    that mono is no special case.
    """
    parts: list[Samples] = []
    while frames > 0:
        part = file.read(min(frames, _PIECE // file.channels), dtype="float32", always_2d=True)
        if not len(part):
            break
        parts.append(part)
        frames -= len(part)
    if len(parts) == 1:
        (only,) = parts
        return only
    return np.concatenate(parts) if parts else np.empty((0, file.channels), np.float32)


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    try:
        yield
    except (soundfile.SoundFileError, ValueError) as error:
        detail = str(getattr(error, "error_string", error)).rstrip(".")
        raise AudioError(path, f"cannot be decoded as audio: {detail}") from None


def _require_numbers(samples: Samples, path: Path) -> None:
    """Raise AudioError unless every sample can be computed with."""
    if not np.isfinite(samples).all():
        raise AudioError(path, "holds samples that are not finite numbers")
    if (peak := max(float(samples.max()), -float(samples.min()))) > LOUDEST:
        raise AudioError(path, f"holds samples of {peak:.0e} times full scale")


def _require_file(path: Path) -> None:
    """Raise AudioError unless there is a file with something in it."""
    if not path.exists():
        raise AudioError(path, "does not exist")
    if not path.is_file():
        raise AudioError(path, "is not a file")
    if path.stat().st_size == 0:
        raise AudioError(path, "is empty (0 bytes)")


def resample(recording: Recording, sample_rate: int) -> Recording:
    """The recording at another sample rate (Hz), by soxr at high quality."""
    if recording.sample_rate == sample_rate:
        return recording
    samples = soxr.resample(recording.samples.T, recording.sample_rate, sample_rate, quality="HQ")
    return Recording(np.ascontiguousarray(samples.T), sample_rate)


def mono(recording: Recording) -> Samples:
    """Mean of the channels. Output: [n] float32."""
    mixed: Samples = (
        recording.samples[0]
        if len(recording.samples) == 1
        else recording.samples.mean(0, dtype=np.float32)
    )
    return mixed


def require_sound(recording: Recording, path: Path | str, *, seconds: float) -> Recording:
    """Return the recording if it can be worked with, else raise AudioError naming `path`.

    seconds: shortest length that is accepted.
    """
    require_seconds(recording.seconds, path, least=seconds)
    require_peak(float(max(recording.samples.max(), -recording.samples.min())), path)
    return recording


def require_seconds(seconds: float, path: Path | str, *, least: float) -> None:
    """Raise AudioError naming `path` where a recording is too short."""
    if seconds < least:
        raise AudioError(path, f"is too short: {seconds:.3f} s, at least {least:.3f} s are needed")


def require_peak(peak: float, path: Path | str) -> None:
    """Raise AudioError naming `path` where a recording is silent. peak: of full scale."""
    if peak < SILENCE:
        level = f"{20 * np.log10(peak):.0f} dBFS" if peak else "all zeros"
        raise AudioError(path, f"is silent (peak {level}, at least -80 dBFS is needed)")


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
    with writing(path, sample_rate, len(samples), subtype=subtype) as put:
        put(samples)


@contextmanager
def writing(
    path: Path | str,
    sample_rate: int,
    channels: int,
    *,
    subtype: Subtype = "PCM_16",
    tags: Mapping[Tag, str] | None = None,
) -> Iterator[Callable[[Samples], None]]:
    """Encode to WAV or FLAC, by the name's ending: yields what takes [channels, n] in [-1, 1].

    Atomic: the file appears at the end of the `with`, whole; an error inside leaves none.
    sample_rate: Hz. tags: metadata to put in. Raises InputError for another ending or subtype.
    """
    path = Path(path)
    check_writable(path, subtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        replacing(path) as temporary,
        soundfile.SoundFile(temporary, "w", sample_rate, channels, subtype) as file,
    ):
        for name, text in (tags or {}).items():
            setattr(file, name, text)
        yield lambda samples: file.write(samples.T)


def check_writable(path: Path | str, subtype: Subtype = "PCM_16") -> None:
    """Raise InputError unless `path` ends in a format that `writing` knows and holds `subtype`."""
    suffix = Path(path).suffix.lower()
    if suffix not in _FORMATS:
        raise InputError(
            f"{path}: cannot write {suffix or 'a name without ending'}; use {', '.join(_FORMATS)}"
        )
    if subtype not in _FORMATS[suffix]:
        raise InputError(f"{path}: {suffix} holds {', '.join(_FORMATS[suffix])}, not {subtype}")
