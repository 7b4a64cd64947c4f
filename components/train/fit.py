"""The training loop."""

import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from audiostyle.errors import ArtifactError, AudiostyleError
from audiostyle.network import Classifier
from audiostyle.progress import bar
from components.train import checkpoint
from components.train.augmentation import augment, mix
from components.train.config import TrainConfig
from components.train.evaluation import probabilities
from components.train.placement import batch_of, place

log = logging.getLogger(__name__)

# The optimizer's part of a checkpoint, spelled as in those that are there.
_OPTIMIZER = "optimiser"


@dataclass(frozen=True)
class Examples:
    """Clips in memory. represented: [n, bands, frames] from `represent`; labels: [n] int64."""

    represented: Tensor
    labels: Tensor


@dataclass
class Progress:
    """What is known after some epochs: one row an epoch, the best weights, the time it took."""

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = -1
    best_loss: float = float("inf")
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0


def fit(
    model: Classifier,
    train: Examples,
    validation: Examples,
    config: TrainConfig,
    checkpoints: Path | None = None,
) -> Progress:
    """Train a model in place and leave it with the weights of the best epoch.

    Best is the lowest validation loss: on the few clips of a validation split it moves in finer
    steps than accuracy. The model's device is where everything is computed.
    checkpoints: folder to keep the state in after each epoch, and to go on from. On a CPU the
    weights are then those of an unbroken run, to the bit.
    """
    device = next(model.parameters()).device
    x = place(train.represented, device)
    targets = functional.one_hot(train.labels, len(model.class_names)).float().to(device)
    optimizer = torch.optim.AdamW(_decayed(model, config.weight_decay), lr=config.learning_rate)
    steps = -(-len(x) // config.batch)
    progress = Progress()
    if checkpoints and (state := checkpoint.latest(checkpoints)):
        try:
            _resume(model, optimizer, progress, state)
        except (LookupError, AttributeError, TypeError, ValueError, RuntimeError) as error:
            raise ArtifactError(
                checkpoint.path_of(checkpoints, state.epoch),
                f"is no checkpoint of this training: {' '.join(str(error).split()):.300};"
                " remove its folder to start anew",
            ) from None
        log.info("train: going on after epoch %d", state.epoch)
    with bar(None, "train", config.epochs) as shown:
        shown.update(len(progress.history))
        for epoch in range(len(progress.history), config.epochs):
            if epoch - progress.best_epoch > config.patience:
                break
            # Randomness depends on the epoch alone: a resumed run draws what an unbroken one does.
            host = np.random.default_rng((config.seed, epoch))
            seed = int(host.integers(2**62))
            random = torch.Generator(device).manual_seed(seed)
            torch.manual_seed(seed)  # dropout draws from the global generator
            model.train()
            total = torch.zeros((), device=device)
            began = time.monotonic()
            order = torch.from_numpy(host.permutation(len(x)))
            for step, index in enumerate(torch.split(order, config.batch), epoch * steps):
                for group in optimizer.param_groups:
                    group["lr"] = config.learning_rate * one_cycle(step / (config.epochs * steps))
                batch = augment(batch_of(x, index, device), config.augmentation, random)
                batch, wanted = mix(
                    batch, batch_of(targets, index, device), config.augmentation, host
                )
                # Half the bytes on a GPU; on a CPU all stays float32, and the same to the bit.
                with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                    logits = model.classify(batch)
                loss = functional.cross_entropy(
                    logits.float(), wanted, label_smoothing=config.label_smoothing
                )
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(loss)
                optimizer.step()
                total += loss.detach() * len(index)
            row: dict[str, float] = {"epoch": epoch, "train_loss": float(total) / len(x)}
            row |= _score(model, validation)
            if not all(map(math.isfinite, row.values())):
                raise AudiostyleError(f"train: a loss is not finite in epoch {epoch}: {row}")
            progress.history.append(row)
            progress.seconds += time.monotonic() - began
            shown.set_postfix(
                loss=f"{row['train_loss']:.3f}",
                val=f"{row['validation_accuracy']:.3f}",
                refresh=False,
            )
            shown.update()
            if row["validation_loss"] < progress.best_loss:
                progress.best_epoch, progress.best_loss = epoch, row["validation_loss"]
                progress.best_weights = {n: v.clone() for n, v in model.state_dict().items()}
            if checkpoints:
                checkpoint.save(checkpoints, _state(model, optimizer, progress))
    model.load_state_dict(progress.best_weights)
    model.eval()
    return progress


def one_cycle(done: float) -> float:
    """Learning rate as a share of its peak: up from 1/25 over a quarter, then down to nothing.

    done: share of the steps, in [0, 1). Both ways along a cosine (Smith and Topin 2018).

    >>> round(one_cycle(0), 2), one_cycle(0.25), round(one_cycle(0.999), 4)
    (0.04, 1.0, 0.0)
    """
    if done < 0.25:
        return 1 - (1 - 1 / 25) * (1 + math.cos(math.pi * done / 0.25)) / 2
    return (1 + math.cos(math.pi * (done - 0.25) / 0.75)) / 2


def _state(
    model: Classifier, optimizer: torch.optim.Optimizer, progress: Progress
) -> checkpoint.Checkpoint:
    parts = {
        "model": model.state_dict(),
        "best": progress.best_weights,
        _OPTIMIZER: checkpoint.optimizer_tensors(optimizer),
    }
    tensors = {f"{part}.{name}": v for part, named in parts.items() for name, v in named.items()}
    values = {
        "history": progress.history,
        "best_epoch": progress.best_epoch,
        "seconds": progress.seconds,
    }
    return checkpoint.Checkpoint(len(progress.history) - 1, tensors, values)


def _resume(
    model: Classifier,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    state: checkpoint.Checkpoint,
) -> None:
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, _OPTIMIZER: {}}
    for key, value in state.tensors.items():
        part, name = key.split(".", 1)
        parts[part][name] = value
    model.load_state_dict(parts["model"])
    checkpoint.restore_optimizer(optimizer, parts[_OPTIMIZER])
    device = next(model.parameters()).device
    progress.history = [dict(row) for row in state.values["history"]]
    if not all(math.isfinite(value) for row in progress.history for value in row.values()):
        raise ValueError("its history is not of numbers")
    if len(progress.history) != state.epoch + 1:
        raise ValueError(f"its history has {len(progress.history)} epochs")
    progress.best_epoch = int(state.values["best_epoch"])
    progress.seconds = float(state.values.get("seconds", 0.0))
    progress.best_loss = progress.history[progress.best_epoch]["validation_loss"]
    progress.best_weights = {name: value.to(device) for name, value in parts["best"].items()}


def standardize(model: Classifier, represented: Tensor) -> None:
    """Set the model's normalization to the statistics of training clips [n, bands, frames]."""
    model.band_mean.copy_(represented.mean((0, 2)))
    # A band that never changes (beyond the data's bandwidth) must not be blown up.
    model.band_scale.copy_(represented.std((0, 2)).clamp_min(0.1))


def _score(model: Classifier, validation: Examples) -> dict[str, float]:
    probability = probabilities(model, validation.represented)
    loss = functional.nll_loss(probability.clamp_min(1e-12).log(), validation.labels)
    accuracy = (probability.argmax(1) == validation.labels).float().mean()
    return {"validation_loss": float(loss), "validation_accuracy": float(accuracy)}


def _decayed(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups: decay for matrices and kernels, none for biases and norms."""
    many = [p for p in model.parameters() if p.ndim > 1]
    few = [p for p in model.parameters() if p.ndim <= 1]
    return [
        {"params": many, "weight_decay": weight_decay},
        {"params": few, "weight_decay": 0.0},
    ]
