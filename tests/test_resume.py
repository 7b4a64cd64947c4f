"""A training that is killed goes on where it was, and ends as if it had not been."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import made_sets
import pytest
import torch
import warm_processes
import yaml
from conftest import files_below, small_training
from made_sets import one_thread  # noqa: F401, a fixture

from audiostyle import artifacts
from components.train import checkpoint
from components.train.checkpoint import Checkpoint
from components.train.train import train

CONFIG = made_sets.training(epochs=120, patience=120)
KILLS = 20


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_sets.write(tmp_path_factory.mktemp("made") / "set", made_sets.split_clips())


@pytest.fixture(scope="module")
def unbroken(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken") / "model"
    train(made, out, CONFIG)
    return out


def digest(folder: Path) -> str:
    return artifacts.opening(folder, artifacts.CLASSIFIER).digest


def weights(folder: Path) -> bytes:
    return (folder / "weights.safetensors").read_bytes()


def in_a_process(made: Path, out: Path) -> None:
    torch.set_num_threads(1)
    train(made, out, CONFIG)


@pytest.mark.slow
def test_killed_at_twenty_random_moments(made: Path, unbroken: Path, tmp_path: Path) -> None:
    out, kept = tmp_path / "broken", tmp_path / ".broken.checkpoints"
    chance = random.Random(0)

    def epoch() -> int:
        """The newest epoch that has a checkpoint."""
        return max(
            (int(path.stem[6:]) for path in files_below(kept, "epoch-*.safetensors")), default=-1
        )

    def wait(process: Any, until: int, seconds: float) -> None:
        """Until a checkpoint is there, for as long as `seconds`."""
        end = time.monotonic() + seconds
        while process.is_alive() and epoch() < until and time.monotonic() < end:
            time.sleep(0.001)

    reached = []
    for _ in range(KILLS):
        process = warm_processes.process(in_a_process, made, out)
        process.start()
        # At most two epochs a process: however fast the machine is, the training does not end.
        last = epoch()
        if chance.random() < 0.75:
            # Somewhere in the epoch, and its checkpoint, that follows the first new one.
            wait(process, last + 1, 60)
            wait(process, last + 2, chance.uniform(0, 0.1))
        else:
            wait(process, last + 2, chance.uniform(0, 1))
        process.kill()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        assert not out.exists()
        reached.append(epoch())
    assert reached == sorted(reached)
    assert len(set(reached)) >= KILLS // 2  # they were killed in many an epoch
    process = warm_processes.process(in_a_process, made, out)
    process.start()
    process.join(120)
    assert process.exitcode == 0
    assert weights(out) == weights(unbroken)
    assert digest(out) == digest(unbroken)
    assert {p.name for p in tmp_path.iterdir()} == {"broken"}


@pytest.mark.slow
def test_told_to_end_by_sigterm(made: Path, unbroken: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(CONFIG.plain()))
    command = [sys.executable, "-m", "components.train", "--data", str(made)]
    command += ["--out", str(tmp_path / "out"), "--config", str(tmp_path / "config.yaml")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None and not files_below(tmp_path, "epoch-00003*"):
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert not (tmp_path / "out").exists()
    assert subprocess.run(command, check=False, env={**os.environ}).returncode == 0
    assert digest(tmp_path / "out") == digest(unbroken)


def test_a_training_goes_on_from_the_checkpoint_before_a_truncated_one(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A power cut while a checkpoint was written: the last whole one, and the same end."""
    config = made_sets.training(epochs=6)
    train(made, tmp_path / "whole", config)

    class PowerCut(BaseException):
        pass

    saved = checkpoint.save

    def cut(folder: Path, state: Checkpoint) -> None:
        saved(folder, state)
        if state.epoch == 3:
            raise PowerCut

    monkeypatch.setattr(checkpoint, "save", cut)
    with pytest.raises(PowerCut):
        train(made, tmp_path / "out", config)
    monkeypatch.setattr(checkpoint, "save", saved)
    (newest,) = tmp_path.rglob("epoch-00003.safetensors")
    newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    caplog.set_level("INFO")
    train(made, tmp_path / "out", config)
    assert "epoch-00003.safetensors: damaged checkpoint passed over" in caplog.text
    assert "going on after epoch 2" in caplog.text
    assert digest(tmp_path / "out") == digest(tmp_path / "whole")


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
