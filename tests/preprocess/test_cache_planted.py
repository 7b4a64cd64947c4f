"""A cache in a folder that others can write to: nothing hangs, nothing is written elsewhere."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
import torch
from click.testing import CliRunner
from conftest import RATE, tone

from audiostyle.spectrogram_config import SpectrogramConfig
from audiostyle.spectrogram_set import Clip, Failure
from components.preprocess.cache import SpectrogramCache
from components.preprocess.preprocess import list_results
from pipeline.cli import main

SMALL = SpectrogramConfig(clip_seconds=0.3)


def run(folder: Path, cache: Path | None) -> tuple[list[torch.Tensor], SpectrogramCache | None]:
    opened = SpectrogramCache(cache) if cache else None
    clips = [Clip(f"{n}.wav", "x", "train", str(n)) for n in range(3)]
    results = list(list_results(folder, clips, SMALL, cache=opened))
    return [r[0][1] for r in results if not isinstance(r, Failure)], opened


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    (tmp_path / "d").mkdir()
    for number in range(3):
        soundfile.write(tmp_path / "d" / f"{number}.wav", tone(100 + number, seconds=0.3), RATE)
    return tmp_path / "d"


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 << 30)  # sparse: it takes no space


PLANTED: dict[str, Callable[[Path], object]] = {
    "100 GB": _huge,
    "fifo": os.mkfifo,
    "folder": Path.mkdir,
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "link to nothing": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_in_an_objects_place(kind: str, recordings: Path, tmp_path: Path) -> None:
    right, _ = run(recordings, None)
    cache = tmp_path / "cache"
    run(recordings, cache)
    paths = sorted(cache.rglob("*.safetensors"))
    for path in paths:
        path.unlink()
        PLANTED[kind](path)
    actual, opened = run(recordings, cache)
    assert len(actual) == 3 and all(map(torch.equal, actual, right))
    assert opened is not None and opened.counts.hits == 0
    done = CliRunner().invoke(main, ["cache", "verify", str(cache)])
    assert done.exit_code in (0, 1), done.output
    if kind in ("100 GB", "fifo", "link to a device", "link to itself"):
        # Replaced by what was computed; a link itself, and not what it leads to.
        assert all(path.is_file() and not path.is_symlink() for path in paths)
        assert done.output == "3 good, 0 damaged\n"
    assert not (cache / "nowhere").exists()


def test_folders_that_lead_elsewhere(recordings: Path, tmp_path: Path) -> None:
    cache, victim = tmp_path / "cache", tmp_path / "victim"
    run(recordings, cache)
    shutil.move(cache, victim)
    cache.mkdir()
    for folder in sorted(victim.iterdir()):
        (cache / folder.name).symlink_to(folder)
    before = {path: path.read_bytes() for path in victim.rglob("*") if path.is_file()}
    for path in before:
        path.write_bytes(b"of the user")
    run(recordings, cache)
    for command in (["prune", str(cache), "--older-than", "0"], ["verify", str(cache), "--delete"]):
        done = CliRunner().invoke(main, ["cache", *command])
        assert done.exit_code == 0, done.output
    assert {path.read_bytes() for path in before} == {b"of the user"}


@pytest.mark.parametrize(
    "command", [["stat"], ["verify"], ["prune", "--max-gb", "1"], ["verify", "--delete"]]
)
def test_commands_that_read_create_nothing(command: list[str], tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["cache", command[0], str(tmp_path / "typo"), *command[1:]])
    assert done.exit_code == 2
    assert "typo: does not exist" in done.output
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("command", [["list"], ["info", "esc50"], ["info", "typo"]])
def test_nor_do_those_of_data(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(main, ["data", *command])
    CliRunner().invoke(main, ["data", "fetch", "typo"])
    CliRunner().invoke(main, ["data", "fetch", "esc50", "--hash", "sha999:abc"])
    assert not any(tmp_path.iterdir())
