"""What is told of how a classifier came about."""

import subprocess
from pathlib import Path

import pytest
import torch

from components.train.lineage import lineage

ROOT = Path(__file__).resolve().parents[2]
CPU = torch.device("cpu")


def test_the_environment_tells_what_an_image_was_built_from() -> None:
    environ = {"AUDIOSTYLE_GIT_REVISION": "abc", "AUDIOSTYLE_IMAGE": "train:1"}
    told = lineage(environ, CPU)
    assert (told["git_revision"], told["image"]) == ("abc", "train:1")
    # What the pipeline knows, by digest, is nearer than what the image was once called.
    assert lineage(environ, CPU, "train@sha256:1")["image"] == "train@sha256:1"
    assert told["torch"] == torch.__version__
    assert told["device"] == f"cpu, {torch.get_num_threads()} threads"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not in a repository")
def test_else_the_repository_does() -> None:
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert lineage({}, CPU)["git_revision"].removesuffix("-dirty") == head


def test_what_is_not_known_is_left_out() -> None:
    assert "image" not in lineage({}, CPU)
    assert all(lineage({}, CPU).values())
