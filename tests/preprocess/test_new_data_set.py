"""A data set is one file: with it, the data set is listed, described, recognized and read."""

import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner
from conftest import RATE, ROOT, tone

from audiostyle import spectrogram_set
from components.preprocess import datasets
from components.preprocess.__main__ import main as stage
from pipeline.cli import main

MODULE = '''
"""A toy: files named LABEL-SPLIT-NUMBER.wav beside toy.txt."""

from components.preprocess.datasets.base import Definition, File, Source, recordings, relative


def find(root):
    return root if (root / "toy.txt").is_file() else None


def read(root, base):
    parts = [(path, path.stem.split("-")) for path in recordings(base)]
    return [Source(relative(path, root), label, split=split) for path, (label, split, _) in parts]


DEFINITION = Definition(
    "toy",
    find,
    read,
    needs="toy.txt",
    title="three toys",
    files=(File("https://example.org/toy.zip", "md5:" + "0" * 32),),
    license="CC0",
)
'''


def test_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "toy_for_a_test.py").write_text(MODULE)
    monkeypatch.setattr(datasets, "__path__", [*datasets.__path__, str(tmp_path / "more")])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "toy.txt").touch()
    for number, label in enumerate(("car", "doll")):
        for split in ("train", "validation", "test"):
            samples = tone(200 + number, seconds=0.3)
            soundfile.write(tmp_path / "data" / f"{label}-{split}-1.wav", samples, RATE)
    runner = CliRunner()
    assert "toy " in runner.invoke(main, ["data", "list"]).output
    assert "md5:000" in runner.invoke(main, ["data", "info", "toy"]).output
    arguments = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "set")]
    done = runner.invoke(stage, [*arguments, "--clip-seconds", "0.25"])
    assert done.exit_code == 0, done.output
    clips = spectrogram_set.read(tmp_path / "set").clips
    assert {(c.label, c.split, c.licence) for c in clips} == {
        (label, split, "CC0")
        for label in ("car", "doll")
        for split in ("train", "validation", "test")
    }
    arguments = ["--data", str(tmp_path / "more"), "--out", str(tmp_path / "no")]
    done = runner.invoke(stage, [*arguments, "--layout", "toy"])
    assert done.exit_code == 2
    assert "does not look like toy: missing toy.txt" in done.output


def test_settings_and_data_sets_are_known_without_torch() -> None:
    code = (
        "import sys, components.preprocess.config, components.preprocess.datasets.registry as r;"
        "r.definitions(); assert 'torch' not in sys.modules, 'torch'"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
