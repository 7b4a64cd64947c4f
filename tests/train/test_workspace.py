"""A workspace's registry: whole or not there, for any number of processes, wherever it lies."""

import hashlib
import itertools
import json
import os
import random
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import made_sets
import pytest
import torch
import warm_processes
from conftest import DEADLINE, ROOT
from json_schemas import validated
from ports import free_port
from test_cli import audiostyle

from audiostyle import artifacts
from audiostyle.network import Classifier
from audiostyle.registry import EXPERIMENT, Registry
from audiostyle.tracking_uris import sqlite_uri
from components.train.gate import GateConfig
from components.train.register import register
from components.train.train import train

GATE = GateConfig(floor=1.0)
AT_ONCE = 8


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_sets.write(tmp_path_factory.mktemp("set") / "set", made_sets.split_clips())


@pytest.fixture(scope="module")
def trained(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "model"
    train(clips, out, made_sets.training())
    return out


def variant(trained: Path, clips: Path, out: Path, seed: int) -> Path:
    """Another classifier, as good as the first."""

    def change(model: Classifier) -> None:
        noise = torch.randn(model.head.weight.shape, generator=torch.Generator().manual_seed(seed))
        model.head.weight.add_(1e-6 * noise)

    return made_sets.variant(trained, clips, out, change, lambda test: None)


def in_a_process(classifier: Path, clips: Path, uri: str) -> None:
    torch.set_num_threads(1)
    register(classifier, clips, uri, GATE)


def at_once(jobs: list[tuple[Path, Path, str]]) -> list[int | None]:
    """Register in as many processes as there are jobs; their exit codes."""
    return warm_processes.ended(warm_processes.process(in_a_process, *job) for job in jobs)


@pytest.mark.slow
def test_registrations_at_once_in_a_new_workspace(
    trained: Path, clips: Path, tmp_path: Path
) -> None:
    """Half of them of one classifier, the others of one each."""
    same = AT_ONCE // 2
    others = [variant(trained, clips, tmp_path / str(n), n) for n in range(AT_ONCE - same)]
    uri = f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"
    jobs = [(classifier, clips, uri) for classifier in [trained] * same + others]
    assert at_once(jobs) == [0] * AT_ONCE
    registry = Registry(uri)
    versions = registry.versions()
    assert [v.version for v in versions] == list(range(len(others) + 1, 0, -1))
    digests = {v.tags["audiostyle.digest"] for v in versions}
    expected = {artifacts.opening(p, artifacts.CLASSIFIER).digest for p in (trained, *others)}
    assert digests == expected
    assert all("audiostyle.verdict" in v.tags for v in versions)
    names = [e.name for e in registry.client.search_experiments()]
    assert names.count(EXPERIMENT) == 1
    champion = registry.champion()
    assert champion is not None
    (tmp_path / "there").mkdir()
    for version in versions:
        local = registry.download(version, tmp_path / "there" / str(version.version))
        digest = artifacts.opening(local, artifacts.CLASSIFIER).digest
        assert digest == version.tags["audiostyle.digest"]
    left = {p.name for p in (tmp_path / "new").iterdir()} - {".mlflow.db.lock"}
    assert left == {"mlflow.db", "mlartifacts"}


@pytest.mark.slow
def test_registrations_that_are_killed_at_random_are_completed(
    trained: Path, clips: Path, tmp_path: Path
) -> None:
    """Killed wherever they are; the same again completes them: one run and one version each."""
    chance = random.Random(9)
    classifiers = [trained, *(variant(trained, clips, tmp_path / str(n), n) for n in range(3))]
    uri = f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"
    killed = 0
    for moment in ("new/.mlflow.db.new-*", "new/mlflow.db", "new/mlartifacts"):
        processes = [
            warm_processes.process(in_a_process, classifier, clips, uri)
            for classifier in classifiers
        ]
        for process in processes:
            process.start()
        while not list(tmp_path.glob(moment)) and any(one.is_alive() for one in processes):
            time.sleep(0.002)
        for process in processes:
            time.sleep(chance.uniform(0, 1))
            process.kill()
            process.join()
            killed += process.exitcode == -signal.SIGKILL
    assert killed
    assert at_once([(classifier, clips, uri) for classifier in classifiers]) == [0] * 4
    registry = Registry(uri)
    versions = registry.versions()
    digests = sorted(version.tags["audiostyle.digest"] for version in versions)
    expected = [artifacts.opening(path, artifacts.CLASSIFIER).digest for path in classifiers]
    assert digests == sorted(expected)
    assert all("audiostyle.verdict" in version.tags for version in versions)
    assert registry.champion() is not None
    experiment = registry.client.get_experiment_by_name(EXPERIMENT)
    runs = registry.client.search_runs([experiment.experiment_id])
    assert sorted(run.data.tags["audiostyle.digest"] for run in runs) == sorted(expected)
    assert all(run.info.status == "FINISHED" for run in runs)


@pytest.mark.slow
def test_the_first_command_is_stopped_while_the_database_is_made(tmp_path: Path) -> None:
    """At random moments, in every way; the next one works, and nothing half-made is left."""
    database = tmp_path / "work" / "mlflow.db"
    code = (
        "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(143));"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from pathlib import Path; from audiostyle.workspace_database import prepare;"
        f"prepare(Path({str(database)!r}))"
    )
    chance = random.Random(4)
    stopped = 0
    kinds = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGKILL)
    for number, kind in enumerate(itertools.islice(itertools.cycle(kinds), 40), 1):
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        # It begins to write when its folder is there.
        while process.poll() is None and not list(tmp_path.glob("work/.mlflow.db.new-*/mlflow.db")):
            time.sleep(0.002)
        time.sleep(chance.uniform(0, 0.6))
        process.send_signal(kind)
        process.wait(DEADLINE)
        stopped += process.returncode != 0
        done = warm_processes.audiostyle("models", "list", "--workspace", "work", cwd=tmp_path)
        if database.exists():  # it was faster than the signal
            assert done.returncode == 0, done.stderr
            database.unlink()
        else:
            assert done.returncode == 2
            assert "has no registry yet" in done.stderr
        if stopped >= 3 and number >= len(kinds):
            break
    assert stopped >= 3  # of more than five, where the machine is faster than the signals
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    left = {p.name for p in (tmp_path / "work").iterdir()} - {".mlflow.db.lock"}
    assert left == {"mlflow.db"}
    assert (
        warm_processes.audiostyle("models", "list", "--workspace", "work", cwd=tmp_path).returncode
        == 0
    )


