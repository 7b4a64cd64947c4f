"""Small spectrogram sets and classifiers, made without a recording: a training takes a second."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from audiostyle import artifacts, network, spectrogram_set
from audiostyle.files import write_text
from audiostyle.network import Classifier
from audiostyle.spectrogram import SpectrogramConfig
from audiostyle.spectrogram_set import Clip
from components.train.config import TrainConfig
from components.train.evaluation import measure, probabilities

SMALL = SpectrogramConfig(n_fft=256, hop_length=128, clip_seconds=0.25)
LABELS = ("high", "low", "middle")


def training(**changes: object) -> TrainConfig:
    """Settings that train on such a set in about a second."""
    values = {"network": {"bands": 16, "channels": (4, 8, 8, 8)}, "epochs": 4, "batch": 8}
    return TrainConfig.parse({**values, **changes}, "test")


def clip(label: str, split: str = "train", *, fold: str = "", group: str = "", n: int = 0) -> Clip:
    """A clip; n tells those of the same label and split apart."""
    name = f"{split}/{label}/{fold}-{n}.wav"
    digest = artifacts.digest_of([name, group])
    return Clip(name, label, split, group or name, digest, "CC0", fold, group)


def split_clips(train: int = 6, validation: int = 3, test: int = 4) -> list[Clip]:
    """As many clips of every label in every split."""
    counts = {"train": train, "validation": validation, "test": test}
    return [
        clip(label, split, n=n)
        for label in LABELS
        for split, count in counts.items()
        for n in range(count)
    ]


def fold_clips(folds: Iterable[str] = "123", groups: int = 4, each: int = 2) -> list[Clip]:
    """Clips of every label in every fold, some of each group."""
    return [
        clip(label, "train", fold=fold, group=f"{fold}{label}{group}", n=group * each + n)
        for label in LABELS
        for fold in folds
        for group in range(groups)
        for n in range(each)
    ]


def write(folder: Path, clips: list[Clip], **data: object) -> Path:
    """Write a set in which each label's energy lies in a third of the spectrum, under noise."""
    places = {label: index for index, label in enumerate(("low", "middle", "high"))}

    def magnitude(one: Clip, number: int) -> Tensor:
        random = torch.Generator().manual_seed(number)
        noise = torch.rand(SMALL.bins, SMALL.clip_frames, generator=random)
        third = SMALL.bins // 3
        start = places[one.label] * third
        noise[start : start + third] *= 3
        return noise

    about = {"name": "made", "layout": "test", **data}
    spectrogram_set.write(
        folder, SMALL, about, ((one, magnitude(one, n)) for n, one in enumerate(clips))
    )
    return folder


def variant(
    classifier: Path,
    data: Path,
    out: Path,
    change: Callable[[Classifier], object],
    measures: Callable[[dict[str, object]], object] = lambda test: None,
) -> Path:
    """A classifier like another but for its weights, with true measures (or with `measures`)."""
    opened = artifacts.opening(classifier, artifacts.CLASSIFIER)
    model = network.load(opened.folder)
    with torch.no_grad():
        change(model)
    clips = spectrogram_set.read(data)
    where = clips.where("test")
    probability = probabilities(model, model.represent(torch.cat(list(clips.shards()))[where]))
    metrics = json.loads(opened.path("metrics.json").read_text())
    metrics["test"] = measure(clips.labels()[where].numpy(), probability.numpy(), clips.class_names)
    measures(metrics["test"])
    rows = artifacts.read_table(opened.path("predictions.jsonl"))
    for row, one in zip(rows, np.asarray(probability), strict=True):
        row |= {"predicted": clips.class_names[one.argmax()], "confidence": float(one.max())}
    with artifacts.writing(out, artifacts.CLASSIFIER, opened.config) as folder:
        network.save(model, folder)
        write_text(folder / "metrics.json", json.dumps(metrics))
        artifacts.write_table(folder / "predictions.jsonl", rows)
    return out


def remade(classifier: Path, out: Path, change: Callable[[Path], object]) -> Path:
    """A copy with changed files, whose manifest is made to agree with them."""
    shutil.copytree(classifier, out)
    change(out)
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["files"] = {
        path.relative_to(out).as_posix(): artifacts.file_digest(path)
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }
    (out / "manifest.json").write_text(json.dumps(manifest))
    return out


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """For whoever imports it: of tensors this small, two threads mostly wait for each other."""
    before, kept = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    yield
    torch.set_num_threads(before)
    if kept is None:
        del os.environ["OMP_NUM_THREADS"]
    else:
        os.environ["OMP_NUM_THREADS"] = kept
