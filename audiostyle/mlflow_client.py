# ruff: noqa: E402, what MLflow reads and does at its import is set before
"""MLflow's client: set up before the import, and its errors in one line. The only mlflow import."""

import logging
import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

# Before MLflow reads them: nothing pickled is loaded, no telemetry, no progress bars in logs.
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# A request is tried again after 0, 4, 8, 16 and 32 s: that outlives a server that starts anew, and
# one that is gone is an error within a minute; one that accepts and never answers, within four.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

# At its import mlflow.pytorch sets the root logger up, for errors alone, where nobody has before.
_before_others = logging.NullHandler()
logging.root.addHandler(_before_others)

import mlflow
import mlflow.pytorch
from mlflow import entities
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from audiostyle.errors import AudiostyleError

logging.root.removeHandler(_before_others)

__all__ = ["MlflowException", "after_collisions", "connect", "entities", "explained", "mlflow"]

T = TypeVar("T")

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
# What a server says whose database two requests wrote to at once. MLflow itself asks three times
# for a free version number; twelve more, 20 s in all, outlast dozens of processes.
_COLLISION = re.compile(
    r"unique|duplicate|already exists|locked|giving up|serializ|deadlock", re.IGNORECASE
)
_WAITS = (0.1, 0.2, 0.4, 0.8, 1.6, *7 * (2.4,))


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


def after_collisions(step: Callable[[], T]) -> T:
    """Do a step that may be done twice, again where two requests collided in the database."""
    for wait in _WAITS:
        try:
            return step()
        except MlflowException as error:
            if not _COLLISION.search(str(error.message)):
                raise
            # Two processes that met once do not wait for the same time.
            time.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311
    return step()
