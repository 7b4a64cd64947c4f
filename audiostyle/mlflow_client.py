"""MLflow's client: set up before the import, and its errors in one line. The only mlflow import."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Before MLflow reads them: nothing pickled is loaded, no telemetry, no progress bars in logs.
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# A request is tried again after 0, 4, 8, 16 and 32 s: that outlives a server that starts anew, and
# one that is gone is an error within a minute; one that accepts and never answers, within four.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

import mlflow
import mlflow.pytorch
from mlflow import entities
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from audiostyle.errors import AudiostyleError

__all__ = ["MlflowException", "connect", "entities", "explained", "mlflow"]

# Whose errors come out of MLflow as they are, depending on where it keeps things and on what
# answers in a server's place.
_THEIRS = (
    "alembic",
    "boto3",
    "botocore",
    "google",
    "json",
    "mlflow",
    "requests",
    "sqlalchemy",
    "sqlite3",
    "urllib3",
)
# Characters of such an error that are shown: some hold a page, or a statement with all its values.
_MOST = 600


def connect(uri: str) -> Any:
    """A client of the tracking server or database at a URI. Raises AudiostyleError."""
    with explained(uri):
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


@contextmanager
def explained(uri: str) -> Iterator[None]:
    """Turn errors of MLflow, and of what it keeps things in, into one line naming the server."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in _THEIRS:
            raise
        text = str(error.message) if isinstance(error, MlflowException) else str(error)
        line = " ".join(text.replace("#####", " ").split())
        if len(line) > _MOST:
            line = f"{line[:_MOST]}…"
        raise AudiostyleError(f"model registry {uri}: {line}") from error
