"""Batches of stylized windows that are finished: in memory, or in a folder to go on from.

There, a safetensors file a batch, written under a temporary name and renamed. Nothing depends on
when it was written: the same batch of the same inputs has the same result.
"""

import json
import logging
import shutil
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import safetensors
from torch import Tensor

from audiostyle.files import replacing
from audiostyle.tensors import write as write_tensors
from components.stylize.methods.parts.method import Heard
from components.stylize.transfer import Transferred

log = logging.getLogger(__name__)

# An item's number in the set, and a window's in the item.
Key = tuple[int, int]


class Results:
    """Finished batches in memory, for as long as the object is there."""

    def __init__(self) -> None:
        self._batch: dict[Key, int] = {}
        self._windows: dict[Key, Transferred] = {}

    def assign(self, batches: Sequence[Sequence[Key]]) -> None:
        """Set which windows make which batch."""
        self._batch = {key: number for number, keys in enumerate(batches) for key in keys}

    def batch(self, key: Key) -> int:
        """The batch that a window is in."""
        return self._batch[key]

    def has(self, batch: int) -> bool:
        """Whether a batch is there."""
        return any(self._batch[key] == batch for key in self._windows)

    def save(self, batch: int, done: dict[Key, Transferred]) -> None:
        """Keep a batch."""
        self._windows |= done

    def magnitude(self, key: Key) -> Tensor:
        """A stylized window, [bins, frames]."""
        return self._windows[key].magnitude

    def clear(self) -> None:
        """Remove it all."""
        self._windows.clear()

    def outcome(self, keys: Sequence[Key]) -> tuple[dict[str, list[float]], str]:
        """Losses of a recording, the mean of its windows at each step, and its first error.

        A window that ended before others counts with what it ended with.
        """
        curves: dict[str, list[list[float]]] = {}
        errors = []
        for key in keys:
            losses, error, _ = self._outcome(key)
            errors.append(error)
            for term, values in losses.items():
                if not values:
                    continue  # it broke at once
                curves.setdefault(term, []).append(values)
        means = {}
        for term, several in curves.items():
            steps = max(map(len, several))
            padded = [[*values, *[values[-1]] * (steps - len(values))] for values in several]
            means[term] = [sum(column) / len(padded) for column in zip(*padded, strict=True)]
        return means, next(filter(None, errors), "")

    def heard(self, keys: Sequence[Key]) -> list[Heard]:
        """What was heard in each window of a recording."""
        return [self._outcome(key)[2] for key in keys]

    def _outcome(self, key: Key) -> tuple[dict[str, list[float]], str, Heard]:
        """Losses and error of a window, and what was heard in it."""
        window = self._windows[key]
        return window.losses, window.error, window.heard


class Checkpoint(Results):
    """Finished batches in a folder, which is made when first written to."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        # A recording is put together in order: two windows overlap, seldom three.
        self._magnitude = lru_cache(maxsize=4)(self._read_magnitude)
        self._metadata = lru_cache(maxsize=2)(self._read_metadata)

    def has(self, batch: int) -> bool:
        """Whether a batch is there and whole; a damaged one is logged and taken for missing."""
        path = self._path(batch)
        if not path.exists():
            return False
        try:
            self._read_metadata(batch)
        except (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
            log.warning("stylize: %s: damaged batch passed over: %s", path, error)
            return False
        return True

    def save(self, batch: int, done: dict[Key, Transferred]) -> None:
        """Write a batch."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(batch)
        tensors = {_name(key): value.magnitude.contiguous() for key, value in done.items()}
        outcomes = {
            _name(key): [value.losses, value.error, value.heard] for key, value in done.items()
        }
        with replacing(path, durable=True) as temporary:
            write_tensors(temporary, tensors, {"outcomes": json.dumps(outcomes)})

    def clear(self) -> None:
        """Remove it all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def magnitude(self, key: Key) -> Tensor:
        """A stylized window, [bins, frames]."""
        return self._magnitude(key)

    def _outcome(self, key: Key) -> tuple[dict[str, list[float]], str, Heard]:
        losses, error, heard = self._metadata(self._batch[key])[_name(key)]
        return losses, error, heard

    def _read_magnitude(self, key: Key) -> Tensor:
        with safetensors.safe_open(self._path(self._batch[key]), "pt") as file:
            tensor: Tensor = file.get_tensor(_name(key))
        return tensor

    def _read_metadata(self, batch: int) -> dict[str, Any]:
        with safetensors.safe_open(self._path(batch), "pt") as file:
            outcomes: dict[str, Any] = json.loads(file.metadata()["outcomes"])
        return outcomes

    def _path(self, batch: int) -> Path:
        return self.folder / f"batch-{batch:06d}.safetensors"


def _name(key: Key) -> str:
    return f"{key[0]}.{key[1]}"
