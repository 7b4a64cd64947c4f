"""A run knows its inputs by what is read, whatever else lies beside it; so that its cache hits."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from conftest import RATE, tone
from test_cli import audiostyle

from audiostyle.errors import InputError
from components.preprocess.config import PreprocessConfig
from pipeline import versions

CONFIG = PreprocessConfig(validation=0, test=0)


def recordings(folder: Path) -> None:
    for number, label in enumerate(("low", "mid", "high")):
        (folder / label).mkdir(parents=True)
        for take in range(3):
            samples = tone(200 * (number + 1) + take, seconds=0.3)
            soundfile.write(folder / label / f"{take}.wav", samples, RATE)


def version(data: Path) -> str:
    return versions.of_data(data, CONFIG)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    recordings(tmp_path / "clips")
    return tmp_path / "clips"


@pytest.fixture
def manifest(data: Path) -> Path:
    rows = [f"clips/{label}/{n}.wav,{label}" for label in ("low", "mid", "high") for n in range(3)]
    (data.parent / "clips.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    return data.parent / "clips.csv"


def neighbors(folder: Path) -> None:
    """What changes beside data without being read."""
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "._a.wav").write_bytes(b"x")
    (folder / "notes.txt").write_text("x")
    for name in ("outputs", ".git"):
        (folder / name).mkdir()
        (folder / name / "anything").write_text("x")


def test_neighbors_change_nothing(data: Path, manifest: Path) -> None:
    before = version(data), version(manifest)
    for folder in (data, data / "low", manifest.parent):
        neighbors(folder)
    (data.parent / "outputs" / "a.wav").write_bytes(b"x")
    assert (version(data), version(manifest)) == before


def test_what_is_read_changes_it(data: Path, manifest: Path, tmp_path: Path) -> None:
    seen = {version(data), version(manifest)}

    def changed(count: int) -> None:
        seen.add(version(manifest))
        seen.add(version(data))
        assert len(seen) == count

    changed(2)
    soundfile.write(data / "low" / "0.wav", tone(250, seconds=0.3), RATE)
    changed(4)
    manifest.write_text(manifest.read_text().replace("high/0.wav,high", "high/0.wav,mid"))
    changed(5)
    (data / "low" / "1.wav").unlink()
    changed(7)
    (data / "mid" / "0.wav").rename(data / "high" / "new.wav")
    changed(9)


def test_a_class_folder_behind_a_link_counts(data: Path, tmp_path: Path) -> None:
    shutil.move(data / "low", tmp_path / "elsewhere")
    (data / "low").symlink_to(tmp_path / "elsewhere")
    before = version(data)
    soundfile.write(data / "low" / "0.wav", tone(999, seconds=0.3), RATE)
    assert version(data) != before


def test_an_archive_counts_by_its_bytes(data: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "a"), "zip", data))
    before = version(archive)
    soundfile.write(data / "low" / "0.wav", tone(999, seconds=0.3), RATE)
    shutil.make_archive(str(tmp_path / "a"), "zip", data)
    assert version(archive) != before


def test_pairs(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        soundfile.write(tmp_path / f"{name}.wav", tone(300, seconds=0.3), RATE)
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("id,content,style\nx,a.wav,b.wav\n")
    seen = {versions.of_pairs(pairs)}
    neighbors(tmp_path)
    soundfile.write(tmp_path / "c.wav", tone(500, seconds=0.3), RATE)
    assert seen == {versions.of_pairs(pairs)}
    changes: tuple[Callable[[], object], ...] = (
        lambda: soundfile.write(tmp_path / "a.wav", tone(500, seconds=0.3), RATE),
        lambda: pairs.write_text("id,content,style\ny,a.wav,b.wav\n"),
        lambda: pairs.write_text("id,content,style\ny,b.wav,a.wav\n"),
        lambda: pairs.write_text("id,content,style,target\ny,b.wav,a.wav,c.wav\n"),
    )
    for number, change in enumerate(changes):
        change()
        seen.add(versions.of_pairs(pairs))
        assert len(seen) == number + 2
    with pytest.raises(InputError, match="cannot be read"):
        versions.of_pairs(tmp_path / "nowhere.csv")
    for role in ("content", "style", "target"):
        (tmp_path / "b.wav").unlink(missing_ok=True)
        row = {"content": "a.wav", "style": "a.wav", "target": "a.wav", role: "b.wav"}
        pairs.write_text("id,content,style,target\nx,{content},{style},{target}\n".format(**row))
        with pytest.raises(InputError, match=r"b\.wav: does not exist"):
            versions.of_pairs(pairs)
        (tmp_path / "b.wav").mkdir()
        with pytest.raises(InputError, match=r"b\.wav: is not a file"):
            versions.of_pairs(pairs)
        (tmp_path / "b.wav").rmdir()


@pytest.mark.slow
def test_a_second_training_on_a_manifest_is_taken_from_the_cache(
    manifest: Path, tmp_path: Path
) -> None:
    (tmp_path / "quick.yaml").write_text(
        "preprocess: {spectrogram: {clip_seconds: 0.25}, validation: 0.3, test: 0.3, seed: 3}\n"
        "train: {epochs: 1, batch: 4, network: {bands: 32, channels: [4, 8, 8, 8]}}\n"
    )
    lines = manifest.read_text().splitlines()
    parts = ("train", "validation", "test")
    rows = [f"{line},{parts[number % 3]}" for number, line in enumerate(lines[1:])]
    manifest.write_text("\n".join([f"{lines[0]},split", *rows]) + "\n")
    logs = []
    for _ in range(2):
        done = audiostyle(
            *("train", "clips.csv", "--workspace", "outputs", "--config", "quick.yaml"),
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        logs.append(done.stdout + done.stderr)
    assert "reused" not in logs[0]
    assert logs[1].count("reused: nothing it depends on has changed") == 2, logs[1]
