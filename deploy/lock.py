"""Writes requirements.lock: what each image installs, by version and SHA-256. `make lock` runs it.

One lock holds all; above each package stand the steps that install it, and locked.sh takes a
step's packages from it. Versions are those of constraints.txt, which holds all but the libraries
of torch's CUDA build: of these, the lock's own stay while torch allows them. So a second call
changes nothing, until constraints.txt or pyproject.toml do.

torch's builds for CPU and CUDA are files of one version, on different indices. The lock has
PyPI's (CUDA on Linux) and those of PyTorch's index of CPU builds under one name, and pip takes
whichever it finds. Where PyTorch's index cannot be reached, its hashes in the lock are kept.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from audiostyle.stages import STAGES

HERE = Path(__file__).resolve().parent
LOCK = HERE / "requirements.lock"
PYPROJECT = HERE.parent / "pyproject.toml"
CONSTRAINTS = HERE.parent / "constraints.txt"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# What the images have. Hashes are of the files for all platforms.
PLATFORM = ["--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28"]
CUDA = re.compile(r"(nvidia|cuda)-.+|triton")

HEADER = """\
# What the images and `.[pipeline]` install, by version and SHA-256, for Python 3.11 on Linux.
# Written by deploy/lock.py (`make lock`); deploy/locked.sh takes from it what a step installs.
"""

Packages = dict[str, str]  # a package's lines in the lock by its name


def packages(text: str) -> Packages:
    """What a file of pinned requirements holds; comments are left out."""
    bare = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE)
    return {
        each.partition("==")[0]: each for each in re.split(r"^(?=\S)", bare, flags=re.M) if each
    }


def resolved(*what: str, given: str = "") -> Packages:
    """What pip would install for `what`, arguments of `uv pip compile`; `given` is its input."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / LOCK.name
        if LOCK.exists():
            out.write_bytes(LOCK.read_bytes())  # uv keeps the versions of the file that it renews
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--generate-hashes"]
        command += ["--no-header", "--no-annotate", *PLATFORM, "--constraint", str(CONSTRAINTS)]
        command += ["--output-file", str(out), *what]
        done = subprocess.run(command, input=given, text=True, capture_output=True, check=False)
        if done.returncode:
            raise SystemExit(f"lock.py: {done.stderr.strip()}")
        return packages(out.read_text(encoding="utf-8"))


def steps() -> dict[str, Packages]:
    """What each step of install.sh adds to those before it."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    everything = resolved(str(PYPROJECT), "--extra", "pipeline")
    core = resolved(str(PYPROJECT))
    torch = {"torch": core.pop("torch")}
    cuda = {name: core.pop(name) for name in list(core) if CUDA.fullmatch(name)}
    core["kfp"] = everything["kfp"]  # for its executor, which imports none of kfp's dependencies
    locked = {"torch": torch, "cuda": cuda, "core": core}
    for extra in [*STAGES, "pipeline"]:
        more = resolved(str(PYPROJECT), "--extra", extra)
        locked[extra] = {n: more[n] for n in more if n not in core | torch | cuda}
    server = project["project"]["optional-dependencies"]["server"]
    locked["server"] = resolved("-", given="\n".join(server))
    locked["wheel"] = resolved("-", given="\n".join(project["build-system"]["requires"]))
    return locked


def version(lines: str) -> str:
    """The version in a package's lines, without what tells builds of it apart."""
    return re.split(r"[\s+]", lines.partition("==")[2], maxsplit=1)[0]


def torch_hashes(pinned: str, indices: list[str], wheels: list[Path]) -> set[str]:
    """Of the builds that are not on PyPI."""
    hashes = {hashlib.sha256(wheel.read_bytes()).hexdigest() for wheel in wheels}
    for index in indices:
        try:
            there = resolved("-", "--no-deps", "--default-index", index, given=f"torch=={pinned}")
        except SystemExit:
            before = packages(LOCK.read_text(encoding="utf-8")) if LOCK.exists() else {}
            if version(before.get("torch", "")) == pinned:
                there = before
            elif wheels:
                continue
            else:
                raise SystemExit(
                    f"lock.py: {index} cannot be reached, and the lock has no torch {pinned}: "
                    "give its files by --torch-wheel"
                ) from None
            print(f"lock.py: {index} cannot be reached; hashes of torch kept", file=sys.stderr)
        hashes |= set(re.findall(r"sha256:(\w+)", there["torch"]))
    return hashes


def main() -> None:
    """Write the lock."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    note = "another of PyTorch's indices, whose builds of torch may be installed as well"
    parser.add_argument("--torch-index", action="append", default=[CPU_INDEX], help=note)
    note = "a wheel of torch that may be installed as well"
    parser.add_argument("--torch-wheel", action="append", default=[], type=Path, help=note)
    arguments = parser.parse_args()

    by_step = steps()
    torch = by_step["torch"]["torch"]
    hashes = set(re.findall(r"sha256:(\w+)", torch))
    hashes |= torch_hashes(version(torch), arguments.torch_index, arguments.torch_wheel)
    lines = [f"torch=={version(torch)}", *(f"    --hash=sha256:{each}" for each in sorted(hashes))]
    by_step["torch"]["torch"] = " \\\n".join(lines) + "\n"

    blocks = {name: lines for step in by_step.values() for name, lines in step.items()}
    text = HEADER
    for name in sorted(blocks):
        text += (
            f"# for {' '.join(step for step in by_step if name in by_step[step])}\n{blocks[name]}"
        )
    new = LOCK.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(LOCK)


if __name__ == "__main__":
    main()
