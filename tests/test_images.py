"""The stages' images: what their Dockerfiles promise, and that they run locked up.

The tests marked `docker` take the images that a Docker daemon has under IMAGE_PREFIX (default
`audiostyle`); with AUDIOSTYLE_TEST_IMAGES=1 deploy/build.sh builds them first.
"""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from pipeline.images import STAGES

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCKER = os.environ.get("DOCKER", "docker")
LOCKED_UP = ["--rm", "--read-only", "--tmpfs=/tmp", "--network=none", "--cap-drop=ALL"]


def dockerfile(stage: str) -> str:
    return (ROOT / "components" / stage / "Dockerfile").read_text(encoding="utf-8")


def image(stage: str) -> str:
    return f"{os.environ.get('IMAGE_PREFIX', 'audiostyle')}/{stage}:{PROJECT['version']}"


@pytest.mark.parametrize("stage", STAGES)
def test_dockerfile_installs_its_stage_and_starts_it(stage):
    text = dockerfile(stage)
    assert stage in PROJECT["optional-dependencies"]
    assert f"install.sh extra {stage}\n" in text
    assert text.endswith(f'ENTRYPOINT ["python", "-m", "components.{stage}"]\n')


@pytest.mark.parametrize("stage", STAGES)
def test_dockerfile_ends_as_a_user_other_than_root(stage):
    users = re.findall(r"^USER (\d+):(\d+)$", dockerfile(stage), re.MULTILINE)
    assert users == [("10001", "0")]


@pytest.mark.parametrize("stage", STAGES)
def test_dockerfile_takes_its_base_by_argument(stage):
    text = dockerfile(stage)
    assert re.search(r"^ARG BASE_IMAGE=\S+$", text, re.MULTILINE)
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert set(bases) == {"${BASE_IMAGE}", "tools"}
    # The image itself is built on the bare base, so that pip and the sources stay behind.
    assert bases[-1] == "${BASE_IMAGE}"
    last = text[text.rindex("\nFROM") :]
    assert "COPY" not in last


@pytest.mark.parametrize("stage", STAGES)
def test_dockerfile_downloads_nothing_past_pip(stage):
    text = dockerfile(stage)
    assert not re.search(r"^ADD\b", text, re.MULTILINE)
    assert set(re.findall(r"https?://[^\s/]+", text)) == {"https://download.pytorch.org"}


def test_dockerfiles_differ_only_in_their_stage():
    neutral = {re.sub(rf"\b{stage}\b", "STAGE", dockerfile(stage)) for stage in STAGES}
    assert len(neutral) == 1


def test_bake_builds_every_stage_at_this_version():
    text = (ROOT / "deploy" / "docker-bake.hcl").read_text(encoding="utf-8")
    assert f'variable "VERSION" {{ default = "{PROJECT["version"]}" }}' in text
    default = re.search(r'group "default" \{\s*targets = (\[.*\])', text)
    assert default
    assert sorted(json.loads(default[1])) == sorted(STAGES)
    for stage in STAGES:
        assert f'target "{stage}" {{' in text
        assert f'"components/{stage}/Dockerfile"' in text


@pytest.fixture(scope="session")
def images() -> dict[str, str]:
    """Image of every stage, built first where AUDIOSTYLE_TEST_IMAGES=1 asks for it."""
    try:
        subprocess.run([DOCKER, "info"], check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        pytest.skip(f"no Docker daemon answers `{DOCKER} info`")
    if os.environ.get("AUDIOSTYLE_TEST_IMAGES") == "1":
        subprocess.run([ROOT / "deploy" / "build.sh", *STAGES], check=True)
    for stage in STAGES:
        inspect = [DOCKER, "image", "inspect", image(stage)]
        if subprocess.run(inspect, check=False, capture_output=True).returncode:
            pytest.skip(f"no image {image(stage)}: `make images` or AUDIOSTYLE_TEST_IMAGES=1")
    return {stage: image(stage) for stage in STAGES}


def run(*arguments: str | Path) -> str:
    """Standard output of a locked-up container."""
    command = [DOCKER, "run", *LOCKED_UP, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.docker
@pytest.mark.parametrize("stage", STAGES)
def test_image_runs_as_a_user_that_it_has_never_heard_of(images, stage):
    assert f"components.{stage}" in run("--user=1234567:0", images[stage], "--help")


@pytest.mark.docker
@pytest.mark.parametrize("stage", STAGES)
def test_image_holds_all_that_a_task_imports(images, stage):
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
def test_image_holds_no_tools_and_no_secrets(images, stage):
    program = """
for tool in cc gcc g++ clang ld make git pip pip3; do command -v $tool; done
find / -xdev \\( -path '*/pip/_internal' -o -name 'pip.conf' -o -path '*/.cache/pip' \\) 2>/dev/null
find /run/secrets /tools /wheel -type f -size +0 2>/dev/null
true"""
    assert run("--user=0", "--entrypoint=sh", images[stage], "-c", program) == ""
    config = json.loads(
        subprocess.run(
            [DOCKER, "image", "inspect", "--format", "{{json .Config}}", images[stage]],
            check=True,
            capture_output=True,
        ).stdout
    )
    assert config["User"] == "10001:0"
    assert "MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false" in config["Env"]
    assert config["Labels"]["org.opencontainers.image.title"] == f"audiostyle/{stage}"
    assert config["Labels"]["org.opencontainers.image.version"] == PROJECT["version"]
