"""The only reader of image names: which container each stage runs in."""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import yaml

from audiostyle.errors import InputError
from audiostyle.stages import STAGES as STAGES

_ROOT = Path(__file__).resolve().parent.parent
# Names every image by digest once images are built and pushed; see deploy/README.md.
LOCK = _ROOT / "deploy" / "images.lock.yaml"


def of(stage: str) -> str:
    """The image of a stage: by digest where deploy/images.lock.yaml has it, else by version.

    Raises InputError where the lock file is no mapping of stages to image names.
    """
    locked: object = {}
    if LOCK.is_file():
        locked = yaml.safe_load(LOCK.read_text(encoding="utf-8")) or {}
    if not isinstance(locked, dict) or not all(isinstance(v, str) for v in locked.values()):
        raise InputError(f"{LOCK}: must map stages to image names")
    return locked.get(stage) or f"audiostyle/{stage}:{version('audiostyle')}"


@cache
def local_of(stage: str) -> str:
    """Name under which a stage runs as a subprocess: no image, but the code that it would hold.

    It holds a digest of the sources that the stage is made of, so that kfp's cache, which knows
    the name only, computes anew what the code has changed. With 'python' in it, since kfp warns
    of any other image where it runs none.
    """
    digest = hashlib.sha256()
    for folder in ("audiostyle", f"components/{stage}"):
        for path in sorted((_ROOT / folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.relative_to(_ROOT)}\0".encode())
                digest.update(path.read_bytes())
    return f"audiostyle-python/{stage}:{digest.hexdigest()[:16]}"
