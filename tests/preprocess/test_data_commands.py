"""`audiostyle data`, and the stage on archives and manifests."""

import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from audiostyle import spectrogram_set
from components.preprocess.__main__ import main as stage
from components.preprocess.datasets.registry import published
from pipeline.cli import main


def called(*arguments: str, code: int = 0) -> str:
    ended = CliRunner().invoke(main, ["data", *arguments])
    assert ended.exit_code == code, ended.output
    return ended.stderr if code else ended.stdout


def test_list_and_info() -> None:
    assert [line.split()[0] for line in called("list").splitlines()] == list(published())
    shown = called("info", "irmas")
    for words in ("md5:4fd9f5ed5a18d8e2687e6360b5f60afe", "CC BY-NC-SA", "ISMIR", "zip"):
        assert words in shown
    assert "by name: urbansound8k" in called("info", "irma", code=2)


@pytest.fixture
def archive(data: Path, tmp_path: Path) -> Path:
    with tarfile.open(tmp_path / "mine.tar.gz", "w:gz") as made:
        made.add(data, "mine")
    return tmp_path / "mine.tar.gz"


def test_fetch(archive: Path, tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    for source in (str(archive), archive.as_uri(), str(archive)):
        folder = Path(called("fetch", source, "--to", home).strip())
        assert (folder / "mine" / "train" / "bell" / "bell1.wav").is_file()
        assert folder.name.startswith("mine-")
    shown = called(
        *("fetch", "esc10", "--to", home, "--from", str(archive), "--hash", f"md5:{'0' * 32}"),
        code=2,
    )
    assert "expected MD5 000" in shown
    assert len(list((tmp_path / "home").iterdir())) == 2


def test_train_names_what_it_cannot_find(tmp_path: Path) -> None:
    ended = CliRunner().invoke(main, ["train", "esc51", "--workspace", str(tmp_path / "w")])
    assert ended.exit_code == 2
    assert (
        "esc51 does not exist, and no data set has that name; by name: urbansound8k" in ended.output
    )


def test_the_stage_takes_an_archive_and_a_cache(
    archive: Path, spectrograms: Path, tmp_path: Path
) -> None:
    for name in ("cold", "warm"):
        out = tmp_path / "sets" / name
        ended = CliRunner().invoke(
            stage,
            ["--data", str(archive), "--out", str(out), "--cache", str(tmp_path / "cache")],
        )
        assert ended.exit_code == 0, ended.output
        made, wanted = spectrogram_set.read(out), spectrogram_set.read(spectrograms)
        assert [c.sha256 for c in made.clips] == [c.sha256 for c in wanted.clips]
        assert made.artifact.manifest.files.keys() == wanted.artifact.manifest.files.keys()
    assert sorted(p.name for p in (tmp_path / "sets").iterdir()) == ["cold", "warm"]