def contents(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["second", "ümlaut, 100%20? #1"])
def test_a_copied_or_moved_workspace_is_one_of_its_own(
    trained: Path, clips: Path, empty_database: Path, tmp_path: Path, name: str
) -> None:
    first, second = tmp_path / "first", tmp_path / name
    first.mkdir()
    shutil.copy(empty_database, first / "mlflow.db")
    register(trained, clips, f"sqlite:///{first / 'mlflow.db'}", GATE)
    shutil.copytree(first, second)
    before = contents(first)
    other = variant(trained, clips, tmp_path / "other", 1)
    uri = sqlite_uri(second / "mlflow.db")
    assert register(other, clips, uri, GATE)["version"] == "2"
    assert contents(first) == before
    first.rename(tmp_path / "elsewhere")
    for version in ("1", "2"):
        shown = warm_processes.audiostyle(
            "models", "card", version, "--workspace", name, cwd=tmp_path
        )
        assert shown.returncode == 0, shown.stderr
    registry = Registry(uri)
    for registered in registry.versions():
        local = registry.download(registered, tmp_path / f"fetched-{registered.version}")
        artifacts.opening(local, artifacts.CLASSIFIER)
    assert not first.exists()
    # Moved once more, without what it holds: said in one line.
    shutil.rmtree(second / "mlartifacts")
    (tmp_path / "elsewhere").rename(tmp_path / "far")
    lost = warm_processes.audiostyle("models", "card", "1", "--workspace", name, cwd=tmp_path)
    assert (lost.returncode, "must come along" in lost.stderr) == (2, True), lost.stderr
    assert "Traceback" not in lost.stderr


def revision(text: str) -> Callable[[Path], None]:
    def change(database: Path) -> None:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (text,))
            connection.commit()

    return change


