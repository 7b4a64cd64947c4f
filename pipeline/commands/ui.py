"""`audiostyle ui`: the registry in MLflow's web interface."""

import os
import sys
from pathlib import Path

import click

from audiostyle.command import Command
from audiostyle.errors import InputError
from audiostyle.terminal import say
from pipeline.commands.options import WORKSPACE, registry_uri


@click.command(cls=Command)
@click.option("--port", default=5000, show_default=True, help="TCP port on this machine.")
@WORKSPACE
def ui(port: int, workspace: Path) -> None:
    """Open the registry of the workspace in MLflow's web interface."""
    from audiostyle import tracking_uris, workspace_database

    uri = registry_uri(workspace)
    path = tracking_uris.sqlite_path(uri)
    if path is None or not workspace_database.exists(path):
        raise InputError(f"workspace: {workspace} has no registry yet; run `audiostyle run` first")
    workspace_database.prepare(path)
    say(f"http://127.0.0.1:{port}/#/models")
    sys.stdout.flush()
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    # uvicorn puts the current folder first on the path of its workers, whatever the environment
    # says: so it is the one of the installation, in which no stranger's module lies.
    os.chdir(sys.prefix)
    os.execv(  # noqa: S606
        sys.executable,
        [
            *(sys.executable, "-P", "-m", "mlflow", "server"),
            *("--backend-store-uri", uri),
            *("--artifacts-destination", workspace_database.artifact_root(path)),
            *("--host", "127.0.0.1", "--port", str(port)),
        ],
    )
