"""Artifacts: written whole, read only if they are what was written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from audiostyle import artifacts
from audiostyle.artifacts import CLASSIFIER, SPECTROGRAM_SET
from audiostyle.errors import ArtifactError


@pytest.fixture
def made(tmp_path: Path) -> Path:
    with artifacts.writing(tmp_path / "a", CLASSIFIER, {"x": 1}) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "data.bin").write_bytes(b"data" * 100)
    return tmp_path / "a"


def test_round_trip(made: Path) -> None:
    opened = artifacts.opening(made, CLASSIFIER)
    assert opened.config == {"x": 1}
    assert opened.path("sub/data.bin").read_bytes() == b"data" * 100
    with pytest.raises(ArtifactError, match=r"manifest\.json lists no file 'other'"):
        opened.path("other")


def test_digest_is_of_the_content(made: Path, tmp_path: Path) -> None:
    with artifacts.writing(tmp_path / "b", CLASSIFIER, {"x": 1}) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "data.bin").write_bytes(b"data" * 100)
    first, second = (artifacts.opening(p, CLASSIFIER) for p in (made, tmp_path / "b"))
    assert first.digest == second.digest


@pytest.mark.parametrize(
    "change, words",
    [
        ({"format": "audiostyle/other"}, "'audiostyle/other'; 'audiostyle/classifier' is needed"),
        ({"version": 99}, "version 99; this release reads version 1"),
        ({"files": {"../secret": "0"}}, "outside the artifact: '../secret'"),
        ({"files": {"/etc/hostname": "0"}}, "outside the artifact"),
        ({"files": {"gone": "0"}}, "gone: is missing"),
        ({"extra": 1}, "extra"),
        ({"version": "one"}, "version"),
    ],
)
def test_manifests_that_are_refused(made: Path, change: dict[str, object], words: str) -> None:
    path = made / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(
        ArtifactError if "extra" not in change and change != {"version": "one"} else Exception,
        match=words,
    ) as caught:
        artifacts.opening(made, CLASSIFIER)
    assert str(made) in str(caught.value)


def test_tensors_on_a_full_disk_are_an_error_of_the_system(tmp_path: Path) -> None:
    """The library has an error of its own for it, which nobody expects."""
    program = (
        "import resource, sys, torch\n"
        "from pathlib import Path\n"
        "from audiostyle import tensors\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: tensors.write(Path(sys.argv[1]), {'x': torch.zeros(99_999)}, {'a': 'b'})\n"
        "except OSError as error: print(error)\n"
    )
    path = tmp_path / "x.safetensors"
    words = [sys.executable, "-c", program, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == f"[Errno 27] File too large: '{path}'\n"


def test_damage_is_found(made: Path) -> None:
    path = made / "sub" / "data.bin"
    content = bytearray(path.read_bytes())
    content[17] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"data\.bin: is damaged"):
        artifacts.opening(made, CLASSIFIER)


def test_other_folders_are_no_artifacts(made: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="is not a folder"):
        artifacts.opening(tmp_path / "nowhere", CLASSIFIER)
    with pytest.raises(ArtifactError, match=r"has no manifest\.json"):
        artifacts.opening(tmp_path, CLASSIFIER)
    with pytest.raises(ArtifactError, match="spectrogram-set' is needed"):
        artifacts.opening(made, SPECTROGRAM_SET)
    (made / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError, match="is not JSON"):
        artifacts.opening(made, CLASSIFIER)


def test_a_failed_write_leaves_what_was_there(made: Path) -> None:
    with pytest.raises(RuntimeError), artifacts.writing(made, CLASSIFIER, {}) as folder:
        (folder / "half").write_text("half")
        raise RuntimeError
    assert artifacts.opening(made, CLASSIFIER).config == {"x": 1}
    assert [p.name for p in made.parent.iterdir()] == ["a"]


def test_a_write_replaces_an_artifact_but_nothing_else(made: Path, tmp_path: Path) -> None:
    with artifacts.writing(made, CLASSIFIER, {"x": 2}):
        pass
    assert artifacts.opening(made, CLASSIFIER).config == {"x": 2}
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "photo.jpg").write_text("!")
    with (
        pytest.raises(ArtifactError, match="in the way"),
        artifacts.writing(precious, CLASSIFIER, {}),
    ):
        pass
    assert (precious / "photo.jpg").exists()
    assert {p.name for p in tmp_path.iterdir()} == {"a", "precious"}


def test_tables_name_the_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    artifacts.write_table(path, [{"a": 1}, {"b": "ü"}])
    assert artifacts.read_table(path) == [{"a": 1}, {"b": "ü"}]
    path.write_text('{"a": 1}\n[2]\n')
    with pytest.raises(ArtifactError, match="line 2 is not an object"):
        artifacts.read_table(path)
