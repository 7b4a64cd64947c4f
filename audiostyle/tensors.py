"""Tensors by anybody: safetensors files, of which a header is read before the data it speaks of."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from audiostyle.errors import ArtifactError

# Ours have fifty tensors at most, 100 bytes each. The library takes headers of 100 MB, which can
# name a million empty tensors: a minute, and ten times their size in memory.
HEADER_BYTES = 1 << 20
# Where the library says which error of the system it had.
_SYSTEM = re.compile(r"os error (\d+)")


def require_header(start: bytes) -> None:
    """Raise ValueError where the first eight bytes of a file speak of too large a header."""
    header = int.from_bytes(start[:8], "little")
    if header > HEADER_BYTES:
        raise ValueError(f"has a header of {header} bytes; {HEADER_BYTES} are the most")


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, on the CPU. Raises ArtifactError where it is no such file."""
    try:
        with path.open("rb") as file:
            require_header(file.read(8))
        named: dict[str, Tensor] = safetensors.torch.load_file(path, device="cpu")
    except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
        raise ArtifactError(path, f"is not safetensors: {error}") from None
    return named


def write(
    path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, str] | None = None
) -> None:
    """Write tensors by name to a file, with texts about them.

    Raises OSError naming the file, as where the disk is full; the library has an error of its own.
    """
    try:
        safetensors.torch.save_file(dict(tensors), path, dict(about) if about else None)
    except safetensors.SafetensorError as error:
        match = _SYSTEM.search(str(error))
        if match is None:
            raise
        raise OSError(int(match[1]), os.strerror(int(match[1])), str(path)) from None
