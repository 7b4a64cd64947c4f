"""Options that several commands share."""

from pathlib import Path

import click

WORKSPACE = click.option(
    "--workspace",
    type=click.Path(path_type=Path),
    default=Path("outputs"),
    show_default=True,
    envvar="AUDIOSTYLE_WORKSPACE",
    help="Folder of runs, models and results.",
)
TRACKING = click.option(
    "--tracking-uri",
    envvar="MLFLOW_TRACKING_URI",
    help="MLflow's address. [default: a database in the workspace]",
)


def registry_uri(workspace: Path, tracking_uri: str | None = None) -> str:
    """MLflow's address: the one that is given, or the sqlite database of a workspace."""
    return tracking_uri or f"sqlite:///{workspace.resolve() / 'mlflow.db'}"
