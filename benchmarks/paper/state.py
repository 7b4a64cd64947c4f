"""What a run has finished, in a folder: one file a piece, each written whole or not at all.

A piece is known by what its result depends on: settings, classifier, recordings. The release of the
code is none of it: a run of hours is not begun again for a change elsewhere. What it was computed
with is written into each piece instead.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from audiostyle.artifacts import digest_of
from audiostyle.files import remove_temporaries, replacing

_DAMAGE = (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError)


@dataclass(frozen=True)
class Piece:
    """tensors: sounds, losses, or the state of an optimizer; values: figures for JSON."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]


class State:
    """Pieces in a folder, which is made when first written to."""

    def __init__(self, folder: Path, revision: str) -> None:
        """revision: of the code, for whoever asks how a piece came about."""
        self.folder = folder
        self._revision = revision
        if folder.is_dir():
            remove_temporaries(folder)

    def read(self, kind: str, key: Any) -> Piece | None:
        """A piece that was finished, or None. One that is damaged is computed again."""
        path = self._path(kind, key)
        if not path.exists():
            return None
        try:
            with safetensors.safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return Piece(tensors, json.loads(file.metadata()["values"]))
        except _DAMAGE as error:
            print(f"{path}: damaged, and computed again: {error}", flush=True)
            return None

    def write(self, kind: str, key: Any, piece: Piece) -> None:
        """Keep a piece; one of the same key is replaced."""
        self.folder.mkdir(parents=True, exist_ok=True)
        metadata = {
            "values": json.dumps(piece.values),
            "key": json.dumps(key),
            "revision": self._revision,
        }
        tensors = {name: value.contiguous() for name, value in piece.tensors.items()}
        with replacing(self._path(kind, key), durable=True) as temporary:
            safetensors.torch.save_file(tensors, temporary, metadata)

    def _path(self, kind: str, key: Any) -> Path:
        return self.folder / f"{kind}-{digest_of(key)[:16]}.safetensors"
