"""The classifier that a command or a call means: a folder, or a version in the registry."""

import logging
import os
from pathlib import Path

from audiostyle import bundled, tracking_uris, workspace_database
from audiostyle.errors import InputError

WORKSPACE = "AUDIOSTYLE_WORKSPACE"

log = logging.getLogger(__name__)


def default_workspace() -> Path:
    """The folder of runs, models and results where none is named."""
    return Path(os.environ.get(WORKSPACE) or "outputs")


def registry_uri(workspace: Path, tracking_uri: str | None = None) -> str:
    """MLflow's address: the option's, or that of the sqlite database of a workspace.

    Raises InputError for an address that is none of MLflow's, and for a database that MLflow
    cannot use: now rather than after a training.
    """
    if tracking_uri:
        uri = tracking_uris.tracking_uri("tracking-uri", tracking_uri)
    else:
        uri = tracking_uris.sqlite_uri(workspace.resolve() / "mlflow.db")
    if path := tracking_uris.sqlite_path(uri):
        workspace_database.check(path)
    return uri


def classifier_of(
    reference: Path | str | None, workspace: Path, tracking_uri: str | None, folder: Path
) -> tuple[Path, str]:
    """Folder and name of a classifier: a folder as it is, anything else from the registry.

    reference: a folder, the bundled classifier's name, or a version, alias or URI; None for the
    champion, or the bundled classifier where there is none. folder: where one from the registry is
    put. Raises InputError for one that is not there. A server that does not answer is an error,
    and not a registry without a champion.
    """
    if reference == bundled.CLASSIFIER_NAME:
        return bundled.classifier(), bundled.CLASSIFIER_NAME
    if reference and os.path.isdir(reference):  # noqa: PTH112, no error for what is no path
        return Path(reference), Path(reference).name
    address = registry_uri(workspace, tracking_uri)
    place = f"the registry {tracking_uri}" if tracking_uri else f"the workspace {workspace}"
    if not _may_have_models(address):
        if not reference:
            return _bundled(place)
        raise InputError(
            f"model: {reference}: {place} has no models yet; `audiostyle run` or"
            " `audiostyle train` makes one, or give --model FOLDER"
        )
    # It imports MLflow, which takes seconds.
    from audiostyle.registry import Registry

    registry = Registry(address)
    version = registry.find(str(reference)) if reference else registry.champion()
    if version is None:
        return _bundled(place)
    return registry.download(version, folder / "model"), version.uri


def _may_have_models(address: str) -> bool:
    """False for a database that is not there, which is known without MLflow."""
    path = tracking_uris.sqlite_path(address)
    return path is None or workspace_database.exists(path)


def _bundled(place: str) -> tuple[Path, str]:
    """The bundled classifier, after a line of the log that it is used."""
    log.warning(
        "model: %s has no champion; the bundled classifier of 12 instruments is used", place
    )
    return bundled.classifier(), bundled.CLASSIFIER_NAME
