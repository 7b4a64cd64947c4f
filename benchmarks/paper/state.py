"""What a run has finished, in a folder: one file a piece, each written whole or not at all.

A piece is known by what its result depends on: settings, classifier, recordings. The release of the
code is none of it: a run of hours is not begun again for a change elsewhere. What it was computed
with is written into each piece instead.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from filelock import FileLock, Timeout
from torch import Tensor

from audiostyle.artifacts import bytes_digest, digest_of
from audiostyle.errors import InputError
from audiostyle.files import remove_temporaries, replacing
from audiostyle.tensors import write as write_tensors

_DAMAGE = (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError)


@dataclass(frozen=True)
class Piece:
    """tensors: sounds, losses, or the state of an optimizer; values: figures for JSON."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]


class State:
    """Pieces in a folder. One run at a time adds to them; any number may read them meanwhile."""

    def __init__(self, folder: Path, revision: str) -> None:
        """revision: of the code, for whoever asks how a piece came about."""
        self.folder = folder
        self._revision = revision

    @contextmanager
    def adding(self) -> Iterator[None]:
        """While pieces are computed: for this run alone, without what a killed one left.

        Raises InputError where another run adds to the folder.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.folder / ".lock", blocking=False):
                remove_temporaries(self.folder)
                yield
        except Timeout:
            raise InputError(
                f"state: {self.folder}: another run computes there; wait for its end, show what it"
                " has finished with --finished, or give another folder"
            ) from None

    def read(self, kind: str, key: Any) -> Piece | None:
        """A piece that was finished, or None. One that is damaged is computed again."""
        path = self._path(kind, key)
        if not path.exists():
            return None
        try:
            with safetensors.safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                metadata = file.metadata()
            values = json.loads(metadata["values"])
            # Pieces of release 0.2.0 have no digest.
            if metadata.get("sha256", digest := _digest(tensors, values)) != digest:
                raise ValueError("its content does not have its SHA-256")
            return Piece(tensors, values)
        except _DAMAGE as error:
            print(f"{path}: damaged, and computed again: {error}", flush=True)
            return None

    def write(self, kind: str, key: Any, piece: Piece) -> None:
        """Keep a piece; one of the same key is replaced."""
        tensors = {name: value.contiguous() for name, value in piece.tensors.items()}
        metadata = {
            "values": json.dumps(piece.values),
            "key": json.dumps(key),
            "revision": self._revision,
            "sha256": _digest(tensors, piece.values),
        }
        with replacing(self._path(kind, key), durable=True) as temporary:
            write_tensors(temporary, tensors, metadata)

    def _path(self, kind: str, key: Any) -> Path:
        return self.folder / f"{kind}-{digest_of(key)[:16]}.safetensors"


def _digest(tensors: dict[str, Tensor], values: dict[str, Any]) -> str:
    return bytes_digest(safetensors.torch.save(tensors) + json.dumps(values).encode())
