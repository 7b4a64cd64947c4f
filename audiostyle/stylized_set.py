"""The stylised set: spectrograms to reconstruct, written by stylize, read by reconstruct.

`items.jsonl` has a row an item; `items/ID.safetensors` holds `magnitude` and `phase`
[channels, bins, frames] float32 (phase in radians: the content's, a hint); `audio/ID-ROLE.flac`
are the recordings that went in, so that the set can be heard and measured wherever it is taken.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
from torch import Tensor

from audiostyle import artifacts, audio
from audiostyle.audio import Recording
from audiostyle.errors import ArtifactError
from audiostyle.spectrogram import SpectrogramConfig

ROLES = ("content", "style", "target")


@dataclass(frozen=True)
class Item:
    """One stylised recording. sample_rate (Hz), samples, channels and rms are the content's."""

    id: str
    sample_rate: int
    samples: int
    channels: int
    rms: float
    sources: dict[str, str]
    settings: dict[str, Any]
    losses: dict[str, list[float]] = field(default_factory=dict)

    def audio_name(self, role: str) -> str:
        """Relative path of the recording that went in as content, style or target."""
        return f"audio/{self.id}-{role}.flac"


def save_item(folder: Path, item: Item, magnitude: Tensor, phase: Tensor) -> None:
    """Write an item's spectrogram into the folder of a set that is being written."""
    (folder / "items").mkdir(exist_ok=True)
    tensors = {"magnitude": magnitude.contiguous(), "phase": phase.contiguous()}
    safetensors.torch.save_file(tensors, folder / "items" / f"{item.id}.safetensors")


def save_audio(folder: Path, item: Item, role: str, recording: Recording) -> None:
    """Keep a recording that went in. Float recordings beyond full scale are scaled down to it."""
    samples = recording.samples / max(1.0, float(np.abs(recording.samples).max()))
    audio.write(folder / item.audio_name(role), samples, recording.sample_rate)


def save_items(folder: Path, items: list[Item]) -> None:
    """Write the table of items."""
    artifacts.write_table(folder / "items.jsonl", map(asdict, items))


@dataclass(frozen=True)
class StylizedSet:
    """A stylised set that was opened. Spectrograms are read when asked for."""

    artifact: artifacts.Artifact
    spectrogram: SpectrogramConfig
    items: tuple[Item, ...]

    def load(self, item: Item) -> tuple[Tensor, Tensor]:
        """Magnitude and phase of an item, each [channels, bins, frames] float32."""
        path = self.artifact.path(f"items/{item.id}.safetensors")
        try:
            tensors = safetensors.torch.load_file(path)
            magnitude, phase = tensors["magnitude"], tensors["phase"]
        except (KeyError, safetensors.SafetensorError) as error:
            raise ArtifactError(path, f"holds no magnitude and phase: {error}") from None
        shape = (item.channels, self.spectrogram.bins)
        if magnitude.ndim != 3 or magnitude.shape[:2] != shape or magnitude.shape != phase.shape:
            raise ArtifactError(
                path,
                f"magnitude has shape {list(magnitude.shape)};"
                f" [{shape[0]}, {shape[1]}, frames] is needed",
            )
        return magnitude, phase

    def audio_path(self, item: Item, role: str) -> Path:
        """Path of the recording that went in as content, style or target."""
        return self.artifact.path(item.audio_name(role))


def read(folder: Path | str) -> StylizedSet:
    """Open a stylised set. Raises ArtifactError where it is none, or damaged."""
    artifact = artifacts.opening(folder, artifacts.STYLIZED_SET)
    path = artifact.path("items.jsonl")
    try:
        items = tuple(Item(**row) for row in artifacts.read_table(path))
    except TypeError as error:
        raise ArtifactError(path, f"has a row that is no item: {error}") from None
    config = SpectrogramConfig.parse(artifact.config.get("spectrogram"), folder)
    return StylizedSet(artifact, config, items)
