"""Training learns, repeats itself to the bit, and says what it is worth."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import small_training

from audiostyle import artifacts, network, spectrogram_set
from audiostyle.errors import InputError
from components.train.augmentation import augment, mix
from components.train.config import AugmentationConfig
from components.train.evaluation import measure
from components.train.train import train


@pytest.mark.slow
def test_it_learns(spectrograms: Path, tmp_path: Path) -> None:
    config = small_training(epochs=40, patience=40, augmentation={"mixup": 0, "crop": 1})
    metrics = train(spectrograms, tmp_path / "model", config)
    losses = [row["train_loss"] for row in metrics["history"]]
    assert losses[-1] < 0.85 * losses[0]
    assert metrics["test"]["accuracy"] > 2 * metrics["test"]["chance"]


def test_same_seed_same_weights(spectrograms: Path, classifier: Path, tmp_path: Path) -> None:
    train(spectrograms, tmp_path / "again", small_training())
    weights = [p / "weights.safetensors" for p in (classifier, tmp_path / "again")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    train(spectrograms, tmp_path / "other", small_training(seed=1))
    assert (tmp_path / "other" / "weights.safetensors").read_bytes() != weights[0].read_bytes()


def test_artifact_says_how_it_came_about(spectrograms: Path, classifier: Path) -> None:
    opened = artifacts.opening(classifier, artifacts.CLASSIFIER)
    made = spectrogram_set.read(spectrograms)
    assert opened.config["data_digest"] == made.digest
    assert opened.config["train"] == small_training().plain()
    model = network.load(opened.folder)
    assert model.spectrogram == made.spectrogram
    metrics = json.loads(opened.path("metrics.json").read_text())
    rows = artifacts.read_table(opened.path("predictions.jsonl"))
    assert len(rows) == metrics["test"]["clips"] == 6
    right = sum(row["label"] == row["predicted"] for row in rows)
    assert right / 6 == pytest.approx(metrics["test"]["accuracy"])


def test_an_empty_split_is_named(spectrograms: Path, tmp_path: Path, data: Path) -> None:
    from components.preprocess.preprocess import PreprocessConfig, preprocess

    root = tmp_path / "data"
    shutil.copytree(data, root)
    shutil.rmtree(root / "validation")
    preprocess(root, tmp_path / "set", PreprocessConfig())
    with pytest.raises(InputError, match="in the validation split"):
        train(tmp_path / "set", tmp_path / "model", small_training())
    assert not (tmp_path / "model").exists()


def test_measures_of_a_known_case() -> None:
    truth = np.array([0, 0, 0, 1])
    probability = np.array([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7], [0.2, 0.8]])
    found = measure(truth, probability, ("a", "b"))
    assert found["confusion"] == [[2, 1], [0, 1]]
    assert found["accuracy"] == 0.75
    assert found["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["chance"] == 0.75
    assert found["per_class"]["b"] == {"precision": 0.5, "recall": 1.0, "clips": 1}
    # Two clips at .9, both right; one at .7, wrong; one at .8, right.
    assert found["ece"] == pytest.approx((2 * 0.1 + 0.7 + 0.2) / 4)


@pytest.mark.parametrize(
    "kind",
    ["crop", "filter_db", "room", "noise", "tuning", "masks"],
)
def test_each_augmentation_changes_and_stays_finite(kind: str) -> None:
    off = {"crop": 1, "filter_db": 0, "room": 0, "noise": 0, "tuning": 0, "masks": 0}
    x = torch.randn(8, 40, 60, generator=torch.Generator().manual_seed(1)) - 4
    config = AugmentationConfig.parse({**off, kind: 0.5 if kind == "crop" else 1}, "test")
    y = augment(x, config, torch.Generator().manual_seed(0))
    assert y.isfinite().all()
    assert y.shape == (8, 40, 30 if kind == "crop" else 60)
    assert not torch.equal(y, x)
    again = augment(x, config, torch.Generator().manual_seed(0))
    torch.testing.assert_close(y, again, rtol=0, atol=0)


def test_mixup_blends_targets_as_clips() -> None:
    x = torch.arange(8.0)[:, None, None].expand(8, 4, 5)
    targets = torch.eye(8)
    config = AugmentationConfig(mixup=0.4)
    mixed, wanted = mix(x, targets, config, np.random.default_rng(0))
    assert torch.allclose(wanted.sum(1), torch.ones(8))
    assert torch.allclose(mixed[:, 0, 0], wanted @ torch.arange(8.0), atol=1e-5)


def test_mixup_of_powers_is_a_sum_of_sounds_at_one_level() -> None:
    random = np.random.default_rng(0)
    sounds = torch.from_numpy(random.standard_normal((8, 4, 2000)).astype(np.float32))
    power = sounds.square()
    config = AugmentationConfig(mixup=1, mixing="power")
    mixed, wanted = mix(power.log(), torch.eye(8), config, np.random.default_rng(1))
    # The mean power stays that of one sound, whatever the shares.
    assert torch.allclose(mixed.exp().mean((1, 2)), torch.ones(8), atol=0.05)
    for row, target in zip(mixed.exp(), wanted, strict=True):
        parts = target.nonzero()[:, 0]
        amplitude = target[parts] / target[parts].square().sum().sqrt()
        if len(parts) == 2:
            total = amplitude.square()[:, None, None] * power[parts]
            assert torch.allclose(row, total.sum(0), rtol=1e-4)
