"""Decoding whatever libsndfile reads: each sample, whatever a header says of their number."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from audiostyle.audio import containers, flac, mpeg, ogg, signatures
from audiostyle.audio.pieces import PiecedFile, Stream, bytes_at, size_of
from audiostyle.audio.quiet import quiet
from audiostyle.audio.recording import Recording, Samples
from audiostyle.errors import AudioError
from audiostyle.files import has_text_name

# Hz. Below, a short file would be hours of sound; above, nothing records.
RATES = (1000, 1_536_000)
# Of full scale. Some write integers as floats, up to 2^31; squares of more leave float32.
LOUDEST = 1e10
# Samples, of all channels together, that are decoded at a time.
_PIECE = 1 << 22
# Frames that are asked for where the header states no more.
_LITTLE = 1 << 16
# MP3: a frame needs bits of some before it, ten at most at the lowest rates.
_LEAD = 10 * 1152
# Bytes of headers that a file without samples has at most.
_HEADERS = 4096
# Sample formats of which a file's size says how many there are.
_PLAIN = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW")


class _InOrder(soundfile.SoundFile):  # type: ignore[misc]
    """A file that is read in order: python-soundfile else seeks after each read.

    It cannot in GSM, G.721 and NMS ADPCM, nor where a header states more samples than there are.
    """

    def seekable(self) -> bool:
        """Whether to seek after each read: no."""
        return False

    def can_seek(self) -> bool:
        """Whether libsndfile can."""
        return bool(super().seekable())


class AudioFile:
    """A file opened by `opening`. See Source."""

    def __init__(self, path: Path, file: BinaryIO, *, on_disk: bool) -> None:
        """file: the bytes, which stay the caller's to close. on_disk: they are those of `path`."""
        self.path = path
        self._file = file
        self._on_disk = on_disk
        # Each stream of a chain, of which most files have one; None is the file as it is.
        self._streams, exact = _streams(file, path.name)
        self._number = 0
        self._at = 0
        self._open = self._opened(0)
        self.sample_rate = int(self._open.samplerate)
        self.channels = int(self._open.channels)
        self.format, self.subtype = str(self._open.format), str(self._open.subtype)
        # Frames to decode before a position, so that a sample is what it is when read in order.
        self._lead = _LEAD if self.subtype.startswith("MPEG") else 0
        if exact is None:
            exact = self.subtype.startswith(_PLAIN)
        counted = self._streams[0].frames if self._streams[0] else None
        self._most = self._streams[0].most if self._streams[0] else None
        if counted is None and exact and len(self._streams) == 1:
            counted = int(self._open.frames)
        self._seekable = counted is not None and self._open.can_seek()
        self._frames = counted

    @property
    def frames(self) -> int:
        """Samples a channel; counted by decoding where no header can be relied on."""
        if self._frames is None:
            self._restart()
            while (part := self.following(_PIECE // self.channels)).size:
                del part
            self._frames = self._at
            self._restart()
        return self._frames

    def holds(self, frames: int) -> bool:
        """Whether there are so many frames at least."""
        if self._frames is not None:
            return self._frames >= frames
        return self.part(0, max(1, frames)).frames >= frames

    def part(self, start: int, stop: int) -> Recording:
        """See Source. Raises AudioError like `following`, and where there is no sample."""
        self._go_to(start)
        samples = self.following(stop - start)
        if not samples.size:
            raise AudioError(self.path, self._why_empty(start))
        return Recording(samples, self.sample_rate)

    def following(self, frames: int) -> Samples:
        """The next so many frames, or those that are left. Output: [channels, n] float32.

        Raises AudioError where they cannot be decoded or hold values like NaN.
        """
        # In pieces, since a header may promise more than any memory holds.
        parts: list[Samples] = []
        at = self._at
        if self._most is not None:
            frames = min(frames, self._most - at)
        with _decoding(self.path):
            while frames > 0:
                # libsndfile fills up with zeros what is asked for and is not there.
                stated = max(_LITTLE, int(self._open.frames) - at)
                most = min(frames, stated, max(1, _PIECE // self.channels))
                part = self._open.read(most, dtype="float32", always_2d=True)
                if len(part):
                    parts.append(part)
                    frames -= len(part)
                    at += len(part)
                elif not self._go_on():
                    break
        if not parts:
            return np.empty((self.channels, 0), np.float32)
        samples = np.ascontiguousarray((parts[0] if len(parts) == 1 else np.concatenate(parts)).T)
        self._at = at
        _require_numbers(samples, self.path)
        return samples

    @property
    def repaired(self) -> bool:
        """Whether its header states what is not so."""
        return self._streams != [None]

    def close(self) -> None:
        """Close libsndfile's side of it."""
        self._open.close()

    def _go_to(self, frame: int) -> None:
        if self._seekable and not self._at <= frame <= self._at + self._lead:
            self._at = max(0, frame - self._lead)
            with _decoding(self.path):
                self._open.seek(self._at)
        if frame < self._at:
            self._restart()
        while self._at < frame:
            if not self.following(min(frame - self._at, _PIECE // self.channels)).size:
                return

    def _restart(self) -> None:
        self._open.close()
        self._open, self._number, self._at = self._opened(0), 0, 0

    def _go_on(self) -> bool:
        """Whether there was another stream to go on with."""
        if self._number + 1 == len(self._streams):
            return False
        self._number += 1
        self._open.close()
        self._open = self._opened(self._number)
        here = (self._open.channels, self._open.samplerate)
        if here != (self.channels, self.sample_rate):
            raise AudioError(
                self.path,
                f"goes on with {here[0]} channels at {here[1]} Hz after {self.channels} at"
                f" {self.sample_rate} Hz; split it",
            )
        return True

    def _opened(self, number: int) -> _InOrder:
        stream = self._streams[number]
        try:
            with quiet():
                # By its name, which some formats are known by, but nothing says what `.raw` holds.
                if stream is None and self._on_disk and not self._is_called_raw():
                    opened = _InOrder(self.path)
                else:
                    whole = Stream((range(size_of(self._file)),))
                    opened = _InOrder(PiecedFile(self._file, stream or whole))
        except (soundfile.SoundFileError, ValueError) as error:
            kind = signatures.described(bytes_at(self._file, 0, 64))
            detail = f"it is {kind}" if kind else _detail(error)
            if self._is_called_raw() and not kind:
                detail = "no header says its sample rate and sample format; convert it to WAV"
            raise AudioError(self.path, f"cannot be decoded as audio: {detail}") from None
        if opened.format == "RAW":
            # It has no header, and is sound by its name alone: so would be any other file.
            head = bytes_at(self._file, 0, 64)
            if head.strip(b"\0") and (kind := signatures.described(head)):
                opened.close()
                raise AudioError(self.path, f"cannot be decoded as audio: it is {kind}")
        return opened

    def _is_called_raw(self) -> bool:
        return self.path.suffix.lower() in (".raw", ".pcm")

    def _why_empty(self, start: int) -> str:
        size = size_of(self._file)
        if start:
            return f"ends before sample {start}"
        if size > _HEADERS:
            return f"is empty (no samples that can be decoded in {size} bytes; was it cut off?)"
        return "is empty (no samples)"


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
    with path.open("rb") if content is None else io.BytesIO(content) as bytes_of_file:
        file = AudioFile(path, bytes_of_file, on_disk=content is None)
        try:
            if not RATES[0] <= file.sample_rate <= RATES[1]:
                accepted = f"{RATES[0]} to {RATES[1]} are accepted"
                raise AudioError(path, f"has a sample rate of {file.sample_rate} Hz; {accepted}")
            yield file
        finally:
            file.close()


def read(path: Path | str, content: bytes | None = None) -> Recording:
    """Decode a whole file. See `opening`; raises AudioError where it is corrupt, too."""
    with opening(path, content) as file:
        return file.part(0, 1 << 62)


def _streams(file: BinaryIO, name: str) -> tuple[list[Stream | None], bool | None]:
    """The streams of a file with headers put right, and whether their lengths are exact.

    None: a file that needs no repair; a length that only the sample format decides about.
    """
    if ogg.is_ogg(file):
        return list(ogg.streams(file)) or [None], True
    if flac.is_flac(file):
        stream = flac.repaired(file)
        return [stream], stream is None
    if mpeg.is_mp3(file, name):
        stream = mpeg.repaired(file)
        return [stream], stream is None
    return [containers.repaired(file)], None


@contextmanager
def _decoding(path: Path) -> Iterator[None]:
    try:
        with quiet():
            yield
    except (soundfile.SoundFileError, ValueError) as error:
        raise AudioError(path, f"cannot be decoded as audio: {_detail(error)}") from None


def _detail(error: Exception) -> str:
    return str(getattr(error, "error_string", error)).rstrip(".")


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
    if not has_text_name(path):
        raise AudioError(path, "has a name that is not UTF-8; rename it")
    if path.stat().st_size == 0:
        raise AudioError(path, "is empty (0 bytes)")
