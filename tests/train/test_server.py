"""Registration against a real MLflow server with its artifacts in a bucket, and without one."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections import OrderedDict
from pathlib import Path
from xml.etree import ElementTree

import made_sets
import mlflow
import numpy as np
import pytest
import soundfile
import torch
import warm_processes
from click.testing import CliRunner
from conftest import DEADLINE, RATE, noise, tone
from mlflow.tracking._tracking_service import utils
from mlflow_server import Line, MlflowServer
from seaweedfs import SeaweedFS

from audiostyle import artifacts, network
from audiostyle.errors import ArtifactError, AudiostyleError
from audiostyle.network import Classifier
from audiostyle.registry import EXPERIMENT, MODEL, Registry
from components.train.attach_report import attach_report
from components.train.gate import GateConfig
from components.train.register import register
from components.train.train import train
from pipeline.cli import main

pytestmark = pytest.mark.slow

GATE = GateConfig(floor=1.0)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more try for each request, so that a server that is gone is told at once."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set") / "set"
    return made_sets.write(folder, made_sets.split_clips(10, 4, 12))


@pytest.fixture(scope="module")
def trained(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "model"
    done = train(clips, out, made_sets.training(epochs=25, patience=25))
    assert done["test"]["accuracy"] > 0.9
    return out


def spoilt(share: float, seed: int = 0):  # type: ignore[no-untyped-def]
    """A change that lets a network answer the next class on about that share of what it sees."""

    def change(model: Classifier) -> None:
        noise = torch.randn(model.head.weight.shape, generator=torch.Generator().manual_seed(seed))
        if share:
            model.head.weight.copy_(
                (1 - share) * model.head.weight + share * model.head.weight.roll(1, 0)
            )
            model.head.bias.copy_((1 - share) * model.head.bias + share * model.head.bias.roll(1))
        model.head.weight.add_(1e-6 * noise)

    return change


def versions(uri: str) -> int:
    return len(Registry(uri).versions())


def runs(uri: str, digest: str) -> list[mlflow.entities.Run]:
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    return list(
        client.search_runs([experiment.experiment_id], f"tags.`audiostyle.digest` = '{digest}'")
    )


@pytest.fixture(scope="module")
def history(
    mlflow_server: MlflowServer,
    clips: Path,
    trained: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, dict[str, str]]:
    """Classifiers registered one after another: what the registry said of each, by name."""
    root = tmp_path_factory.mktemp("history")
    told: dict[str, dict[str, str]] = {}

    def one(name: str, change, measures=lambda test: None) -> None:  # type: ignore[no-untyped-def]
        made = made_sets.variant(trained, clips, root / name, change, measures)
        lineage = {"seconds": "2.5", "git_revision": "0" * 40, "image": "stage@sha256:1"}
        told[name] = register(made, clips, mlflow_server.uri, GATE, lineage)
        champion = Registry(mlflow_server.uri).champion()
        assert champion is not None
        told[name]["champion"] = str(champion.version)

    one("first", spoilt(0.55))
    one("better", spoilt(0.0))
    one("equal", spoilt(0.0, seed=1))
    one("worse", spoilt(0.55, seed=3))
    one("nan", spoilt(0.0, seed=2), lambda test: test.update(balanced_accuracy=float("nan")))
    return told


def test_gate(history: dict[str, dict[str, str]], mlflow_server: MlflowServer) -> None:
    assert {name: (one["verdict"], one["champion"]) for name, one in history.items()} == {
        "first": ("promote", "1"),
        "better": ("promote", "2"),
        "equal": ("promote", "3"),
        "worse": ("hold", "3"),
        "nan": ("hold", "3"),
    }
    assert "first version" in history["first"]["reason"]
    assert "0 clips won, 0 lost" in history["equal"]["reason"]
    assert "not finite" in history["nan"]["reason"]
    registry = Registry(mlflow_server.uri)
    worse = registry.find("4").tags
    assert float(worse["audiostyle.p_worse"]) < 0.05
    assert int(worse["audiostyle.clips_lost"]) > int(worse["audiostyle.clips_won"])
    challenger = registry.latest("challenger")
    assert challenger is not None and challenger.version == 5


def test_a_run_has_its_lineage(
    history: dict[str, dict[str, str]],
    mlflow_server: MlflowServer,
    trained: Path,
    tmp_path: Path,
) -> None:
    version = Registry(mlflow_server.uri).find(history["first"]["version"])
    client = mlflow.MlflowClient(mlflow_server.uri)
    run = client.get_run(version.run_id)
    opened = artifacts.opening(trained, artifacts.CLASSIFIER)
    epochs = json.loads(opened.path("metrics.json").read_text())["history"]
    logged = client.get_metric_history(version.run_id, "validation_loss")
    assert [(m.step, m.value) for m in sorted(logged, key=lambda m: m.step)] == [
        (row["epoch"], pytest.approx(row["validation_loss"])) for row in epochs
    ]
    assert run.data.params["network.bands"] == "16"
    assert run.data.metrics["seconds"] == 2.5
    assert run.info.status == "FINISHED"
    assert run.info.end_time - run.info.start_time == 2500
    (found,) = run.inputs.dataset_inputs
    assert json.loads(found.dataset.profile)["sha256"] == opened.config["data_digest"]
    for tags in (run.data.tags, version.tags):
        assert tags["audiostyle.git_revision"] == "0" * 40
        assert tags["audiostyle.image"] == "stage@sha256:1"
        assert {"audiostyle.data", "audiostyle.settings", "audiostyle.release"} <= set(tags)
    assert {f.path for f in client.list_artifacts(version.run_id, "figures")} == {
        f"figures/{name}.svg" for name in ("loss", "accuracy", "confusion", "reliability")
    }
    local = client.download_artifacts(version.run_id, "figures", str(tmp_path))
    for path in Path(local).iterdir():
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314


@pytest.fixture
def excerpt(tmp_path: Path) -> Path:
    """An excerpt of a report, as reconstruct writes it."""
    with artifacts.writing(tmp_path / "excerpt", artifacts.REPORT_EXCERPT, {}) as folder:
        (folder / "report.html").write_text("<html>é</html>")
        (folder / "sounds").mkdir()
        for name in ("a", "b"):
            (folder / "sounds" / f"{name}.wav").write_bytes(b"RIFF" + name.encode())
    return tmp_path / "excerpt"


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Warnings of our own."""
    return [
        r.message for r in caplog.records if r.levelname == "WARNING" and "components" in r.name
    ]


