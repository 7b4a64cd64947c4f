"""The stages' images: what their Dockerfiles promise, and that they run locked up."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from docker_images import PROJECT, ROOT, docker

from pipeline.images import STAGES

LOCKED_UP = ["--rm", "--read-only", "--tmpfs=/tmp", "--network=none", "--cap-drop=ALL"]


DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")


def test_dockerfile_installs_the_stage_that_is_asked_for_and_starts_it() -> None:
    assert set(STAGES) <= set(PROJECT["optional-dependencies"])
    assert re.findall(r"^ARG STAGE(.*)$", DOCKERFILE, re.MULTILINE) == [""]  # no default
    assert 'install.sh extra "${STAGE:?}"\n' in DOCKERFILE
    assert "AUDIOSTYLE_STAGE=${STAGE}\n" in DOCKERFILE
    assert DOCKERFILE.endswith('ENTRYPOINT ["python", "-m", "components"]\n')


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_the_entry_point_is_the_stages_command_line(stage: str) -> None:
    environment = {**os.environ, "AUDIOSTYLE_STAGE": stage, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "components", "--help"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert f"Usage: python -m components.{stage} " in done.stdout


@pytest.mark.parametrize("stage", ["", "sing"])
def test_the_entry_point_names_the_stages(stage: str) -> None:
    environment = {**os.environ, "AUDIOSTYLE_STAGE": stage, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "components", "--help"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "must be one of preprocess, train, stylize, reconstruct" in done.stderr


def test_dockerfile_ends_as_a_user_other_than_root() -> None:
    assert re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE) == [("10001", "0")]


def test_dockerfile_takes_its_base_by_argument() -> None:
    assert re.search(r"^ARG BASE_IMAGE=\S+$", DOCKERFILE, re.MULTILINE)
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert set(bases) == {"${BASE_IMAGE}", "tools"}
    # The image itself is built on the bare base, so that pip and the sources stay behind.
    assert bases[-1] == "${BASE_IMAGE}"
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM") :]
    assert "COPY" not in last


def test_dockerfile_downloads_nothing_past_pip() -> None:
    assert not re.search(r"^ADD\b", DOCKERFILE, re.MULTILINE)
    assert set(re.findall(r"https?://[^\s/]+", DOCKERFILE)) == {"https://download.pytorch.org"}


def test_what_builds_images_builds_every_stage_at_this_version() -> None:
    text = (ROOT / "deploy" / "docker-bake.hcl").read_text(encoding="utf-8")
    assert f'variable "VERSION" {{ default = "{PROJECT["version"]}" }}' in text
    default = re.search(r'group "default" \{\s*targets = (\[.*\])', text)
    assert default
    assert sorted(json.loads(default[1])) == sorted(STAGES)
    assert 'dockerfile = "deploy/Dockerfile"' in text
    for stage in STAGES:
        assert f'args     = {{ STAGE = "{stage}" }}' in text
    script = (ROOT / "deploy" / "build.sh").read_text(encoding="utf-8")
    listing = re.search(r"set -- \$\((sed .*)\)", script)
    assert listing
    names = subprocess.run(
        ["sh", "-c", listing[1]], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert names.split() == list(STAGES)


def test_one_version_number() -> None:
    """What cannot ask the installed package names the version of pyproject.toml."""
    for name in (
        *("deploy/README.md", "deploy/compose.yaml", "deploy/docker-bake.hcl"),
        *("deploy/kustomize/overlays/profile/kustomization.yaml",),
        *("deploy/kustomize/overlays/standalone/kustomization.yaml", "docs/operations.md"),
        "CITATION.cff",
    ):
        text = (ROOT / name).read_text(encoding="utf-8")
        numbers = re.findall(
            r'(?:audiostyle/\w+:|newTag: |"VERSION" \{ default = "|\nversion: )(\d+\.\d+\.\d+)',
            text,
        )
        assert set(numbers) == {PROJECT["version"]}, name


def run(*arguments: str | Path) -> str:
    """Standard output of a locked-up container."""
    return docker("run", *LOCKED_UP, *arguments)


@pytest.mark.docker
@pytest.mark.parametrize("stage", STAGES)
def test_image_runs_as_a_user_that_it_has_never_heard_of(
    images: dict[str, str], stage: str
) -> None:
    for user in ("1234567:0", "1234567:7654321"):
        assert f"components.{stage}" in run(f"--user={user}", images[stage], "--help")


@pytest.mark.docker
@pytest.mark.parametrize("stage", STAGES)
def test_image_holds_all_that_a_task_imports(images: dict[str, str], stage: str) -> None:
    # component.py is read at compile time only; __main__ is what --help runs.
    program = f"""
import importlib, pkgutil
import components.{stage} as stage
for found in pkgutil.walk_packages(stage.__path__, stage.__name__ + "."):
    if not found.name.endswith((".component", ".__main__")):
        importlib.import_module(found.name)
        print(found.name)
if "{stage}" == "train":
    import audiostyle.registry, boto3, mlflow.pytorch
from kfp.dsl.executor_main import executor_main
"""
    arguments = ["--env=_KFP_RUNTIME=true", "--entrypoint=python", images[stage]]
    assert f"components.{stage}.{stage}" in run(*arguments, "-c", program).split()


@pytest.mark.docker
@pytest.mark.parametrize("stage", STAGES)
def test_image_holds_no_tools_and_no_secrets(images: dict[str, str], stage: str) -> None:
    program = """
for tool in cc gcc g++ clang ld make git pip pip3; do command -v $tool; done
find / -xdev \\( -path '*/pip/_internal' -o -name 'pip.conf' -o -path '*/.cache/pip' \\) 2>/dev/null
find /run/secrets /tools /wheel -type f -size +0 2>/dev/null
true"""
    assert run("--user=0", "--entrypoint=sh", images[stage], "-c", program) == ""
    inspect = ["image", "inspect", "--format", "{{json .Config}}", images[stage]]
    config = json.loads(docker(*inspect))
    assert config["User"] == "10001:0"
    assert "MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false" in config["Env"]
    assert config["Labels"]["org.opencontainers.image.title"] == f"audiostyle/{stage}"
    assert config["Labels"]["org.opencontainers.image.version"] == PROJECT["version"]


@pytest.mark.docker
def test_librosa_does_not_compile_anew_in_each_container(images: dict[str, str]) -> None:
    # A copy of the image's cache keeps its times; what numba compiles here is younger.
    program = """
import time
start = time.time()
import numpy as np, librosa
from pathlib import Path
librosa.feature.melspectrogram(y=np.ones(22050, np.float32), sr=22050)
found = list(Path("/tmp/numba").rglob("*.nbc"))
print(len(found), sum(path.stat().st_mtime >= start for path in found))
"""
    found, compiled = run("--entrypoint=python", images["reconstruct"], "-c", program).split()
    assert int(found) > 0
    assert int(compiled) == 0
