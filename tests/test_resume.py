"""A training that is killed goes on where it was, and ends as if it had not been."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from conftest import small_training

from audiostyle import artifacts
from components.train import checkpoint
from components.train.checkpoint import Checkpoint
from components.train.train import train

CONFIG = small_training(epochs=40, patience=40)


def digest(folder: Path) -> str:
    return artifacts.opening(folder, artifacts.CLASSIFIER).digest


def start(spectrograms: Path, out: Path, config: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "components.train", "--data", str(spectrograms)]
    return subprocess.Popen(
        [*command, "--out", str(out), "--config", str(config)], stderr=subprocess.DEVNULL
    )


@pytest.mark.slow
def test_killed_again_and_again(spectrograms: Path, tmp_path: Path) -> None:
    train(spectrograms, tmp_path / "unbroken", CONFIG)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG.plain()))
    out, kept = tmp_path / "broken", tmp_path / ".broken.checkpoints"
    chance = random.Random(0)
    kills = 0
    for _ in range(200):
        process = start(spectrograms, out, tmp_path / "config.yaml")
        if kills < 6:
            # Kill at a random moment of the epochs that follow the last checkpoint.
            before = set(kept.rglob("epoch-*"))
            while process.poll() is None and set(kept.rglob("epoch-*")) <= before:
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.12))
            process.kill()
        if process.wait(timeout=120) == 0:
            break
        kills += 1
        # Nothing half-written, at any moment.
        assert not out.exists() or digest(out)
    assert kills >= 4
    assert digest(out) == digest(tmp_path / "unbroken")
    assert {p.name for p in tmp_path.iterdir()} == {"unbroken", "broken", "config.yaml"}


def test_a_truncated_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    for epoch in range(4):
        tensors = {"x": torch.full((3,), float(epoch))}
        checkpoint.save(tmp_path, Checkpoint(epoch, tensors, {"history": [epoch]}))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "epoch-00002.safetensors",
        "epoch-00003.safetensors",
    ]
    newest = tmp_path / "epoch-00003.safetensors"
    newest.write_bytes(newest.read_bytes()[:-5])
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert (found.epoch, found.values) == (2, {"history": [2]})
    assert torch.equal(found.tensors["x"], torch.full((3,), 2.0))
    (tmp_path / "epoch-00002.safetensors").write_bytes(b"")
    assert checkpoint.latest(tmp_path) is None


def test_other_settings_start_anew(spectrograms: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    few, other = small_training(epochs=2), small_training(epochs=2, seed=3)
    key = artifacts.digest_of([few.plain(), "another data set"])[:16]
    state = Checkpoint(0, {}, {"history": [], "best_epoch": 0})
    checkpoint.save(kept / key, state)
    train(spectrograms, tmp_path / "a", few, kept)
    train(spectrograms, tmp_path / "b", other, kept)
    assert digest(tmp_path / "a") != digest(tmp_path / "b")
    assert [p.name for p in kept.iterdir()] == [key]