def test_a_report_is_attached_once_and_what_broke_off_is_completed(
    history: dict[str, dict[str, str]],
    mlflow_server: MlflowServer,
    line: Line,
    excerpt: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[str] = []
    most = 1

    def breaks(number: int, method: str, path: str) -> str:
        if method != "PUT":
            return ""
        if len(sent) == most:
            return "before"
        sent.append(path.rpartition("/")[2])
        return ""

    line.breaks = breaks
    # MLflow's client remembers by which address it first sent a run's artifacts.
    monkeypatch.setattr(utils, "_artifact_repos_cache", OrderedDict())
    assert attach_report(excerpt, line.uri, history["better"]) is None
    (warning,) = warnings_of(caplog)
    assert (
        warning.startswith("attach-report: the report is not in MLflow beside")
        and line.uri in warning
    )
    assert sent == ["report.html"]
    most = 99
    place = attach_report(excerpt, line.uri, history["better"])
    assert place is not None and place == attach_report(excerpt, line.uri, history["better"])
    assert sent == ["report.html", "a.wav", "b.wav"]
    registry = Registry(mlflow_server.uri)
    run_id = registry.find(history["better"]["version"]).run_id
    assert registry.client.get_run(run_id).data.tags["audiostyle.report"] == place
    local = Path(registry.client.download_artifacts(run_id, place, str(tmp_path)))
    for name in ("report.html", "sounds/a.wav", "sounds/b.wav"):
        assert (local / name).read_bytes() == (excerpt / name).read_bytes()


def test_a_registry_that_fails_costs_the_report_in_it_and_no_more(
    history: dict[str, dict[str, str]],
    mlflow_server: MlflowServer,
    line: Line,
    excerpt: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    line.close()
    assert attach_report(excerpt, line.uri, history["first"]) is None
    assert attach_report(excerpt, mlflow_server.uri, {"version": "99"}) is None
    away, none = warnings_of(caplog)
    assert f"model registry {line.uri}" in away
    assert "no such version" in none
    # What is no excerpt is a fault of ours or of the store, and fails.
    (excerpt / "report.html").write_text("changed")
    with pytest.raises(ArtifactError, match="damaged"):
        attach_report(excerpt, mlflow_server.uri, history["first"])


def test_card_on_the_command_line(
    history: dict[str, dict[str, str]],
    mlflow_server: MlflowServer,
) -> None:
    shown = CliRunner().invoke(main, ["models", "card", "2", "--tracking-uri", mlflow_server.uri])
    assert shown.exit_code == 0, shown.output
    for words in ("made, layout `test`", "high (26)", "CC0 (78 clips)", "36 test", "## Limits"):
        assert words in shown.output
    missing = CliRunner().invoke(
        main, ["models", "card", "99", "--tracking-uri", mlflow_server.uri]
    )
    assert (missing.exit_code, "no such version" in missing.output) == (2, True)


def test_what_is_stored_is_what_was_registered(
    history: dict[str, dict[str, str]],
    mlflow_server: MlflowServer,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = Registry(mlflow_server.uri)
    local = registry.download(registry.find("2"), tmp_path)
    ours = network.load(artifacts.opening(local, artifacts.CLASSIFIER).folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    served = mlflow.pytorch.load_model(f"models:/{MODEL}/2")
    x = torch.rand(3, ours.spectrogram.bins, ours.spectrogram.clip_frames)
    np.testing.assert_allclose(served(x).detach(), ours(x).detach(), rtol=1e-4, atol=1e-4)


def test_rollback(history: dict[str, dict[str, str]], mlflow_server: MlflowServer) -> None:
    def rollback() -> str:
        command = ["models", "rollback", "--tracking-uri", mlflow_server.uri]
        return CliRunner().invoke(main, command).output

    assert rollback() == "champion is version 2, no longer 3\n"
    assert rollback() == "champion is version 1, no longer 2\n"
    assert "had no predecessor" in rollback()
    registry = Registry(mlflow_server.uri)
    registry.restore(registry.find("3"))


def test_however_often_it_breaks_off_there_is_one_version(
    history: dict[str, dict[str, str]],
    line: Line,
    clips: Path,
    trained: Path,
    tmp_path: Path,
) -> None:
    made = made_sets.variant(trained, clips, tmp_path / "made", spoilt(0.0, seed=7))
    before = versions(line.uri)
    broken = 0
    while True:
        # Each attempt gets three requests further than the one before.
        last = line.requests + 3 * (broken + 1)
        line.breaks = lambda number, *_, last=last: "before" if number > last else ""
        try:
            told = register(made, clips, line.uri, GATE)
            break
        except AudiostyleError as error:
            broken += 1
            assert line.uri in str(error) and f"kept in {made}" in str(error)
            artifacts.opening(made, artifacts.CLASSIFIER)
    line.breaks = lambda *_: ""
    assert broken >= 5
    assert versions(line.uri) == before + 1
    assert told["verdict"] == "promote"
    digest = artifacts.opening(made, artifacts.CLASSIFIER).digest
    (run,) = runs(line.uri, digest)
    assert run.info.status == "FINISHED"
    client = mlflow.MlflowClient(line.uri)
    epochs = json.loads((made / "metrics.json").read_text())["history"]
    assert len(client.get_metric_history(run.info.run_id, "train_loss")) == len(epochs)
    assert len(run.inputs.dataset_inputs) == 1
    assert register(made, clips, line.uri, GATE) == told
    assert versions(line.uri) == before + 1
    champion = Registry(line.uri).champion()
    assert champion is not None and str(champion.version) == told["version"]
    assert champion.tags["audiostyle.predecessor"] == "3"


def test_an_answer_that_is_lost_makes_no_second_version(
    history: dict[str, dict[str, str]],
    line: Line,
    clips: Path,
    trained: Path,
    tmp_path: Path,
) -> None:
    made = made_sets.variant(trained, clips, tmp_path / "made", spoilt(0.0, seed=8))
    before = versions(line.uri)
    lost: list[str] = []

    def breaks(number: int, method: str, path: str) -> str:
        if path.endswith("model-versions/create") and not lost:
            lost.append(path)
            return "after"
        return ""

    line.breaks = breaks
    register(made, clips, line.uri, GATE)
    assert lost
    assert versions(line.uri) == before + 1


def in_a_process(classifier: Path, clips: Path, uri: str, errors: Path) -> None:
    torch.set_num_threads(1)
    try:
        register(classifier, clips, uri, GATE)
    except BaseException:
        (errors / f"error-{os.getpid()}").write_text(traceback.format_exc())
        raise


def test_sixteen_registrations_at_once_on_a_new_server(
    seaweedfs_server: SeaweedFS,
    empty_database: Path,
    clips: Path,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Eight of one classifier, eight of one each, against four workers on one sqlite database."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    server = MlflowServer(tmp_path, seaweedfs_server, workers=4)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "mlflow.db")) as connection:
        connection.execute("DELETE FROM experiments WHERE name = ?", (EXPERIMENT,))
        connection.commit()
    others = [
        made_sets.variant(
            trained, clips, tmp_path / f"v{n}", spoilt(0.0, seed=n), lambda test: None
        )
        for n in range(100, 108)
    ]
    server.start()
    try:
        codes = warm_processes.ended(
            warm_processes.process(in_a_process, classifier, clips, server.uri, tmp_path)
            for classifier in [trained] * 8 + others
        )
        assert [path.read_text() for path in tmp_path.glob("error-*")] == []
        assert codes == [0] * 16
        registry = Registry(server.uri)
        there = registry.versions()
        digests = [version.tags["audiostyle.digest"] for version in there]
        expected = {artifacts.opening(p, artifacts.CLASSIFIER).digest for p in (trained, *others)}
        assert len(digests) == len(set(digests)) == 9
        assert set(digests) == expected
        assert all("audiostyle.verdict" in version.tags for version in there)
        names = [e.name for e in mlflow.MlflowClient(server.uri).search_experiments()]
        assert names.count(EXPERIMENT) == 1
        assert registry.champion() is not None
    finally:
        server.stop()


def test_a_server_that_starts_anew_is_waited_for(
    history: dict[str, dict[str, str]],
    line: Line,
    clips: Path,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    made = made_sets.variant(trained, clips, tmp_path / "made", spoilt(0.0, seed=9))
    gone = threading.Event()
    gone.set()
    line.breaks = lambda *_: "before" if gone.is_set() else ""
    threading.Timer(2, gone.clear).start()
    assert register(made, clips, line.uri, GATE)["verdict"] == "promote"
    assert line.requests > 3


def test_a_training_outlives_the_server(
    mlflow_server: MlflowServer,
    history: dict[str, dict[str, str]],
    data: Path,
    tmp_path: Path,
) -> None:
    """Killed while a training runs, the server is caught up with later; nothing trains twice."""
    settings = {"train": made_sets.training(epochs=30, patience=30).plain(), "gate": {"floor": 1}}
    (tmp_path / "config.yaml").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pipeline.cli", "train", str(data), "--config", "config.yaml"]
    command += ["--tracking-uri", mlflow_server.uri, "--workspace", "work"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}

    def again(*more: str) -> tuple[list[str], str]:
        """Tasks that kfp ran, and the line of the model."""
        done = subprocess.run(
            [*command, *more], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        lines = [line.split(maxsplit=1) for line in done.stderr.splitlines()]
        ran = [stage for stage, text in lines if text.endswith(" s")]
        return ran, done.stdout.splitlines()[0]

    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    while process.poll() is None and not list(tmp_path.glob("work/checkpoints/*/epoch-*")):
        time.sleep(0.01)
    mlflow_server.stop()
    try:
        output = process.communicate(timeout=DEADLINE)[0].decode()
    finally:
        mlflow_server.start()
    assert process.returncode == 1, output
    last, log = output.splitlines()[-2:]
    assert log.startswith("  in register; log: work/logs/"), output
    assert mlflow_server.uri in last and "the classifier is kept in" in last, output
    before = versions(mlflow_server.uri)
    executed, last = again()
    assert "train" not in executed and "register" in executed
    assert versions(mlflow_server.uri) == before + 1
    # What it came about with has come along from the task that trained.
    made = Registry(mlflow_server.uri).versions()[0]  # numbers of deleted doubles stay unused
    tags = made.tags
    assert tags["audiostyle.torch"] == torch.__version__
    assert tags["audiostyle.device"].startswith("cpu")
    assert tags["audiostyle.image"].startswith("audiostyle-python/train:")
    assert float(tags["audiostyle.seconds"]) > 0
    assert {f"audiostyle.{name}" for name in ("python", "platform", "pipeline_run")} <= set(tags)
    # Of other classes than the champion, it is held; and the same training would be held again.
    assert f"version {made.version}: hold" in last
    executed, last = again("--if-changed")
    assert "train" not in executed and "register" not in executed
    assert f"version {made.version}: unchanged" in last


def test_alexnet_is_a_champion_for_every_method(
    mlflow_server: MlflowServer,
    history: dict[str, dict[str, str]],
    clips: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Registered, loaded from the server, and used by those that need it and those that do not."""
    layers = {"architecture": "alexnet", "channels": (4, 6, 8, 6, 6), "bands": 16}
    train(clips, tmp_path / "alexnet", made_sets.training(network=layers, epochs=2))
    told = register(tmp_path / "alexnet", clips, mlflow_server.uri, GATE)
    at = ["--tracking-uri", mlflow_server.uri]
    promoted = CliRunner().invoke(main, ["models", "promote", told["version"], *at])
    assert promoted.exit_code == 0, promoted.output
    card = CliRunner().invoke(main, ["models", "card", told["version"], *at]).output
    assert "`conv1` … `conv5`" in card

    ours = network.load(tmp_path / "alexnet")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.uri)
    served = mlflow.pytorch.load_model(f"models:/{MODEL}@champion")
    for batch in (1, 3):
        x = torch.rand(batch, ours.spectrogram.bins, ours.spectrogram.clip_frames)
        np.testing.assert_allclose(served(x).detach(), ours(x).detach(), rtol=1e-4, atol=1e-4)

    sounds = [tmp_path / name for name in ("a.wav", "b.wav")]
    for path, sound in zip(sounds, (tone(seconds=1), noise(seconds=1)), strict=True):
        soundfile.write(path, sound, RATE)
    for method in ("default", "notes", "trained", "verma-smith"):
        out = tmp_path / f"{method}.wav"
        line = ["stylize", *map(str, sounds), "-o", str(out), *at, "--method", method]
        done = CliRunner().invoke(main, [*line, "--iterations", "2"])
        assert done.exit_code == 0, done.output
        assert np.isfinite(soundfile.read(out)[0]).all()
