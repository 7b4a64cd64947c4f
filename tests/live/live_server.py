"""A real Kubeflow Pipelines, named by the environment: see docs/cluster.md. Without one, all skip.

KF_PIPELINES_ENDPOINT      the server
AUDIOSTYLE_LIVE_CONFIG     settings of its cluster [those of the overlay standalone]
AUDIOSTYLE_LIVE_FOLDER     where data and results go [s3://audiostyle/live]; with AWS_… to reach it
AUDIOSTYLE_LIVE_MLFLOW     MLflow as this machine reaches it; else the registry is not looked at
AUDIOSTYLE_LIVE_STORE      commands that take the object store away, and bring it back: STOP | START
AUDIOSTYLE_LIVE_SERVER     the same for the API server
KUBECONFIG                 Kubernetes; without it no pod is deleted
"""

import os
import re
import subprocess
import sys
import threading
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from audiostyle.store import open_store

needs_server = pytest.mark.skipif(
    not os.environ.get("KF_PIPELINES_ENDPOINT"),
    reason="no server: set KF_PIPELINES_ENDPOINT (docs/cluster.md)",
)

ROOT = Path(__file__).resolve().parents[2]
OVERLAY = ROOT / "deploy" / "kustomize" / "overlays" / "standalone" / "cluster.yaml"
INSTRUMENTS = ROOT / "examples" / "instruments"


@dataclass
class Output:
    """What a command said, and how it ended."""

    code: int
    text: str

    @property
    def run(self) -> str:
        """The id of the run that it started."""
        found = re.search(r"^Run +\S+, (\S+)$", self.text, re.MULTILINE)
        assert found, self.text
        return found[1]


@dataclass
class Live:
    """A server, and what tests have put into its bucket."""

    config: Path
    folder: str
    name: str

    def __call__(self, *arguments: str, wait: float = 1800) -> Output:
        """Run `audiostyle` with this server's settings."""
        with self.begun(*arguments) as process:
            text, _ = process.communicate(timeout=wait)
        return Output(process.returncode, text)

    @contextmanager
    def begun(self, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        """The command, running."""
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli", *arguments, f"--config={self.config}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def submit(self, kind: str, *arguments: str, wait: bool = True) -> Output:
        """Submit a run, with images by tag, and follow it."""
        more = ("--wait", "--poll=2") if wait else ()
        return self("submit", kind, *arguments, "--allow-tags", *more)

    def await_line(self, process: "subprocess.Popen[str]", pattern: str) -> str:
        """What a running command says up to a line of a pattern. Stop reading there."""
        lines = []
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if re.search(pattern, line):
                return "".join(lines)
        raise AssertionError("".join(lines))

    @property
    def data(self) -> str:
        """The bundled recordings as an archive."""
        return f"{self.folder}/data/instruments.zip"

    @property
    def pairs(self) -> str:
        """The bundled pairs."""
        return f"{self.folder}/pairs/pairs.csv"


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Live:
    """The server, with data and pairs in its bucket and small settings for the stages."""
    folder = os.environ.get("AUDIOSTYLE_LIVE_FOLDER", "s3://audiostyle/live").rstrip("/")
    settings = yaml.safe_load(
        Path(os.environ.get("AUDIOSTYLE_LIVE_CONFIG", OVERLAY)).read_text(encoding="utf-8")
    )
    settings["train"] = {"epochs": 2}
    settings["cluster"]["experiment"] = "audiostyle-live"
    # Four shards at a time on a node of two CPUs.
    settings["cluster"]["tasks"] = {"bulk": {"cpu": "200m"}}
    place = tmp_path_factory.mktemp("live")
    config = place / "settings.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    archive = place / "instruments.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for split in ("train", "validation", "test"):
            for path in sorted((INSTRUMENTS / split).rglob("*")):
                file.write(path, path.relative_to(INSTRUMENTS))
    store = open_store(folder)
    store.put_file("data/instruments.zip", archive)
    for path in sorted((INSTRUMENTS / "pairs").rglob("*")):
        if path.is_file():
            store.put_file(f"pairs/{path.relative_to(INSTRUMENTS / 'pairs').as_posix()}", path)
    return Live(config, folder, uuid.uuid4().hex[:8])


@pytest.fixture(scope="session")
def trained(live: Live) -> Output:
    """The whole pipeline on the bundled recordings, once."""
    return live.submit(
        "run",
        f"--data={live.data}",
        f"--data-version={live.name}",
        f"--pairs={live.pairs}",
        f"--pairs-version={live.name}",
    )


@pytest.fixture(scope="session")
def champion(request: pytest.FixtureRequest) -> None:
    """A registered champion: one that is there, or the whole pipeline's."""
    if uri := os.environ.get("AUDIOSTYLE_LIVE_MLFLOW"):
        command = [sys.executable, "-m", "pipeline.cli", "models", "list", "--tracking-uri", uri]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        if "champion" in done.stdout:
            return
    request.getfixturevalue("trained")


@pytest.fixture
def kubectl() -> Callable[..., str]:
    """Kubernetes' own command, where this machine may use it."""
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("no KUBECONFIG: Kubernetes is not asked")

    def ask(*arguments: str) -> str:
        command = [os.environ.get("KUBECTL", "kubectl"), "--namespace", "kubeflow", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout

    return ask


@contextmanager
def away(variable: str, seconds: float) -> Iterator[Callable[[], None]]:
    """Take a server away for so long when it is told to."""
    commands = os.environ.get(variable, "")
    if "|" not in commands:
        pytest.skip(f"{variable} is not set: this server is not taken away")
    stop, start = commands.split("|", 1)
    timers: list[Any] = []

    def shell(command: str) -> None:
        subprocess.run(["bash", "-c", command], check=True, timeout=120)

    def go() -> None:
        shell(stop)
        timer = threading.Timer(seconds, shell, (start,))
        timers.append(timer)
        timer.start()

    try:
        yield go
    finally:
        for timer in timers:
            timer.join()
