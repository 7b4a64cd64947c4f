"""deploy/requirements.lock: whole for each step, of the tested versions, and what images hold."""

import json
import re
import subprocess
import tomllib
from importlib import metadata

import pytest
from docker_images import DOCKER, PROJECT, ROOT, docker, image
from packaging.requirements import Requirement

from pipeline.images import STAGES

LOCKED = ROOT / "deploy" / "locked.sh"
LOCK = ROOT / "deploy" / "requirements.lock"
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
CUDA = re.compile(r"(nvidia|cuda)-.+|triton")


def key(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(*steps: str) -> dict[str, str]:
    """Versions by name that locked.sh prints for steps."""
    done = subprocess.run([LOCKED, *steps], capture_output=True, text=True, check=True)
    return {key(n): v for n, v in re.findall(r"^(\S+)==(\S+) ", done.stdout, re.MULTILINE)}


def closure(requirements: list[str]) -> set[str]:
    """Names of what these need and is installed here, with what that needs in its turn."""
    found: set[tuple[str, str]] = set()
    todo = [(Requirement(each), "") for each in requirements]
    while todo:
        wanted, extra = todo.pop()
        if wanted.marker and not wanted.marker.evaluate({"extra": extra}):
            continue
        for extra in ["", *wanted.extras]:
            if (key(wanted.name), extra) in found:
                continue
            found.add((key(wanted.name), extra))
            try:
                needs = metadata.requires(wanted.name) or []
            except metadata.PackageNotFoundError:
                continue  # as the server's driver of Postgres, where nobody needs one
            todo += [(Requirement(each), extra) for each in needs]
    return {name for name, _ in found}


def test_of_the_tested_versions_by_hash() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    tested = {key(n): v for n, v in re.findall(r"^(\S+)==(\S+)$", text, re.MULTILINE)}
    lock = LOCK.read_text(encoding="utf-8")
    versions = {key(n): v for n, v in re.findall(r"^(\S+)==(\S+) ", lock, re.MULTILINE)}
    # torch's libraries for CUDA are not on the machines that test.
    assert {n: v for n, v in versions.items() if not CUDA.fullmatch(n)}.items() <= tested.items()
    # Neither an address, nor a package without a hash: pip wants one of every line or of none.
    package = r"# for [a-z ]+\n\S+==\S+( \\\n    --hash=sha256:[0-9a-f]{64})+\n"
    assert re.fullmatch(rf"(# .+\n)+?({package})+", lock)
    assert len(versions) == lock.count("# for ")


@pytest.mark.parametrize("step", [*STAGES, "pipeline"])
def test_complete_for_each_extra(step: str) -> None:
    wanted = [each for each in EXTRAS[step] if not each.startswith("audiostyle")]
    wanted += [x for stage in STAGES for x in EXTRAS[stage] if step == "pipeline"]
    # Of kfp the stages need a module that needs nothing; its own needs are the pipelines'.
    wanted += PROJECT["dependencies"]
    needed = closure(wanted) | {"kfp"}
    assert locked("torch", "core", step).keys() == needed


def test_complete_for_the_server_and_nothing_beyond() -> None:
    found = locked("server").keys()
    assert found >= closure(EXTRAS["server"])
    assert not {"torch", "kfp", "librosa"} & found
    # What is not here to be asked needs nothing else.
    assert found == closure(EXTRAS["server"])


def test_what_builds_the_wheel_is_locked_too() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    requires = tomllib.loads(text)["build-system"]["requires"]
    assert locked("wheel").keys() == {key(Requirement(each).name) for each in requires}


def test_an_unknown_step_is_refused() -> None:
    done = subprocess.run([LOCKED, "core", "tarin"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown step 'tarin'" in done.stderr


def installed(name: str) -> dict[str, str]:
    """Versions by name of what an image holds."""
    program = """
import importlib.metadata, json
print(json.dumps([[each.name, each.version] for each in importlib.metadata.distributions()]))"""
    inside = ["run", "--rm", "--network=none", "--entrypoint=python", name]
    return {key(n): v for n, v in json.loads(docker(*inside, "-c", program))}


@pytest.mark.docker
@pytest.mark.parametrize("stage", STAGES)
def test_an_image_holds_what_the_lock_names(images: dict[str, str], stage: str) -> None:
    found = installed(images[stage])
    assert found.pop("audiostyle") == PROJECT["version"]
    found["torch"], _, build = found["torch"].partition("+")
    cuda = [] if build == "cpu" else ["cuda"]
    assert found == locked("torch", "core", stage, *cuda)


@pytest.mark.docker
def test_the_servers_image_holds_what_the_lock_names() -> None:
    try:
        inspect = [DOCKER, "image", "inspect", image("mlflow")]
        there = subprocess.run(inspect, check=False, capture_output=True).returncode == 0
    except OSError:
        there = False
    if not there:
        pytest.skip(f"no image {image('mlflow')}: deploy/build.sh mlflow")
    assert installed(image("mlflow")) == locked("server")
