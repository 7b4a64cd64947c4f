"""What a command left for its next run: checkpoints, unfinished batches, the cache."""

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import made_sets
import pytest
import torch
from damage import Change, Damage, changes, damages
from fuzzing import Outcome, Warm, attempt, fuzz, place
from hypothesis import strategies as st
from small import small, warm  # noqa: F401, fixtures
from warm import SETTINGS

from audiostyle import artifacts
from components.preprocess.cache import pack
from components.train import checkpoint
from components.train.train import train

_TRAIN = ("--epochs", 2, "--bands", 16, "--channels", "[4, 8, 8, 8]", "--batch", 8)


def _header(content: bytes, change: Change) -> bytes:
    """A safetensors file with its header changed."""
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    values = header.get("__metadata__", {})
    if "values" in values and change.share < 0.7:
        told = change.of(json.loads(values["values"]))
        values["values"] = json.dumps(told)
    else:
        header = change.of(header)
    told = json.dumps(header).encode()
    return struct.pack("<Q", len(told)) + told + content[8 + size :]


def _changed(content: bytes, change: Change | Damage) -> bytes:
    if isinstance(change, Damage):
        return change.of(content, 400)
    return _header(content, change)


@pytest.fixture(scope="module")
def checkpoints(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training that was stopped after the first of two epochs."""
    folder = tmp_path_factory.mktemp("stopped")
    config = made_sets.training(epochs=2)

    class StoppedError(Exception):
        pass

    real = checkpoint.save

    def save(*arguments: Any) -> None:
        real(*arguments)
        raise StoppedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save", save)
        with pytest.raises(StoppedError):
            train(small / "set", folder / "out", config, folder / "kept")
    return folder / "kept"


@pytest.mark.slow
def test_checkpoints(checkpoints: Path, warm: Warm, small: Path) -> None:
    """A training starts anew, or goes on, or says which checkpoint is in the way."""
    (whole,) = checkpoints.rglob("epoch-*.safetensors")

    def one(change: Change | Damage) -> Outcome:
        with place() as folder:
            path = folder / "kept" / whole.relative_to(checkpoints)
            path.parent.mkdir(parents=True)
            path.write_bytes(_changed(whole.read_bytes(), change))
            command = ("train", "--data", small / "set", "--out", "out", *_TRAIN)
            done = attempt(
                warm, folder, *command, "--checkpoints", "kept", out="out", also=("kept",)
            )
            if done.code:
                assert path.name in done.told, done.err
            return done

    fuzz("checkpoint", st.one_of(changes(), damages()), one)


@pytest.mark.slow
def test_objects_of_the_cache(warm: Warm, small: Path) -> None:
    """Whatever the cache holds, the spectrograms are those that are computed without one."""
    with place() as folder:
        read = ("preprocess", "--data", small / "clips.csv", *SETTINGS, "--cache", "cache")
        assert attempt(warm, folder, *read, "--out", "out", out="out", also=("cache",)).code == 0
        right = artifacts.opening(folder / "out", artifacts.SPECTROGRAM_SET).digest
        whole = {
            path.relative_to(folder / "cache").as_posix(): path.read_bytes()
            for path in (folder / "cache").rglob("*.safetensors")
        }
    assert len(whole) == 2

    def one(change: Change | Damage | tuple[int, ...]) -> Outcome:
        with place() as folder:
            for name, content in whole.items():
                (folder / "cache" / name).parent.mkdir(parents=True, exist_ok=True)
                key = Path(name).stem
                bad = (
                    pack(key, torch.full(change, torch.nan if change[0] > 1 else 0.5))
                    if isinstance(change, tuple)
                    else _changed(content, change)
                )
                (folder / "cache" / name).write_bytes(bad)
            done = attempt(warm, folder, *read, "--out", "out", out="out", also=("cache",))
            assert done.code == 0, done.err
            made = artifacts.opening(folder / "out", artifacts.SPECTROGRAM_SET).digest
            assert made == right or bad in whole.values()
            return done

    shapes = st.sampled_from([(1, 1, 1), (2, 129, 44), (1, 129, 43), (1, 128, 44), (1, 129, 1)])
    inputs = st.one_of(changes(), damages(), shapes)
    fuzz("cache", inputs, one)


def test_a_shape_whose_product_overflows(warm: Warm) -> None:
    """2^32 times 2^32 is 0 to numpy: the object would seem whole."""
    header = {"key": "0" * 64, "crc32": f"{zlib.crc32(b''):08x}"}
    entry = {"dtype": "F32", "shape": [2**32, 2**32, 1], "data_offsets": [0, 0]}
    told = json.dumps({"__metadata__": header, "magnitude": entry}).encode()
    content = struct.pack("<Q", len(told)) + told
    with place() as folder:
        path = folder / "cache" / "00" / f"{'0' * 64}.safetensors"
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        done = warm.run(folder, "audiostyle", "cache", "verify", "cache")
    assert done.code == 1
    assert "cut short or of another shape" in done.out
