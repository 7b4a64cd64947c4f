"""The stylized set: spectrograms to reconstruct, written by stylize, read by reconstruct.

`items.jsonl` has a row an item. `items/ID-NNNNN.safetensors`, in order, hold `magnitude` and
`phase` [channels, bins, frames] float32 (phase in radians: the content's, a hint), so that an item
of any length is written and read in constant memory. `audio/` has the recordings that went in, one
file each however many items share it, so that the set can be heard and measured wherever it is
taken.
"""

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from audiostyle import artifacts, tensors
from audiostyle.errors import ArtifactError
from audiostyle.spectrogram import SpectrogramConfig

ROLES = ("content", "style", "target")
# Frames in a shard of stereo: 24 s at the defaults, 17 MB; of more channels as many bytes.
SHARD_FRAMES = 1024


@dataclass(frozen=True)
class Item:
    """One stylized recording. sample_rate (Hz), samples, channels and rms are the content's.

    sources: role to the name that the recording had; audio: role to its path in the set.
    losses: term to its values, step by step. error: what stopped the item early, or "".
    heard: what the method heard in the recordings, for people: short lines of plain text, or "".
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")]
    sample_rate: Annotated[int, Field(ge=1)]
    samples: Annotated[int, Field(ge=1)]
    channels: Annotated[int, Field(ge=1, le=1024)]
    rms: Annotated[float, Field(ge=0)]
    frames: Annotated[int, Field(ge=1)]
    shards: Annotated[int, Field(ge=1)]
    sources: dict[str, str]
    audio: dict[str, str]
    settings: dict[str, Any]
    losses: dict[str, list[float]] = field(default_factory=dict)
    error: str = ""
    heard: str = ""


def save_shards(folder: Path, id: str, blocks: Iterable[tuple[Tensor, Tensor]]) -> int:
    """Write magnitude and phase that come in blocks [channels, bins, n]; returns how many files."""
    (folder / "items").mkdir(exist_ok=True)
    shards = 0

    def save(parts: list[Tensor]) -> None:
        nonlocal shards
        parted = {"magnitude": parts[0].contiguous(), "phase": parts[1].contiguous()}
        tensors.write(folder / _shard(id, shards), parted)
        shards += 1

    held: list[Tensor] = []
    for block in blocks:
        parts = zip(held, block, strict=True) if held else ()
        held = [torch.cat(pair, 2) for pair in parts] or list(block)
        size = max(1, min(SHARD_FRAMES, 2 * SHARD_FRAMES // len(held[0])))
        while held[0].shape[2] >= size:
            save([part[..., :size] for part in held])
            held = [part[..., size:] for part in held]
    if held and held[0].shape[2]:
        save(held)
    return shards


def save_audio(folder: Path, recording: Path, digest: str) -> str:
    """Keep a recording that went in; returns its path in the set. digest: the file's SHA-256."""
    # The name stays recognizable, whatever the file is called.
    stem = re.sub(r"[^a-z0-9]+", "-", recording.stem.lower()).strip("-")[:40] or "audio"
    suffix = re.sub(r"[^a-z0-9.]", "", recording.suffix.lower())
    path = folder / "audio" / digest[:16] / f"{stem}{suffix}"
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        shutil.copyfile(recording, path)
    return next(path.parent.iterdir()).relative_to(folder).as_posix()


def save_items(folder: Path, items: list[Item]) -> None:
    """Write the table of items."""
    artifacts.write_table(folder / "items.jsonl", map(asdict, items))


@dataclass(frozen=True)
class StylizedSet:
    """A stylized set that was opened. Spectrograms are read when asked for."""

    artifact: artifacts.Artifact
    spectrogram: SpectrogramConfig
    items: tuple[Item, ...]

    def blocks(self, item: Item) -> Iterator[tuple[Tensor, Tensor]]:
        """Magnitude and phase of an item in order, each [channels, bins, some frames] float32.

        Raises ArtifactError naming the file that does not hold what the item says.
        """
        frames = 0
        wanted = (item.channels, self.spectrogram.bins)
        for number in range(item.shards):
            path = self.artifact.path(_shard(item.id, number))
            try:
                pair = tensors.read(path)
                magnitude, phase = pair["magnitude"], pair["phase"]
            except KeyError as error:
                raise ArtifactError(path, f"holds no magnitude and phase: {error}") from None
            shape = tuple(magnitude.shape)
            if not all(t.dtype == torch.float32 and t.isfinite().all() for t in (magnitude, phase)):
                raise ArtifactError(path, "magnitude and phase are not finite numbers in float32")
            if magnitude.numel() and magnitude.min() < 0:
                raise ArtifactError(path, "holds magnitudes below zero")
            if len(shape) != 3 or shape[:2] != wanted or magnitude.shape != phase.shape:
                raise ArtifactError(
                    path,
                    f"magnitude has shape {list(shape)};"
                    f" [{wanted[0]}, {wanted[1]}, frames] is needed",
                )
            frames += shape[2]
            yield magnitude, phase
        if frames != item.frames:
            raise ArtifactError(
                self.artifact.folder, f"item {item.id} has {frames} frames of {item.frames}"
            )

    def audio_path(self, item: Item, role: str) -> Path:
        """Path of the recording that went in as content, style or target."""
        return self.artifact.path(item.audio[role])


def read(folder: Path | str) -> StylizedSet:
    """Open a stylized set. Raises ArtifactError where it is none, or damaged."""
    artifact = artifacts.opening(folder, artifacts.STYLIZED_SET)
    path = artifact.path("items.jsonl")
    items = artifacts.read_rows(path, Item)
    config = SpectrogramConfig.parse(artifact.config.get("spectrogram"), folder)
    for item in items:
        _check(item, artifact, config, path)
    return StylizedSet(artifact, config, items)


def _check(item: Item, artifact: artifacts.Artifact, config: SpectrogramConfig, path: Path) -> None:
    """Raise ArtifactError where an item's parts contradict each other."""
    seconds = item.samples / item.sample_rate
    # Where both ends are rounded they differ by a frame; who says 1e12 samples means harm.
    spare = (config.n_fft + 2 * config.hop_length) / config.sample_rate + 1 / item.sample_rate
    if abs(seconds - item.frames * config.hop_length / config.sample_rate) > spare:
        raise ArtifactError(
            path, f"item {item.id} has {item.samples} samples, too many or few for its frames"
        )
    if not {"content", "style"} <= item.sources.keys() <= set(ROLES):
        raise ArtifactError(path, f"item {item.id} has the sources {sorted(item.sources)}")
    if item.audio.keys() != item.sources.keys():
        raise ArtifactError(path, f"item {item.id} has the audio {sorted(item.audio)}")
    for name in item.audio.values():
        artifact.path(name)
    for number in range(min(item.shards, item.frames)):
        artifact.path(_shard(item.id, number))


def _shard(id: str, number: int) -> str:
    return f"items/{id}-{number:05d}.safetensors"
