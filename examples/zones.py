"""Which recorded samples a note of a soundfont touches, and their data.

SF2: SoundFont Technical Specification 2.04, sections 6 and 7; the zones of a preset name
instruments, the zones of an instrument name samples, and both may bound keys and velocities.
GUS patches: a header of 239 bytes, then per sample 96 bytes of header, with the lowest and highest
frequency that it plays in mHz, and its data (16-bit here).
Recorded notes: the recording of the nearest key. Sonivox: all that its library holds.
"""

import hashlib
import math
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
from catalogue import NOTE_PACKAGES, Font, Kind, Preset
from numpy.typing import NDArray
from sampler import nearest, note_files, recordings

# SF2 generators.
INSTRUMENT, KEY_RANGE, VELOCITY_RANGE, SAMPLE = 41, 43, 44, 53
EVERY = (0, 127)
# What the SF2 chunks of headers, zones, generators and samples hold.
RECORDS = {
    b"phdr": "<20sHHHIII",
    b"pbag": "<HH",
    b"pgen": "<HH",
    b"inst": "<20sH",
    b"ibag": "<HH",
    b"igen": "<HH",
    b"shdr": "<20sIIIIIBbHH",
}
# Semitones by which a GUS sample is taken to reach beyond its bounds: where two samples name the
# same key as bound, both count as touched.
MARGIN = 0.5


@dataclass(frozen=True)
class Sample:
    """Sample data [n], known and compared by the digest of its bytes."""

    digest: str
    data: NDArray[np.int16] = field(compare=False, repr=False)


@dataclass(frozen=True)
class Zone:
    """The keys and velocities, both first to last, that play a sample."""

    keys: tuple[float, float]
    velocities: tuple[float, float]
    sample: Sample


class Reader(Protocol):
    """A font as read."""

    def zones(self, preset: Preset) -> list[Zone]:
        """All zones of a preset; raises ValueError if the font lacks it."""
        ...


def touched(
    font: Font, preset: Preset, key: int, velocities: tuple[int, int] = (1, 127)
) -> frozenset[Sample]:
    """The samples that notes of one key, and of velocities first to last, may play."""
    return frozenset(
        zone.sample
        for zone in zones(font, preset)
        if zone.keys[0] <= key <= zone.keys[1]
        and zone.velocities[0] <= velocities[1]
        and velocities[0] <= zone.velocities[1]
    )


@cache
def zones(font: Font, preset: Preset) -> list[Zone]:
    """All zones of a preset of a font; raises ValueError if the font lacks it."""
    return _reader(font).zones(preset)


@cache
def _reader(font: Font) -> Reader:
    readers: dict[Kind, Callable[[Path], Reader]] = {
        Kind.SF2: SoundFont,
        Kind.GUS: Patches,
        Kind.SONIVOX: Library,
        Kind.NOTES: NoteFolders,
    }
    return readers[font.kind](font.path)


def files(font: Font, presets: Iterable[Preset]) -> list[Path]:
    """The files that play ``presets``, in their order; raises ValueError if one is missing."""
    if font.kind is Kind.GUS:
        return [patch_path(font.path, preset) for preset in presets]
    if font.kind is Kind.NOTES:
        folders = [note_folder(font.path, preset) for preset in presets]
        return [path for folder in folders for path in note_files(folder)]
    return [font.path]


def note_folder(folder: Path, preset: Preset) -> Path:
    """The folder of a program's recorded notes; raises ValueError for a program without."""
    if preset not in NOTE_PACKAGES:
        raise ValueError(f"{folder} has no recorded notes of program {preset.program}")
    return folder / NOTE_PACKAGES[preset]


def patch_path(folder: Path, preset: Preset) -> Path:
    """The GUS patch of a GM program; raises ValueError if the folder has none."""
    files = sorted(folder.glob(f"Tone_{preset.bank:03d}/{preset.program:03d}_*.pat"))
    if not files:
        raise ValueError(
            f"{folder}/Tone_{preset.bank:03d} has no patch of GM program {preset.program}"
        )
    return files[0]


