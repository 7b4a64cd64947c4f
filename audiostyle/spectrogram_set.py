"""The spectrogram set: labeled magnitude spectrograms, written by preprocess, read by train.

`clips.jsonl` has a row a clip, in order; `magnitudes-NNNNN.safetensors` hold the clips, some
hundreds in each, as one tensor `magnitude` [n, bins, frames] float32; `failures.jsonl` names the
files that could not be used and why.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audiostyle import artifacts, tensors
from audiostyle.errors import ArtifactError
from audiostyle.spectrogram import SpectrogramConfig
from audiostyle.splitting import SPLITS as SPLITS

# Bytes of a file of clips, 128 of 3 s: large enough to read at disk speed, small enough to hold.
SHARD = 70 << 20


@dataclass(frozen=True)
class Clip:
    """One labeled recording of a data set, or a window of one.

    path: relative to the data set's root. group: clips of one group stay in one split. fold: as
    published, for cross-validation. source_id: the recording that it was cut from. start: of the
    clip in the file, in seconds. licence: spelled as in the files of version 1 of the format.
    """

    path: str
    label: str
    split: str
    group: str
    sha256: str = ""
    licence: str = ""
    fold: str = ""
    source_id: str = ""
    start: float = 0.0


@dataclass(frozen=True)
class Failure:
    """A file that could not be used."""

    path: str
    reason: str


def write(
    folder: Path | str,
    spectrogram: SpectrogramConfig,
    data: dict[str, Any],
    results: Iterable[tuple[Clip, Tensor] | Failure],
) -> None:
    """Write a spectrogram set from a stream of results, holding one shard in memory.

    data: what is recorded of the data set (name, layout …). Each tensor: [bins, frames] float32.
    """
    config = {"spectrogram": spectrogram.plain(), "data": data}
    clips: list[Clip] = []
    failures: list[Failure] = []
    with artifacts.writing(folder, artifacts.SPECTROGRAM_SET, config) as temporary:

        def good() -> Iterator[Tensor]:
            for result in results:
                if isinstance(result, Failure):
                    failures.append(result)
                else:
                    clips.append(result[0])
                    yield result[1]

        stream = good()
        number = 0
        together = max(1, SHARD // (4 * spectrogram.bins * spectrogram.clip_frames))
        while shard := list(islice(stream, together)):
            tensors.write(temporary / _shard(number), {"magnitude": torch.stack(shard)})
            number += 1
        artifacts.write_table(temporary / "clips.jsonl", map(asdict, clips))
        artifacts.write_table(temporary / "failures.jsonl", map(asdict, failures))


@dataclass(frozen=True)
class SpectrogramSet:
    """A spectrogram set that was opened. Magnitudes are read when asked for."""

    artifact: artifacts.Artifact
    spectrogram: SpectrogramConfig
    clips: tuple[Clip, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Labels, sorted: their order is the order of the classifier's outputs."""
        return tuple(sorted({clip.label for clip in self.clips}))

    @property
    def digest(self) -> str:
        """SHA-256 over content and configuration."""
        return self.artifact.digest

    def where(self, split: str) -> Tensor:
        """Indices of the clips of a split. Output: [n] int64."""
        return torch.tensor(
            [i for i, c in enumerate(self.clips) if c.split == split], dtype=torch.long
        )

    def labels(self) -> Tensor:
        """Class of every clip, as an index into `class_names`. Output: [n] int64."""
        index = {name: i for i, name in enumerate(self.class_names)}
        return torch.tensor([index[clip.label] for clip in self.clips], dtype=torch.long)

    def shards(self) -> Iterator[Tensor]:
        """All magnitudes in order, one shard at a time: [n, bins, frames] float32."""
        seen = 0
        number = 0
        while seen < len(self.clips):
            path = self.artifact.path(_shard(number))
            try:
                magnitude = tensors.read(path)["magnitude"]
            except KeyError as error:
                raise ArtifactError(path, f"holds no magnitudes: {error}") from None
            wanted = (self.spectrogram.bins, self.spectrogram.clip_frames)
            if magnitude.dtype != torch.float32 or magnitude.shape[1:] != wanted:
                raise ArtifactError(
                    path,
                    f"magnitude is {magnitude.dtype} of shape {list(magnitude.shape)};"
                    f" float32 of [clips, {wanted[0]}, {wanted[1]}] is needed",
                )
            if not magnitude.isfinite().all():
                raise ArtifactError(path, "holds magnitudes that are not finite")
            seen += len(magnitude)
            if not len(magnitude) or seen > len(self.clips):
                raise ArtifactError(path, f"holds not as many clips as clips.jsonl: {seen}")
            number += 1
            yield magnitude


def read(folder: Path | str) -> SpectrogramSet:
    """Open a spectrogram set. Raises ArtifactError where it is none, or damaged."""
    artifact = artifacts.opening(folder, artifacts.SPECTROGRAM_SET)
    path = artifact.path("clips.jsonl")
    clips = artifacts.read_rows(path, Clip)
    config = SpectrogramConfig.parse(artifact.config.get("spectrogram"), folder)
    artifact.table("data")
    return SpectrogramSet(artifact, config, clips)


def _shard(number: int) -> str:
    return f"magnitudes-{number:05d}.safetensors"
