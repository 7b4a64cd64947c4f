"""The wheel, built and installed where the sources are not: whole, typed, and it runs."""

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT
from docker_images import PROJECT
from json_schemas import validated

pytestmark = pytest.mark.slow

UV = Path(sys.executable).with_name("uv")
_LEFT_OUT = shutil.ignore_patterns(
    ".*", "outputs", "build", "dist", "*.egg-info", "node_modules", "__pycache__", "wheels"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "sources", ignore=_LEFT_OUT)
    words = ["build", "--quiet", "--offline", "--wheel", "--no-build-isolation"]
    words += [
        "--python",
        sys.executable,
        "--out-dir",
        str(folder / "dist"),
        str(folder / "sources"),
    ]
    subprocess.run([UV, *words], check=True)
    (made,) = (folder / "dist").glob("*.whl")
    return made


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel alone, beside the packages that it needs."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    words = ["--quiet", "--offline", "--no-deps", "--python", str(python)]
    subprocess.run([UV, "pip", "install", *words, wheel], check=True)
    (packages,) = folder.glob("lib/*/site-packages")
    # Of these, no .pth is read, so that the sources stay out.
    others = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "others.pth").write_text(f"{others}\n")
    return folder


def run(environment: Path, folder: Path, *words: str) -> str:
    """What a program of the environment prints, in a folder of its own."""
    program, *more = words
    done = subprocess.run(
        [environment / "bin" / program, *more],
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), "DOCKER": "/none"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_holds_every_module_and_nothing_else(wheel: Path) -> None:
    packages = ("audiostyle", "components", "pipeline")
    modules = {
        path.relative_to(ROOT).as_posix()
        for package in packages
        for path in (ROOT / package).rglob("*.py")
    }
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name for name in names if name.endswith(".py")} == modules
    assert {f"{package}/py.typed" for package in packages} <= names
    for folder in ("components/reconstruct/report/templates", "pipeline/trial/page"):
        files = list((ROOT / folder).iterdir())
        assert files and {path.relative_to(ROOT).as_posix() for path in files} <= names
    here = ROOT / "audiostyle" / "bundled"
    parts = [here / "CARD.md", *(here / "classifier").iterdir(), *(here / "pairs").glob("*/*")]
    assert len(parts) == 1 + 5 + 18
    assert {path.relative_to(ROOT).as_posix() for path in parts} <= names
    assert "audiostyle/bundled/pairs/pairs.csv" in names
    assert {name.split("/")[0] for name in names} == {
        *packages,
        f"audiostyle-{PROJECT['version']}.dist-info",
    }


def test_its_commands_run_elsewhere(environment: Path, tmp_path: Path) -> None:
    program = "import audiostyle, pipeline; print(audiostyle.__file__); print(pipeline.__file__)"
    for place in run(environment, tmp_path, "python", "-c", program).split():
        assert Path(place).is_relative_to(environment)
    printed = run(environment, tmp_path, "audiostyle", "--version")
    assert printed.split()[-1] == PROJECT["version"]
    assert "stylize" in run(environment, tmp_path, "audiostyle", "--help")
    report = json.loads(
        run(environment, tmp_path, "audiostyle", "doctor", "--json", "--limit", "300")
    )
    assert report["ok"] and report["audiostyle"] == PROJECT["version"]
    (python,) = [check for check in report["checks"] if check["name"] == "python"]
    assert str(environment) in python["detail"]
    assert list(tmp_path.iterdir()) == []


def test_the_demo_runs_elsewhere(environment: Path, tmp_path: Path) -> None:
    """From the wheel alone: bundled pairs, bundled classifier, a page."""
    words = ("demo", "--no-open", "--quiet", "--json", "--out", "made")
    answer = validated("demo", run(environment, tmp_path, "audiostyle", *words))
    assert answer == {"report": "made/report.html", "opened": False}
    sounds = {path.name for path in (tmp_path / "made").glob("*.wav")}
    assert len(sounds) == 6 and "flute-violin.wav" in sounds
    # matplotlib has a folder of its own in HOME.
    assert {path.name for path in tmp_path.iterdir()} <= {"made", ".config", ".cache"}
    # An earlier demo is replaced; a folder with anything else in it is left alone.
    (tmp_path / "made" / "items.jsonl").write_text("changed\n")
    done = subprocess.run(
        [environment / "bin" / "audiostyle", *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2 and "not the folder of an earlier demo" in done.stderr


@pytest.mark.parametrize("stage", ["preprocess", "train", "stylize", "reconstruct"])
def test_every_stage_is_a_program(environment: Path, tmp_path: Path, stage: str) -> None:
    assert "--out" in run(environment, tmp_path, "python", "-m", f"components.{stage}", "--help")
