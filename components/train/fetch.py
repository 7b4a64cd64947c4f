"""A registered classifier as an artifact, for those who run on a cluster."""

import shutil
import tempfile
from pathlib import Path

from audiostyle import artifacts
from audiostyle.registry import Registry


def fetch(reference: str, tracking_uri: str, out: Path | str) -> str:
    """Write the classifier artifact of a registered version to the folder `out`.

    reference: number, alias or URI. Returns the version's URI, `models:/NAME/NUMBER`.
    Raises InputError where there is no such version, ArtifactError where it is damaged.
    """
    registry = Registry(tracking_uri)
    version = registry.find(reference)
    out = Path(out)
    with tempfile.TemporaryDirectory(prefix="audiostyle-") as temporary:
        local = registry.download(version, Path(temporary))
        artifacts.opening(local, artifacts.CLASSIFIER)
        shutil.copytree(local, out, dirs_exist_ok=True)
    return version.uri
