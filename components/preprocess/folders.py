"""The clips of a folder, whatever its layout."""

from pathlib import Path

from audiostyle.spectrogram_set import Clip
from components.preprocess.datasets.recognise import data_set


def clips_of(root: Path | str, *, seed: int, validation: float, test: float) -> list[Clip]:
    """List the clips of a folder, each with its label and split; see `datasets.recognise`."""
    return data_set(root, seed=seed, validation=validation, test=test).clips