class Patches:
    """A folder of GUS patches with 16-bit signed samples."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def zones(self, preset: Preset) -> list[Zone]:
        """See :class:`Reader`."""
        path = patch_path(self.folder, preset)
        data = path.read_bytes()
        if not data.startswith(b"GF1PATCH110"):
            raise ValueError(f"{path} starts with {data[:12]!r}: not a GUS patch (GF1PATCH110)")
        count, position = data[198], 239
        zones = []
        for _ in range(count):
            (size,) = struct.unpack_from("<I", data, position + 8)
            low, high = struct.unpack_from("<II", data, position + 22)
            if data[position + 55] & 3 != 1:
                raise ValueError(f"{path} holds samples that are not 16-bit signed")
            keys = (_key(low) - MARGIN, _key(high) + MARGIN)
            zones.append(Zone(keys, EVERY, _sample(data, position + 96, size)))
            position += 96 + size
        return zones


def _key(millihertz: int) -> float:
    return 69 + 12 * math.log2(millihertz / 440_000)


def _sample(data: bytes, start: int, size: int) -> Sample:
    digest = hashlib.sha256(data[start : start + size]).hexdigest()
    return Sample(digest, np.frombuffer(data, "<i2", size // 2, start))


class Library:
    """Sonivox's shared library: its zones are not read, so every key counts as touching all."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        self.everything = Zone(EVERY, EVERY, _sample(data, 0, len(data) // 2 * 2))

    def zones(self, preset: Preset) -> list[Zone]:
        """See :class:`Reader`."""
        return [self.everything]


class NoteFolders:
    """Packages of recorded notes, each of which plays the keys that it is nearest to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def zones(self, preset: Preset) -> list[Zone]:
        """See :class:`Reader`."""
        folder = note_folder(self.folder, preset)
        tones = {key: self._sample(x) for key, (x, _) in recordings(folder).items()}
        return [Zone((key, key), EVERY, tones[nearest(folder, key)]) for key in range(EVERY[1] + 1)]

    @staticmethod
    def _sample(x: NDArray[np.float32]) -> Sample:
        data = np.round(x.clip(-1, 1) * 32767).astype("<i2").tobytes()
        return _sample(data, 0, len(data))


Bag = list[dict[int, int]]  # the generators of each zone, in order


class SoundFont:
    """An SF2 file."""

    def __init__(self, path: Path) -> None:
        self.path, self.data = path, path.read_bytes()
        if self.data[:4] != b"RIFF" or self.data[8:12] != b"sfbk":
            raise ValueError(f"{path} starts with {self.data[:12]!r}: not an SF2 (RIFF sfbk)")
        self.chunks = {
            inner: where
            for kind, (start, stop) in self._chunks(12, len(self.data))
            if kind == b"LIST"
            for inner, where in self._chunks(start + 4, stop)
        }
        self.records = {
            chunk: list(struct.iter_unpack(form, self.data[slice(*self.chunks[chunk])]))
            for chunk, form in RECORDS.items()
        }

    def zones(self, preset: Preset) -> list[Zone]:
        """See :class:`Reader`."""
        headers, instruments = self.records[b"phdr"], self.records[b"inst"]
        wanted = (preset.program, preset.bank)
        at = [k for k, header in enumerate(headers[:-1]) if header[1:3] == wanted]
        if not at:
            raise ValueError(f"{self.path} has no preset {preset.program} in bank {preset.bank}")
        zones = []
        for outer in self._bag(b"p", headers[at[0]][3], headers[at[0] + 1][3], INSTRUMENT):
            index = outer[INSTRUMENT]
            bounds = instruments[index][1], instruments[index + 1][1]
            for inner in self._bag(b"i", *bounds, SAMPLE):
                keys = _common(outer, inner, KEY_RANGE)
                velocities = _common(outer, inner, VELOCITY_RANGE)
                if keys[0] <= keys[1] and velocities[0] <= velocities[1]:
                    zones.append(Zone(keys, velocities, self._sample(inner[SAMPLE])))
        return zones

    def _chunks(self, start: int, stop: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
        while start + 8 <= stop:
            kind, size = struct.unpack_from("<4sI", self.data, start)
            yield kind, (start + 8, start + 8 + size)
            start += 8 + size + (size & 1)

    def _bag(self, level: bytes, first: int, last: int, target: int) -> Bag:
        """Zones with a ``target``, completed from the global zone: a first one without."""
        bags, generators = self.records[level + b"bag"], self.records[level + b"gen"]
        groups = [dict(generators[bags[k][0] : bags[k + 1][0]]) for k in range(first, last)]
        common = groups[0] if groups and target not in groups[0] else {}
        return [{**common, **zone} for zone in groups if target in zone]

    def _sample(self, index: int) -> Sample:
        start, stop = self.records[b"shdr"][index][1:3]
        base, _ = self.chunks[b"smpl"]
        return _sample(self.data, base + 2 * start, 2 * (stop - start))


def _common(outer: dict[int, int], inner: dict[int, int], kind: int) -> tuple[int, int]:
    """The range that both zones allow: low byte first, high byte last."""
    every = EVERY[1] << 8
    one, two = outer.get(kind, every), inner.get(kind, every)
    return max(one & 255, two & 255), min(one >> 8, two >> 8)
