"""Checkpoints: a training that was stopped, however, goes on where it was.

One safetensors file an epoch, written under a temporary name and renamed; the last two are kept,
so that a file that a crash of the machine truncated costs one epoch.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor

from audiostyle.files import remove_temporaries, replacing
from audiostyle.tensors import write as write_tensors
from audiostyle.untrusted import json_value

log = logging.getLogger(__name__)

_LAST = 2  # checkpoints that stay
_DAMAGE = (
    OSError,
    LookupError,
    TypeError,
    ValueError,
    RuntimeError,
    safetensors.SafetensorError,
)


@dataclass(frozen=True)
class Checkpoint:
    """State after an epoch. tensors: by dotted name; values: anything that JSON holds."""

    epoch: int
    tensors: dict[str, Tensor]
    values: dict[str, Any]


def path_of(folder: Path, epoch: int) -> Path:
    """Where the checkpoint of an epoch is kept."""
    return folder / f"epoch-{epoch:05d}.safetensors"


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint and drop those before the last two."""
    folder.mkdir(parents=True, exist_ok=True)
    path = path_of(folder, checkpoint.epoch)
    tensors = {
        name: value.detach().cpu().contiguous() for name, value in checkpoint.tensors.items()
    }
    with replacing(path, durable=True) as temporary:
        write_tensors(temporary, tensors, {"values": json.dumps(checkpoint.values)})
    for old in sorted(folder.glob("epoch-*.safetensors"))[:-_LAST]:
        old.unlink()
    remove_temporaries(folder)


def latest(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole, or None. Damaged ones are logged and passed over."""
    for path in sorted(folder.glob("epoch-*.safetensors"), reverse=True):
        try:
            with safetensors.safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                values = json_value((file.metadata() or {})["values"])
            if bad := [name for name, value in tensors.items() if not value.isfinite().all()]:
                raise ValueError(f"{bad[0]} is not finite")
        except _DAMAGE as error:
            log.warning("train: %s: damaged checkpoint passed over: %s", path, error)
            continue
        return Checkpoint(int(path.stem.removeprefix("epoch-")), tensors, values)
    return None


def clear(folder: Path) -> None:
    """Remove the checkpoints of a training that is done."""
    for path in folder.glob("epoch-*"):
        path.unlink()


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State of an optimizer as named tensors: `INDEX.NAME`, parameters in the order of groups."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": torch.as_tensor(value)
        for index, entries in state.items()
        for name, value in entries.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` of an Adam gave. Raises ValueError for anything else."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    wanted = {
        index: {"step": (), "exp_avg": tuple(p.shape), "exp_avg_sq": tuple(p.shape)}
        for index, p in enumerate(parameters)
    }
    if {i: {n: tuple(v.shape) for n, v in named.items()} for i, named in state.items()} != wanted:
        raise ValueError("the optimizer's state is of another network")
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
