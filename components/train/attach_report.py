"""Attachment: the report of a run, and a few of its recordings, beside the training in MLflow."""

import logging
from pathlib import Path, PurePosixPath
from typing import Any

from audiostyle import artifacts
from audiostyle.errors import AudiostyleError
from audiostyle.mlflow_client import after_collisions, explained
from audiostyle.registry import MODEL, Registry

log = logging.getLogger(__name__)

# The tag of MLflow's run that names the folder of the newest report.
_TAG = "audiostyle.report"


def attach_report(
    excerpt: Path | str, tracking_uri: str, registration: dict[str, Any]
) -> str | None:
    """Attach the excerpt of a report to the MLflow run of a version, where its page plays it.

    registration: what `register` says of the version. Returns the folder among the artifacts of the
    run, whose name has a digest of the excerpt: another report has another folder, and the same is
    not sent twice. Returns None, with a warning, where the registry fails: the excerpt is a copy of
    what the run has stored elsewhere, so that nothing is lost. Raises ArtifactError for what is no
    excerpt.
    """
    opened = artifacts.opening(excerpt, artifacts.REPORT_EXCERPT)
    place = f"reports/{opened.digest[:8]}"
    try:
        registry = Registry(tracking_uri)
        run_id = registry.find(registration["version"]).run_id
        with explained(registry.uri):
            sent = _send(registry.client, run_id, opened, place)
    except (AudiostyleError, OSError) as error:
        log.warning(
            "attach-report: the report is not in MLflow beside %s version %s: %s; all else is"
            " stored, and the same command attaches it",
            MODEL,
            registration["version"],
            error,
        )
        return None
    what = f"{sent} files sent" if sent else "which was there"
    log.info("attach-report: %s of MLflow's run %s, %s", place, run_id, what)
    return place


def _send(client: Any, run_id: str, excerpt: artifacts.Artifact, place: str) -> int:
    """Send what is not there with the same size; returns how many files these are.

    A second time sends nothing, or completes what broke off.
    """
    sizes = _sizes(client, run_id, place)
    missing = {
        name: path
        for name in sorted(excerpt.manifest.files)
        if sizes.get(f"{place}/{name}") != (path := excerpt.path(name)).stat().st_size
    }
    for name, path in missing.items():
        client.log_artifact(run_id, str(path), str(PurePosixPath(place, name).parent))
    after_collisions(lambda: client.set_tag(run_id, _TAG, place))
    return len(missing)


def _sizes(client: Any, run_id: str, folder: str) -> dict[str, int]:
    """Bytes of each artifact of a run below a folder, by its path."""
    sizes: dict[str, int] = {}
    for each in client.list_artifacts(run_id, folder):
        sizes |= _sizes(client, run_id, each.path) if each.is_dir else {each.path: each.file_size}
    return sizes
