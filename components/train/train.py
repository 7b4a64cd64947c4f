"""The train stage: spectrogram set in, classifier out."""

import json
import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audiostyle import artifacts, network, spectrogram_set
from audiostyle.errors import InputError
from audiostyle.files import write_text
from audiostyle.network import Classifier
from audiostyle.spectrogram_set import SpectrogramSet
from audiostyle.work_folder import claimed
from components.train import checkpoint, protocol
from components.train.config import TrainConfig
from components.train.content import content_digest
from components.train.evaluation import measure, probabilities
from components.train.fit import Examples, Progress, fit, standardize

log = logging.getLogger(__name__)


def train(
    data: Path | str,
    out: Path | str,
    config: TrainConfig,
    checkpoints: Path | str | None = None,
    fold: str = "",
) -> dict[str, Any]:
    """Train a classifier on a spectrogram set and write it; returns its metrics.

    checkpoints: folder for the state of trainings that were stopped; the same data and settings
    go on from there. By default beside `out`.
    fold: one that tests, as `protocol.of_fold` splits; without, the splits of the set. The
    returned metrics have `seconds` in training, which the artifact has not: equal trainings are
    equal artifacts.

    The training split teaches, the validation split decides when to stop, and the test split is
    looked at once, at the end. Raises InputError where a split is empty, ArtifactError where
    `data` is no spectrogram set.
    """
    clips = spectrogram_set.read(data)
    if fold:
        clips = protocol.of_fold(clips, fold, config.seed)
    for split in spectrogram_set.SPLITS:
        if not len(clips.where(split)):
            raise InputError(
                f"{data}: none of the {len(clips.clips)} clips is in the {split} split, so that"
                " nothing could be trained and measured; add recordings, raise that split's share"
                " (`preprocess` in --config), or put some into a folder of its name"
            )
    device = network.device_of(config.device)
    torch.manual_seed(config.seed)
    model = Classifier(config.network, clips.spectrogram, clips.class_names)
    # Channels last is the layout that convolutions run fastest in, on CPU and GPU alike.
    model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    represented = _represent(model, clips)
    labels = clips.labels()
    examples = {
        split: Examples(represented[clips.where(split)], labels[clips.where(split)])
        for split in spectrogram_set.SPLITS
    }
    standardize(model, examples["train"].represented)
    # Only a training of the same data and settings may go on from a checkpoint.
    root = Path(checkpoints) if checkpoints else Path(out).parent / f".{Path(out).name}.checkpoints"
    key = artifacts.digest_of([config.plain(), clips.digest, fold])[:16]
    with claimed(root / key) as own:
        progress = fit(model, examples["train"], examples["validation"], config, own)
        metrics = _write(out, config, clips, fold, model, progress, examples)
        checkpoint.clear(own)
    log.info(
        "train: test accuracy %.3f on %d clips (chance %.3f), best epoch %d of %d",
        metrics["test"]["accuracy"],
        metrics["test"]["clips"],
        metrics["test"]["chance"],
        progress.best_epoch,
        len(progress.history),
    )
    return metrics | {"seconds": progress.seconds}


def _write(
    out: Path | str,
    config: TrainConfig,
    clips: SpectrogramSet,
    fold: str,
    model: Classifier,
    progress: Progress,
    examples: dict[str, Examples],
) -> dict[str, Any]:
    """Measure a trained model on the test split and write the classifier; returns its metrics."""
    test = examples["test"]
    probability = probabilities(model, test.represented)
    metrics: dict[str, Any] = {
        "test": measure(test.labels.numpy(), probability.numpy(), clips.class_names),
        "history": progress.history,
        "best_epoch": progress.best_epoch,
        "parameters": sum(p.numel() for p in model.parameters()),
        "clips": {split: len(e.labels) for split, e in examples.items()},
    }
    about = {
        "train": config.plain(),
        "data": clips.artifact.config,
        "data_digest": clips.digest,
        "content_digest": content_digest(clips),
        "fold": fold,
    }
    with artifacts.writing(out, artifacts.CLASSIFIER, about) as temporary:
        network.save(model, temporary)
        write_text(temporary / "metrics.json", json.dumps(metrics, indent=1))
        # Clip by clip, so that a later model can be compared on the very same clips.
        held_out = clips.where("test").tolist()
        artifacts.write_table(
            temporary / "predictions.jsonl",
            (
                {
                    "path": clips.clips[index].path,
                    "sha256": clips.clips[index].sha256,
                    "label": clips.clips[index].label,
                    "predicted": clips.class_names[int(p.argmax())],
                    "confidence": float(p.max()),
                }
                for index, p in zip(held_out, probability, strict=True)
            ),
        )
    return metrics


@torch.inference_mode()
def _represent(model: Classifier, clips: SpectrogramSet) -> Tensor:
    """What the network sees of every clip. Output: [n, bands, frames], on the CPU.

    Ten times smaller than the magnitudes, so that a set of thousands fits in memory.
    """
    device = next(model.parameters()).device
    return torch.cat([model.represent(shard.to(device)).cpu() for shard in clips.shards()])
