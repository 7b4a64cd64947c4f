"""Checks of servers, where the settings name them: S3, MLflow, Kubeflow Pipelines."""

import os
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

from audiostyle import workspace_database
from audiostyle.errors import AudiostyleError
from audiostyle.uris import require_no_secret
from pipeline.doctor.finding import Finding, Surroundings

_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE")


def s3(around: Surroundings) -> Finding:
    """The object store: its endpoint answers, and the bucket can be listed."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")
    files = [Path("~/.aws", name).expanduser() for name in ("credentials", "config")]
    credentials = [name for name in _CREDENTIALS if os.environ.get(name)]
    credentials += [str(path) for path in files if path.is_file()]
    if around.store:
        from audiostyle.store import open_store

        try:
            open_store(around.store).check()
        except AudiostyleError as error:
            return Finding(
                "problem",
                str(error),
                "check bucket, credentials (AWS_…) and AWS_ENDPOINT_URL; docs/operations.md,"
                " `What to do when`",
            )
        return Finding("ok", f"{around.store} can be listed")
    if not endpoint and not credentials:
        return Finding(
            "absent",
            "neither AWS_ENDPOINT_URL nor credentials are set",
            "only for data and results in buckets: `make stack` starts a store on this machine",
        )
    if not credentials:
        return Finding(
            "problem",
            f"{endpoint} is set, and no credentials",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; with `make stack`:"
            " set -a; source outputs/stack/env; set +a",
        )
    detail = f"credentials from {', '.join(credentials)}"
    if not endpoint:
        return Finding("ok", f"{detail}; Amazon's was not asked", "--store s3://BUCKET tries them")
    require_no_secret("AWS_ENDPOINT_URL", endpoint)
    if reason := _unreachable(endpoint, around.seconds):
        return Finding(
            "problem", f"{endpoint}: {reason}", "start the server, or mend AWS_ENDPOINT_URL"
        )
    return Finding("ok", f"{endpoint} answers; {detail}", "--store s3://BUCKET tries them")


def mlflow(around: Surroundings) -> Finding:
    """The registry: the workspace's database, or a server."""
    if uri := around.tracking_uri:
        require_no_secret("tracking-uri", uri)
        if uri.startswith(("http://", "https://")):
            address = f"{uri.rstrip('/')}/health"
            reason = _unreachable(address, around.seconds, well=True)
            remedy = "start the server, or mend MLFLOW_TRACKING_URI"
            return Finding("problem", f"{uri}: {reason}", remedy) if reason else Finding("ok", uri)
        database = Path(uri.removeprefix("sqlite:///"))
    else:
        database = Path(around.workspace).absolute() / "mlflow.db"
    if not database.is_file():
        return Finding(
            "absent", f"{database}: no registry yet", "`audiostyle run` or `train` makes one"
        )
    try:
        workspace_database.check(database)
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as opened:
            count = opened.execute("SELECT count(*) FROM model_versions").fetchone()[0]
    except (AudiostyleError, sqlite3.Error) as error:
        remedy = "do what the message says; a backup comes back by `audiostyle restore`"
        return Finding("problem", str(error), remedy)
    return Finding("ok", f"{database}: {count} version{'' if count == 1 else 's'}")


def kubeflow(around: Surroundings) -> Finding:
    """Kubeflow Pipelines: the API answers, and takes the token."""
    if not around.connection.get("host"):
        return Finding(
            "absent",
            "no host is set",
            "only for `audiostyle submit`: --host, KF_PIPELINES_ENDPOINT, or"
            " cluster.connection.host",
        )
    from pipeline.cluster.api import Api
    from pipeline.cluster.client import Client, Patience
    from pipeline.cluster_config import ConnectionSettings

    patience = Patience(connect=around.seconds / 2, read=around.seconds / 2, waits=())
    connection = ConnectionSettings.parse(dict(around.connection), "options")
    try:
        client = Client(connection, patience)
        Api(client).require_access()
    except AudiostyleError as error:
        return Finding(
            "problem",
            str(error),
            "check host, token and certificates; docs/cluster.md, docs/operations.md",
        )
    where = f"namespace {client.namespace}" if client.namespace else "one user"
    return Finding("ok", f"{connection.host} answers, {where}")


def _unreachable(address: str, seconds: float, *, well: bool = False) -> str:
    """Why no server answers at an address; empty where one does. well: with a status of 200."""
    opener: Any = urllib.request.build_opener()
    try:
        with opener.open(address, timeout=seconds):
            return ""
    except urllib.error.HTTPError as error:
        return f"answers {error.code}" if well else ""
    except (OSError, ValueError) as error:
        return f"no answer ({getattr(error, 'reason', error)})"
