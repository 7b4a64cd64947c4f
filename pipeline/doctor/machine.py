"""Checks of this machine: Python, packages, torch and its device, disk, Docker."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from pipeline.doctor.finding import Finding, Surroundings

_NEEDED = (3, 11)
# A run on the bundled recordings writes 100 MB; below this much, in GB, runs begin to fail.
_LEAST_DISK = 1.0
_EXTRAS = ("preprocess", "train", "stylize", "reconstruct", "pipeline")
_DOCKER = "only `--runner docker` and `make images` need it: install Docker, or leave it"


def python(_: Surroundings) -> Finding:
    """The interpreter, and where audiostyle is installed."""
    detail = (
        f"{platform.python_version()}, audiostyle {metadata.version('audiostyle')}, {sys.prefix}"
    )
    if sys.version_info < _NEEDED:
        return Finding("problem", detail, "install Python 3.11 or newer, then audiostyle in it")
    return Finding("ok", detail)


def packages(_: Surroundings) -> Finding:
    """The packages of each extra: all there, and of a version that audiostyle takes."""
    from packaging.requirements import Requirement

    wanted = [Requirement(text) for text in metadata.requires("audiostyle") or []]
    lacking: dict[str, list[str]] = {}
    for extra in ("", *_EXTRAS):
        for each in wanted:
            own = not each.marker or (extra and each.marker.evaluate({"extra": extra}))
            if not own or each.name == "audiostyle" or (extra and not each.marker):
                continue
            try:
                version = metadata.version(each.name)
            except metadata.PackageNotFoundError:
                lacking.setdefault(extra, []).append(each.name)
                continue
            if version not in each.specifier:
                lacking.setdefault(extra, []).append(f"{each.name} ({version})")
    if not lacking:
        return Finding("ok", "all that the four stages and the pipeline need")
    names = "; ".join(f"{extra or 'audiostyle'}: {', '.join(n)}" for extra, n in lacking.items())
    return Finding(
        "problem" if "" in lacking else "absent",
        f"missing or of another version for {names}",
        "pip install 'audiostyle[pipeline]', or the extra of the stages that you use",
    )


def torch(_: Surroundings) -> Finding:
    """PyTorch, and the device that it computes on."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding(
            "problem", f"cannot be imported: {error}", "install torch again, in this environment"
        )
    detail = f"torch {torch.__version__}"
    if torch.cuda.is_available():
        device = torch.device("cuda")
        properties = torch.cuda.get_device_properties(device)
        detail += f", GPU {properties.name} with {properties.total_memory / 2**30:.0f} GiB"
    else:
        device = torch.device("cpu")
        detail += f", CPU with {torch.get_num_threads()} threads"
    product = torch.ones(64, 64, device=device) @ torch.ones(64, 64, device=device)
    if float(product.sum()) != 64**3:
        return Finding("problem", f"{detail}: computes wrongly", "check the driver and the device")
    if device.type == "cpu" and _gpu():
        return Finding(
            "problem",
            f"{detail}, though this machine has a GPU ({_gpu()})",
            "install a build of torch for its CUDA; `nvidia-smi` shows the driver's version",
        )
    return Finding("ok", detail)


def disk(around: Surroundings) -> Finding:
    """Room and rights where the workspace and temporary files are."""
    workspace = Path(around.workspace).absolute()
    there = next(path for path in (workspace, *workspace.parents) if path.exists())
    if not there.is_dir():
        return Finding("problem", f"{there} is a file", "give another --workspace")
    parts, problems = [], []
    for name, folder in (("workspace", there), ("temporary files", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(folder).free / 1e9
        parts.append(f"{name}: {free:.1f} GB free at {folder}")
        if not os.access(folder, os.W_OK | os.X_OK):
            problems.append(f"{folder} may not be written")
        elif free < _LEAST_DISK:
            problems.append(f"{folder} is nearly full")
    if problems:
        return Finding(
            "problem",
            "; ".join([*parts, *problems]),
            "free some room, or set --workspace and TMPDIR to other folders",
        )
    return Finding("ok", "; ".join(parts))


def docker(_: Surroundings) -> Finding:
    """Client, daemon, BuildKit, and which images of this version there are."""
    clients = _docker_clients()
    if not clients:
        return Finding("absent", "no program `docker`", _DOCKER)
    answer = _output(clients[0], "info", "--format", "{{.ServerVersion}}")
    if not answer:
        return Finding("absent", f"{clients[0]}: no Docker daemon answers", f"start it; {_DOCKER}")
    detail = f"daemon {answer}, "
    builder = next((client for client in clients if _builds(client)), None)
    if not builder:
        return Finding(
            "problem",
            f"{detail}but {' and '.join(clients)} cannot build images with BuildKit",
            "install Docker's plugin buildx (docker-buildx-plugin, or docker-buildx)",
        )
    from pipeline import images

    lacking = [
        stage
        for stage in images.STAGES
        if _output(builder, "image", "inspect", "--format", "{{.Id}}", images.of(stage)) is None
    ]
    detail += f"{builder} builds images, "
    if lacking:
        return Finding("ok", f"{detail}none there of {', '.join(lacking)}", "`make images`")
    return Finding("ok", f"{detail}those of all stages are there")


def _docker_clients() -> list[str]:
    """Docker's programs on the PATH in its order, or the one that DOCKER names."""
    if named := os.environ.get("DOCKER"):
        return [named]
    folders = os.get_exec_path()
    return list(
        dict.fromkeys(path for folder in folders if (path := shutil.which("docker", path=folder)))
    )


def _builds(client: str) -> bool:
    """Whether a client builds with BuildKit: by its plugin buildx, or as Debian's by itself."""
    return "--secret" in (_output(client, "build", "--help", DOCKER_BUILDKIT="1") or "")


def _gpu() -> str:
    """NVIDIA's name of the first GPU of this machine, empty where there is none."""
    program = shutil.which("nvidia-smi")
    names = _output(program, "--query-gpu=name", "--format=csv,noheader") if program else None
    return (names or "").partition("\n")[0].strip()


def _output(*command: str, **variables: str) -> str | None:
    """What a program prints, or None where it fails or is not there."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, **variables}
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
