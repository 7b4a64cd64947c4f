"""The classifier that is used where none is named: the champion, or else the bundled one."""

import logging
from pathlib import Path

from audiostyle import bundled, tracking_uris, workspace_database

log = logging.getLogger(__name__)


def champion_or_bundled(workspace: Path, tracking_uri: str | None) -> str:
    """`champion`, or the name of the bundled classifier, which the log then says.

    A server that does not answer is an error, and not a registry without a champion. Raises
    AudiostyleError.
    """
    if _has_champion(workspace, tracking_uri):
        return "champion"
    log.warning(
        "model: %s has no champion; the bundled classifier of 12 instruments is used",
        f"the registry {tracking_uri}" if tracking_uri else f"the workspace {workspace}",
    )
    return bundled.CLASSIFIER_NAME


def _has_champion(workspace: Path, tracking_uri: str | None) -> bool:
    uri = tracking_uri or tracking_uris.sqlite_uri(workspace.resolve() / "mlflow.db")
    path = tracking_uris.sqlite_path(tracking_uris.tracking_uri("tracking-uri", uri))
    if path:
        workspace_database.check(path)
        if not workspace_database.exists(path):
            return False
    # It imports MLflow, which takes seconds.
    from audiostyle.registry import Registry

    return Registry(uri).champion() is not None
