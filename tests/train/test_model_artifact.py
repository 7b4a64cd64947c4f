"""Model artifacts that are not as they were written are refused, with a message that says why."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import made_sets
import mlflow
import numpy as np
import pytest
import safetensors.torch
import soundfile
import torch
from click.testing import CliRunner
from conftest import RATE, tone

from audiostyle import artifacts, network
from audiostyle.errors import InputError
from audiostyle.registry import MODEL, Registry
from components.train.gate import GateConfig
from components.train.register import register
from components.train.train import train
from pipeline.cli import main


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.sprung,)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_sets.write(tmp_path_factory.mktemp("set") / "set", made_sets.split_clips())


@pytest.fixture(scope="module")
def trained(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "model"
    train(clips, out, made_sets.training())
    return out


@pytest.fixture(scope="module")
def uri(
    clips: Path,
    trained: Path,
    empty_database: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    folder = tmp_path_factory.mktemp("registry")
    made = f"sqlite:///{shutil.copy(empty_database, folder / 'mlflow.db')}"
    register(trained, clips, made, GateConfig(floor=1.0))
    return made


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "weights.safetensors"
        tensors = safetensors.torch.load_file(path)
        change(tensors)
        safetensors.torch.save_file(tensors, path)

    return apply


def json_of(name: str, **values: object) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        found = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(found | values))

    return apply


def pickled(name: str, dump: Callable[[object, Path], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        dump(Trap(folder.parent / "sprung"), folder / name)

    return apply


def flip(folder: Path) -> None:
    path = folder / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def by_pickle(value: object, path: Path, protocol: int = 5) -> None:
    path.write_bytes(pickle.dumps(value, protocol))


# What is done, whether the manifest is then made to agree, and what must be said of which file.
CHANGES = {
    "flipped byte": (flip, False, r"weights\.safetensors: is damaged: its SHA-256"),
    "missing file": (
        lambda folder: (folder / "network.json").unlink(),
        False,
        r"network\.json: is missing",
    ),
    "missing key": (
        weights(lambda tensors: tensors.pop("head.bias")),
        True,
        r"weights\.safetensors: does not fit network\.json: .*Missing key.*head\.bias",
    ),
    "extra key": (
        weights(lambda tensors: tensors.update(more=torch.zeros(1))),
        True,
        r"weights\.safetensors: does not fit network\.json: .*Unexpected key.*more",
    ),
    "other shape": (
        weights(lambda tensors: tensors.update({"head.bias": torch.zeros(9)})),
        True,
        r"weights\.safetensors: does not fit network\.json: .*head\.bias",
    ),
    "not finite": (
        weights(lambda tensors: tensors["head.bias"].fill_(torch.nan)),
        True,
        r"weights\.safetensors: holds values that are not finite in head\.bias",
    ),
    "other format version": (
        json_of("manifest.json", version=2),
        False,
        r"manifest\.json: is audiostyle/classifier version 2; this release reads version 1",
    ),
    "other format": (
        json_of("manifest.json", format="audiostyle/audio-set"),
        False,
        r"manifest\.json: is of format 'audiostyle/audio-set'",
    ),
    "unknown setting": (json_of("network.json", magic=1), True, r"network\.json: magic"),
    "pickled weights": (
        pickled("weights.safetensors", by_pickle),
        True,
        r"weights\.safetensors: is a pickle",
    ),
    "weights by torch.save": (
        pickled("weights.safetensors", torch.save),
        True,
        r"weights\.safetensors: is a pickle",
    ),
    "a pickle beside": (pickled("extra.pkl", by_pickle), False, r"extra\.pkl: is a pickle"),
    "a listed pickle": (pickled("extra.pt", torch.save), True, r"extra\.pt: is a pickle"),
    "a disguised pickle": (
        pickled("notes.json", lambda value, path: by_pickle(value, path, 2)),
        True,
        r"notes\.json: is a pickle",
    ),
    "no tensors at all": (
        lambda folder: (folder / "weights.safetensors").write_bytes(b"weights"),
        True,
        r"weights\.safetensors: is not safetensors",
    ),
}


def spoil(name: str, whole: Path, out: Path) -> tuple[Path, str]:
    change, agreeing, words = CHANGES[name]
    if agreeing:
        made_sets.remade(whole, out, change)
    else:
        shutil.copytree(whole, out)
        change(out)
    return out, words


@pytest.mark.parametrize("name", CHANGES)
def test_refused(name: str, trained: Path, tmp_path: Path) -> None:
    made, words = spoil(name, trained, tmp_path / "model")
    with pytest.raises(InputError, match=words) as caught:
        network.load(artifacts.opening(made, artifacts.CLASSIFIER).folder)
    assert str(made) in str(caught.value)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["flipped byte", "extra key", "pickled weights"])
def test_not_registered(
    name: str,
    trained: Path,
    clips: Path,
    tmp_path: Path,
    registry_uri: str,
) -> None:
    made, words = spoil(name, trained, tmp_path / "model")
    with pytest.raises(InputError, match=words):
        register(made, clips, registry_uri, GateConfig(floor=1.0))
    assert Registry(registry_uri).versions() == []


@pytest.mark.parametrize(
    "name", ["flipped byte", "missing key", "other format version", "a pickle beside"]
)
def test_refused_when_it_comes_from_the_registry(name: str, uri: str, tmp_path: Path) -> None:
    """Someone got at the artifact store: here a folder, whose files are changed in place."""
    root = Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts"
    (stored,) = root.rglob("extra_files")
    kept = shutil.copytree(stored, tmp_path / "kept")
    try:
        made, words = spoil(name, kept, tmp_path / "made")
        shutil.rmtree(stored)
        shutil.copytree(made, stored)
        sound = str(tmp_path / "sound.wav")
        soundfile.write(sound, tone(), RATE)
        command = ["stylize", sound, sound, "-o", str(tmp_path / "out.wav"), "--model", "1"]
        done = CliRunner().invoke(main, [*command, "--tracking-uri", uri])
        assert done.exit_code == 2
        assert re.search(words, done.output), done.output
        assert not (tmp_path / "out.wav").exists()
    finally:
        shutil.rmtree(stored)
        shutil.copytree(kept, stored)


# Stands before everything in a process's path: there is no audiostyle then.
_WITHOUT = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("audiostyle", "components", "pipeline"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Nothing())
"""

