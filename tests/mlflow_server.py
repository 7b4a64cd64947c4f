"""A real MLflow server for tests (sqlite, artifacts in SeaweedFS), and a line to it that breaks."""

import contextlib
import http.client
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import DEADLINE
from seaweedfs import ACCESS, BUCKET, SECRET, SeaweedFS, _free_ports

from audiostyle import workspace_database

TRACKING_VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables with nothing in them: made once, since that takes seconds, and copied."""
    database = tmp_path_factory.mktemp("empty") / "mlflow.db"
    workspace_database.prepare(database)
    return database


@pytest.fixture
def registry_uri(empty_database: Path, tmp_path: Path) -> str:
    """A registry without a server, of one test."""
    (tmp_path / "registry").mkdir()
    return f"sqlite:///{shutil.copy(empty_database, tmp_path / 'registry' / 'mlflow.db')}"


class MlflowServer:
    """`mlflow server`, which hands artifacts on to a bucket; can be killed and started again."""

    def __init__(self, folder: Path, store: SeaweedFS, workers: int = 1) -> None:
        self.folder = folder
        self._workers = workers
        self.port = _free_ports(1)[0]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._environment = {
            **{k: v for k, v in os.environ.items() if k not in TRACKING_VARIABLES},
            "MLFLOW_S3_ENDPOINT_URL": store.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "DO_NOT_TRACK": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        arguments = ["--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}"]
        arguments += [
            "--artifacts-destination",
            f"s3://{BUCKET}/mlflow",
            "--workers",
            str(self._workers),
        ]
        arguments += ["--host", "127.0.0.1", "--port", str(self.port)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *arguments],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self._environment,
                start_new_session=True,
            )
        until = time.monotonic() + DEADLINE
        while True:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=5):  # noqa: S310
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if self._process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError((self.folder / "log").read_text()[-2000:]) from None
                time.sleep(0.2)

    def stop(self) -> None:
        """Kill it and its workers at once, as a host that fails does."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture(scope="module")
def mlflow_server(
    seaweedfs_server: SeaweedFS, empty_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    """A server for all tests of a module: they count its versions."""
    seaweedfs_server.ensure_started()
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"), seaweedfs_server)
    database = shutil.copy(empty_database, server.folder / "mlflow.db")
    with contextlib.closing(sqlite3.connect(database)) as connection:
        # A server's experiments have its own artifact root; this one's is a folder.
        connection.execute("DELETE FROM experiments WHERE name = 'audiostyle'")
        connection.commit()
    try:
        server.start()
        yield server
    finally:
        server.stop()


class Line:
    """Forwards requests to a server, and breaks as it is told to.

    breaks: called with the number of the request from 1 on, its method and its path; answers
    `before` to hang up without forwarding it, `after` to hang up with the server's answer, or "".
    """

    def __init__(self, port: int) -> None:
        self.breaks: Callable[[int, str, str], str] = lambda number, method, path: ""
        self.requests = 0
        line = self

        class Handler(BaseHTTPRequestHandler):
            def _forward(self) -> None:
                line.requests += 1
                told = line.breaks(line.requests, self.command, self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if told == "before":
                    self.close_connection = True
                    return
                server = http.client.HTTPConnection("127.0.0.1", port)
                headers = {k: v for k, v in self.headers.items() if k != "Connection"}
                server.request(self.command, self.path, body, headers)
                answer = server.getresponse()
                content = answer.read()
                server.close()
                if told == "after":
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.getheader("Content-Type") or "")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _forward  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop forwarding."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def line(mlflow_server: MlflowServer) -> Iterator[Line]:
    """A line to the server."""
    made = Line(mlflow_server.port)
    yield made
    made.close()
