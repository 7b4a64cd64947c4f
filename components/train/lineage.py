"""Lineage of a classifier: the code, the image and the machine that it was trained with."""

import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path

import torch

# Set in the stage's image (deploy/Dockerfile), where there is no repository to ask.
REVISION = "AUDIOSTYLE_GIT_REVISION"
IMAGE = "AUDIOSTYLE_IMAGE"


def lineage(environ: Mapping[str, str], device: torch.device, image: str = "") -> dict[str, str]:
    """Names and values for a version's tags; what is not known is left out.

    image: name of the container image, by digest where it is known; else the environment's.
    """
    known = {
        "git_revision": environ.get(REVISION) or _revision(),
        "image": image or environ.get(IMAGE, ""),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "platform": platform.platform(),
        "device": _device(device),
    }
    return {key: value for key, value in known.items() if value}


def _device(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} threads"


def _revision() -> str:
    """Commit of the repository that this file lies in, `-dirty` where it was changed since."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return ""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""  # no git here, or a repository that it does not want to read