def half_made(database: Path) -> None:
    """As MLflow leaves it that is stopped before its migrations."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TABLE alembic_version")
        connection.commit()


def of_another(database: Path) -> None:
    database.unlink()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
        connection.commit()


def folder(database: Path) -> None:
    database.unlink()
    database.mkdir()


UNUSABLE = [
    (revision("cc1f77228345"), "mlflow db upgrade 'sqlite:///"),
    (revision("ffffffffffff"), "of a newer MLflow"),
    (half_made, "MLflow was stopped while it made this database"),
    (of_another, "is no database of MLflow"),
    (folder, "is a folder"),
    (lambda database: database.write_bytes(random.Random(0).randbytes(100_000)), "is damaged"),
    (lambda database: os.truncate(database, database.stat().st_size // 2 + 99), "is damaged"),
    (lambda database: os.truncate(database, 50), "is damaged"),
]


@pytest.mark.parametrize("change, words", UNUSABLE)
def test_a_database_that_mlflow_cannot_use_is_named(
    empty_database: Path,
    data: Path,
    tmp_path: Path,
    change: Callable[[Path], None],
    words: str,
) -> None:
    (tmp_path / "work").mkdir()
    database = Path(shutil.copy(empty_database, tmp_path / "work" / "mlflow.db"))
    change(database)
    before = contents(tmp_path)
    for command in (["models", "list"], ["train", data], ["ui"]):
        done = audiostyle(*command, "--workspace", "work", cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        (line,) = done.stderr.splitlines()
        assert words in line and str(database) in line
        assert done.stdout == ""
        assert contents(tmp_path) == before
        assert {p.name for p in (tmp_path / "work").iterdir()} == {"mlflow.db"}


@pytest.mark.parametrize(
    "address",
    [
        *("file:///tmp/mlruns", "mlruns", "/tmp/mlruns", "localhost:5000", "127.0.0.1:5000"),  # noqa: S108
        *("http://", "http:///x", "http://host:port", "ftp://host", "sqlite://", "sqlite:///"),
        *("sqlite:///:memory:", "://", "http//host", "s3://bucket/mlflow", " http://host"),
    ],
)
def test_an_address_that_is_none_of_mlflows_is_named(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    for command in (["models", "list"], ["train", data]):
        done = audiostyle(*command, "--tracking-uri", address, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        (line,) = done.stderr.splitlines()
        assert "tracking-uri: " in line
        assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    assert audiostyle("models", "list", cwd=tmp_path).returncode == 2


def test_reading_makes_nothing(tmp_path: Path) -> None:
    stylize = ["stylize", tmp_path / "a.wav", tmp_path / "b.wav", "-o", "out.wav"]
    for command in (["models", "list"], ["models", "show"], ["models", "promote", "1"], stylize):
        done = audiostyle(*command, "--workspace", "TYPO", cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert list(tmp_path.iterdir()) == []


# What lies in the current folder

# Modules that some process of a training, or MLflow's server, imports; and what Python runs itself.
_MODULES = [
    *("kfp", "torch", "numpy", "mlflow", "click", "yaml", "sitecustomize", "usercustomize"),
    *("uvicorn", "fastapi", "pydantic", "multiprocessing", "json", "logging", "soundfile"),
]
_PACKAGES = ["audiostyle", "components", "pipeline", "sqlalchemy", "alembic"]


def strange_folder(folder: Path) -> Path:
    """Modules that leave a file where they are run; returns where."""
    marker = folder.parent / "was-run"
    text = f"import pathlib\npathlib.Path({str(marker)!r}).open('a').write(__name__ + '\\n')\n"
    for name in _MODULES:
        (folder / f"{name}.py").write_text(text)
    for name in _PACKAGES:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(text)
    (folder / "strange.pth").write_text(f"import pathlib; pathlib.Path({str(marker)!r}).touch()\n")
    return marker


@pytest.mark.slow
def test_modules_in_the_current_folder_are_not_run(data: Path, tmp_path: Path) -> None:
    """By a training, whose stages are processes, nor by MLflow's server and its workers."""
    here = tmp_path / "here"
    shutil.copytree(data, here)
    marker = strange_folder(here)
    (here / "config.yaml").write_text(
        "train: {epochs: 1, batch: 4, network: {bands: 32, channels: [4, 8, 8, 8]}}\n"
        "gate: {floor: 3}\n"
    )
    command = [str(Path(sys.executable).with_name("audiostyle"))]
    where = ["--workspace", str(tmp_path / "work")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "train", ".", "--config", "config.yaml", "--json", *where],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not marker.exists(), marker.read_text()
    # Standard output is the one line of JSON, which says that the version is held.
    status = validated("train", done.stdout)
    assert (status["status"], status["version"]) == ("held", 1)
    assert "6 clips" in status["warning"]
    port = free_port()
    process = subprocess.Popen(
        [*command, "ui", "--port", str(port), *where],
        cwd=here,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until = time.monotonic() + DEADLINE
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                assert process.poll() is None and time.monotonic() < until, "no server"
                time.sleep(0.5)
        assert not marker.exists(), marker.read_text()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(DEADLINE)
    # Without JSON: one line says what that means, and what it names works.
    done = subprocess.run(
        [*command, "train", ".", "--config", "config.yaml", *where],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    line = done.stdout.splitlines()[0]
    assert "version 1: hold" in line and "registered, but not used" in line
    named = re.search(r"`audiostyle (models promote .+?)`", line)
    assert named is not None
    promoted = warm_processes.audiostyle(*shlex.split(named[1]), "--json", cwd=tmp_path)
    assert json.loads(promoted.stdout) == {"champion": 1, "before": None}
    assert not marker.exists(), marker.read_text()
