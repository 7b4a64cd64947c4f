"""`audiostyle doctor`: checks on real programs, files and servers; bounded; no secret printed."""

import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from json_schemas import validated

from audiostyle import workspace_database

PROGRAM = Path(sys.executable).with_name("audiostyle")
WORDS = ("hidden-key-17", "hidden-secret-18", "hidden-token-19", "hidden-proxy-20")


def doctor(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command in a folder, with no variable of this process but the PATH."""
    return subprocess.run(
        [PROGRAM, "doctor", *words],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "OMP_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def examined(
    folder: Path, *words: str, **variables: str
) -> tuple[int, dict[str, dict[str, Any]], str]:
    """Exit code, checks by name, and all that was printed."""
    limit = () if "--limit" in words else ("--limit", "300")
    done = doctor(folder, "--json", *limit, *words, **variables)
    report = validated("doctor", done.stdout)
    assert report["ok"] == (done.returncode == 0)
    assert report["ok"] == all(check["state"] != "problem" for check in report["checks"])
    # What is not in order comes with what to do.
    assert all(check["remedy"] for check in report["checks"] if check["state"] != "ok")
    return done.returncode, {c["name"]: c for c in report["checks"]}, done.stdout + done.stderr


def program(folder: Path, text: str) -> str:
    """A program `docker` in a folder; returns a PATH that begins with it."""
    folder.mkdir()
    (folder / "docker").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "docker").chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


@pytest.fixture
def silent() -> Iterator[str]:
    """Address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


class Refusing(BaseHTTPRequestHandler):
    """Answers 401 to all, with the request's own headers in the text."""

    def do_GET(self) -> None:
        body = str(self.headers).encode()
        self.send_response(401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output free of requests."""


@pytest.fixture
def refusing() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class Unknowing(BaseHTTPRequestHandler):
    """A Kubeflow Pipelines that tells everyone how it is, and knows nobody."""

    def do_GET(self) -> None:
        healthy = self.path == "/apis/v2beta1/healthz"
        body = b'{"multi_user": false}' if healthy else b'{"message": "no such person"}'
        self.send_response(200 if healthy else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output free of requests."""


def test_a_token_that_the_server_does_not_take(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Unknowing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "token").write_text(WORDS[2])
    address = f"http://127.0.0.1:{server.server_port}"
    code, checks, printed = examined(
        tmp_path, "--token-file", str(tmp_path / "token"), "--host", address, DOCKER="/none"
    )
    server.shutdown()
    server.server_close()
    assert code == 1
    assert checks["kubeflow"]["state"] == "problem"
    assert "refuses the token" in checks["kubeflow"]["detail"]
    assert WORDS[2] not in printed


def test_a_machine_with_nothing_set_up(tmp_path: Path) -> None:
    """Beside a folder `pipeline` of somebody else's, with no Docker that builds on the PATH."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("raise RuntimeError('not ours')\n")
    path = program(tmp_path / "bin", "exit 1")
    code, checks, _ = examined(tmp_path, DOCKER=f"{tmp_path}/bin/docker", PATH=path)
    assert code == 0
    states = {name: check["state"] for name, check in checks.items()}
    assert states == {
        **dict.fromkeys(("python", "packages", "torch", "disk"), "ok"),
        **dict.fromkeys(("docker", "s3", "mlflow", "kubeflow"), "absent"),
    }
    assert not (tmp_path / "outputs").exists()


def test_what_a_person_reads(tmp_path: Path) -> None:
    done = doctor(tmp_path, "--limit", "300", DOCKER="/no/such/docker")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("ok          python    3.")
    (docker,) = [line for line in lines if " docker " in line and "not set up" in line]
    assert "no Docker daemon answers" in docker
    assert done.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("check", ["s3", "mlflow", "kubeflow"])
def test_servers_that_hang(tmp_path: Path, silent: str, check: str) -> None:
    variables = {
        "s3": {"AWS_ENDPOINT_URL": silent, "AWS_ACCESS_KEY_ID": WORDS[0]},
        "mlflow": {"MLFLOW_TRACKING_URI": silent},
        "kubeflow": {"KF_PIPELINES_ENDPOINT": silent},
    }[check]
    code, checks, _ = examined(tmp_path, "--limit", "12", DOCKER="/none", **variables)
    assert code == 1
    assert checks[check]["state"] == "problem"
    assert "no answer" in checks[check]["detail"]


@pytest.mark.slow
def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    path = program(tmp_path / "bin", f"sleep 600 & echo $! >{pid}; wait")
    code, checks, _ = examined(tmp_path, "--limit", "12", PATH=path)
    assert code == 1
    assert "no answer within 12 s" in checks["docker"]["detail"]
    for _ in range(100):
        if not Path(f"/proc/{pid.read_text().strip()}").exists():
            break
        time.sleep(0.1)
    else:
        pytest.fail("the program's child still runs")


@pytest.mark.slow
def test_a_docker_that_cannot_build(tmp_path: Path) -> None:
    path = program(tmp_path / "bin", '[ "$1" = info ] && echo 28.1 || exit 1')
    named = f"{tmp_path}/bin/docker"
    code, checks, _ = examined(tmp_path, DOCKER=named, PATH=path)
    assert code == 1
    assert "buildx" in checks["docker"]["remedy"]
    assert named in checks["docker"]["detail"]


@pytest.mark.slow
def test_no_secret_is_printed(tmp_path: Path, refusing: str) -> None:
    key, secret, token, proxy = WORDS
    (tmp_path / "token").write_text(token)
    port = refusing.rpartition(":")[2]
    code, checks, printed = examined(
        tmp_path,
        *("--store", "s3://bucket/prefix", "--token-file", str(tmp_path / "token")),
        AWS_ENDPOINT_URL=refusing,
        AWS_ACCESS_KEY_ID=key,
        AWS_SECRET_ACCESS_KEY=secret,
        AWS_DEFAULT_REGION="us-east-1",
        MLFLOW_TRACKING_URI=refusing,
        MLFLOW_TRACKING_PASSWORD=secret,
        KF_PIPELINES_ENDPOINT=refusing,
        https_proxy=f"http://me:{proxy}@127.0.0.1:{port}",
        DOCKER="/none",
    )
    assert code == 1
    assert {checks[name]["state"] for name in ("s3", "mlflow", "kubeflow")} == {"problem"}
    assert [word for word in WORDS if word in printed] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "variables"),
    [
        ((), {"MLFLOW_TRACKING_URI": f"http://me:{WORDS[1]}@127.0.0.1:1"}),
        (("--store", f"s3://me:{WORDS[1]}@bucket"), {}),
        (("--host", f"http://me:{WORDS[1]}@127.0.0.1:1"), {}),
        ((), {"AWS_ENDPOINT_URL": f"http://me:{WORDS[1]}@127.0.0.1:1", "AWS_PROFILE": "x"}),
    ],
)
def test_addresses_with_a_password_are_refused(
    tmp_path: Path, words: tuple[str, ...], variables: dict[str, str]
) -> None:
    done = doctor(tmp_path, *words, DOCKER="/none", **variables)
    assert done.returncode == (1 if "AWS_PROFILE" in variables else 2)
    assert "Traceback" not in done.stderr
    assert "password" in done.stdout + done.stderr
    assert WORDS[1] not in done.stdout + done.stderr


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry without versions."""
    path = tmp_path_factory.mktemp("registry") / "mlflow.db"
    workspace_database.prepare(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["good", "cut off", "another database"])
def test_the_registry_of_a_workspace(tmp_path: Path, database: Path, kind: str) -> None:
    file = tmp_path / "work #1" / "mlflow.db"
    file.parent.mkdir()
    shutil.copy(database, file)
    if kind == "another database":
        file.unlink()
        with closing(sqlite3.connect(file)) as other:
            other.execute("CREATE TABLE other (version INTEGER)")
            other.commit()
    if kind == "cut off":
        with file.open("r+b") as opened:
            opened.truncate(file.stat().st_size // 2)
    before = file.read_bytes()
    words = ("--workspace", str(file.parent))
    _, checks, _ = examined(tmp_path, *words, DOCKER="/none")
    assert checks["mlflow"]["state"] == ("ok" if kind == "good" else "problem")
    assert ("0 versions" in checks["mlflow"]["detail"]) == (kind == "good")
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.slow
def test_a_workspace_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, checks, _ = examined(tmp_path, "--workspace", "file/below", DOCKER="/none")
    assert code == 1
    assert checks["disk"]["state"] == "problem"
