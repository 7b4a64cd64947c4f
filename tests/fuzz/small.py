"""Small inputs that are in order, for fuzz tests to damage."""

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import made_sets
import pytest
import soundfile
from conftest import tone
from fuzzing import Warm, snapshot

from components.stylize.config import StylizeConfig
from components.stylize.pairs import read_pairs
from components.stylize.stylize import stylize
from components.train.train import train


@cache
def _made(base: Path) -> tuple[Path, Warm]:
    """For all modules: a fixture that several import is made once for each of them."""
    folder = base / "fuzz" / "small"
    folder.mkdir(parents=True)
    for name, pitch in (("content", 300), ("style", 500), ("a", 400), ("b", 700)):
        soundfile.write(folder / f"{name}.wav", tone(pitch, seconds=0.3, harmonics=3), 22050)
    (folder / "pairs.csv").write_text("id,content,style,target\nx,content.wav,style.wav,a.wav\n")
    (folder / "clips.csv").write_text("path,label\na.wav,a\nb.wav,b\n")
    made_sets.write(folder / "set", made_sets.split_clips(2, 1, 1))
    train(folder / "set", folder / "model", made_sets.training(epochs=1))
    settings = StylizeConfig(method="trained", iterations=1)
    stylize(read_pairs(folder / "pairs.csv"), folder / "model", folder / "stylized", settings)
    return folder, Warm(base / "fuzz", folder)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with recordings, tables, a spectrogram set, a classifier and a stylized set.

    No command may change anything in it.
    """
    folder, _ = _made(tmp_path_factory.getbasetemp())
    before = snapshot(folder)
    yield folder
    assert snapshot(folder) == before


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Warm:
    """What runs the commands; it ends when its standard input does."""
    return _made(tmp_path_factory.getbasetemp())[1]


@pytest.fixture(scope="module")
def classifier(small: Path) -> Path:
    """The classifier in it."""
    return small / "model"


def agreeing(folder: Path) -> None:
    """Make the manifest's hashes those of the files: who can change a file can change them, too."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"] = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in manifest["files"]
    }
    path.write_text(json.dumps(manifest))
