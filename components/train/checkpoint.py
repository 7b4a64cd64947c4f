"""Checkpoints: a training that was stopped, however, goes on where it was.

One safetensors file an epoch, written under a temporary name and renamed; the last two are kept,
so that a file that a crash of the machine truncated costs one epoch.
"""

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

log = logging.getLogger(__name__)

_KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """State after an epoch. tensors: by dotted name; values: anything that JSON holds."""

    epoch: int
    tensors: dict[str, Tensor]
    values: dict[str, Any]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and drop those before the last two."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"epoch-{checkpoint.epoch:05d}.safetensors"
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in checkpoint.tensors.items()
    }
    safetensors.torch.save_file(tensors, temporary, {"values": json.dumps(checkpoint.values)})
    # On the disk before it gets its name: after a power cut a name stands for a whole file.
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    for old in sorted(folder.glob("epoch-*.safetensors"))[:-_KEPT]:
        old.unlink()
    for leftover in folder.glob("*.tmp"):
        leftover.unlink(missing_ok=True)


def latest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole, or None. Damaged ones are logged and passed over."""
    for path in sorted(folder.glob("epoch-*.safetensors"), reverse=True):
        try:
            with safetensors.safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                values = json.loads((file.metadata() or {})["values"])
        except (OSError, KeyError, ValueError, safetensors.SafetensorError) as error:
            log.warning("train: %s: damaged checkpoint passed over: %s", path, error)
            continue
        return Checkpoint(int(path.stem.removeprefix("epoch-")), tensors, values)
    return None


def clear(folder: Path) -> None:
    """Remove the checkpoints of a training that is done."""
    for path in folder.glob("epoch-*"):
        path.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State of an optimiser as named tensors: `INDEX.NAME`, parameters in the order of groups."""
    state = optimiser.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value)
        for index, entries in state.items()
        for name, value in entries.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimiser_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