_LOAD = """
import sys
try:
    import audiostyle
except ModuleNotFoundError:
    import mlflow, numpy, torch
    x = torch.from_numpy(numpy.load("x.npy"))
    numpy.save("y.npy", mlflow.pytorch.load_model(sys.argv[1])(x).detach().numpy())
"""


@pytest.fixture
def elsewhere(tmp_path: Path, uri: str) -> dict[str, str]:
    """Environment of a process that has no audiostyle and unpickles nothing."""
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "sitecustomize.py").write_text(_WITHOUT)
    return {
        **os.environ,
        "PYTHONPATH": str(tmp_path / "without"),
        "PYTHONSAFEPATH": "1",
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "DO_NOT_TRACK": "true",
    }


@pytest.mark.slow
def test_anybody_can_load_it(trained: Path, tmp_path: Path, elsewhere: dict[str, str]) -> None:
    model = network.load(trained)
    x = torch.rand(3, model.spectrogram.bins, model.spectrogram.clip_frames)
    np.save(tmp_path / "x.npy", x.numpy())
    loaded = subprocess.run(
        [sys.executable, "-c", _LOAD, f"models:/{MODEL}/1"],
        cwd=tmp_path,
        env=elsewhere,
        capture_output=True,
        text=True,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr
    expected = model(x).detach().numpy()
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-4, atol=1e-4)
    (tmp_path / "in.json").write_text(json.dumps({"inputs": x.tolist()}))
    command = [sys.executable, "-m", "mlflow", "models", "predict", "--env-manager", "local"]
    command += ["-m", f"models:/{MODEL}/1", "-i", "in.json", "-o", "out.json", "-t", "json"]
    served = subprocess.run(
        command, cwd=tmp_path, env=elsewhere, capture_output=True, text=True, check=False
    )
    assert served.returncode == 0, served.stderr
    found = json.loads((tmp_path / "out.json").read_text())["predictions"]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_mlflow_loads_no_pickle_in_its_place(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    local = mlflow.artifacts.download_artifacts(f"models:/{MODEL}/1", dst_path=str(tmp_path / "m"))
    (model,) = Path(local).rglob("model.pt2")
    torch.save(Trap(tmp_path / "sprung"), model)
    with pytest.raises(Exception):  # noqa: B017, of torch or of MLflow, as it may be
        mlflow.pytorch.load_model(local)
    assert not (tmp_path / "sprung").exists()
