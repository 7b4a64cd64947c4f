"""The stages' images, for the tests that start them: as built from this checkout.

They are what a Docker daemon has under IMAGE_PREFIX (default `audiostyle`); with
AUDIOSTYLE_TEST_IMAGES=1 deploy/build.sh builds them first, with the settings that it reads.
"""

import functools
import hashlib
import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from pipeline.images import STAGES

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCKER = os.environ.get("DOCKER", "docker")

# Run in an image: a digest over the sources that its tasks import.
_DIGEST = """
import hashlib, sys
from pathlib import Path
import audiostyle
root = Path(audiostyle.__file__).parent.parent
digest = hashlib.sha256()
for folder in sys.argv[1:]:
    for path in sorted((root / folder).rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\\0".encode() + path.read_bytes())
print(digest.hexdigest())
"""


def image(stage: str) -> str:
    """Name of a stage's image."""
    return f"{os.environ.get('IMAGE_PREFIX', 'audiostyle')}/{stage}:{PROJECT['version']}"


def docker(*arguments: str | Path) -> str:
    """Standard output of a Docker command that succeeds."""
    command = [DOCKER, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _of_checkout(stage: str) -> str:
    digest = hashlib.sha256()
    for folder in _sources(stage):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _sources(stage: str) -> list[str]:
    return ["audiostyle", f"components/{stage}", *STAGES[stage].imports]


@functools.cache
def _build() -> None:
    # Once: a fixture that several modules import is set up in each.
    subprocess.run([ROOT / "deploy" / "build.sh", *STAGES], check=True)


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """Image of every stage, built first where AUDIOSTYLE_TEST_IMAGES=1 asks for it."""
    try:
        subprocess.run([DOCKER, "info"], check=True, capture_output=True, timeout=120)
    except (OSError, subprocess.SubprocessError):
        pytest.skip(f"no Docker daemon answers `{DOCKER} info`")
    if os.environ.get("AUDIOSTYLE_TEST_IMAGES") == "1":
        _build()
    for stage in STAGES:
        inspect = [DOCKER, "image", "inspect", image(stage)]
        if subprocess.run(inspect, check=False, capture_output=True).returncode:
            pytest.skip(f"no image {image(stage)}: `make images` or AUDIOSTYLE_TEST_IMAGES=1")
        inside = ["run", "--rm", "--network=none", "--entrypoint=python", image(stage)]
        if docker(*inside, "-c", _DIGEST, *_sources(stage)).strip() != _of_checkout(stage):
            pytest.skip(f"image {image(stage)} is of other sources: `make images` again")
    return {stage: image(stage) for stage in STAGES}
