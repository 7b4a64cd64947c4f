"""Runs that are followed, shown, explained and canceled, by the command line."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from cluster_fixtures import (  # noqa: F401, fixtures
    alone,
    audiostyle,
    standin,
)
from standin import SUCCESS, Fault, StandIn

from pipeline.cluster import canceled_runs

# A command compiles a pipeline in a process of its own.
pytestmark = pytest.mark.slow

Cli = Callable[..., Result]
TRAIN = (
    "submit",
    "train",
    "--data=s3://bucket/data.zip",
    "--tracking-uri=http://mlflow:5000",
    "--poll=0.1",
)
FAILED = [*SUCCESS[:2], {"": "FAILED", "preprocess": "SUCCEEDED", "train": "FAILED"}]


def test_waiting_says_every_change_once(audiostyle: Cli, standin: StandIn) -> None:
    standin.script = [
        *SUCCESS[:2],
        {"": "RUNNING", "preprocess": "CACHED", "train": "WAITING"},
        {"": "RUNNING", "preprocess": "CACHED", "train": "RUNNING"},
        SUCCESS[-1] | {"preprocess": "CACHED"},
    ]
    done = audiostyle(*TRAIN, "--wait", "--pipeline-root=s3://bucket/root")
    assert done.exit_code == 0, done.output
    said = [line.split(maxsplit=2)[1:] for line in done.output.splitlines() if line[2:3] == ":"]
    assert [text for name, text in said if name == "run"] == ["pending", "running", "succeeded"]
    assert [text for name, text in said if name == "train"] == ["pending", "running", "succeeded"]
    assert [text for name, text in said if name == "preprocess"] == [
        "running",
        "succeeded (from the cache)",
    ]
    # Nothing of the root, drivers, attempts and entries without a name.
    assert {name for name, _ in said} == {"run", "train", "preprocess"}
    (run,) = standin.runs
    assert f"s3://bucket/root/audiostyle-training/{run}/" in done.output
    assert done.output.rstrip().endswith(f"/#/runs/details/{run}")


def test_every_shard_is_shown(audiostyle: Cli, standin: StandIn) -> None:
    names = [f"bulk[{n}]" for n in range(30)]
    standin.script = [
        {"": "RUNNING", "fetch": "SUCCEEDED", **dict.fromkeys(names, "RUNNING")},
        {"": "SUCCEEDED", "fetch": "SUCCEEDED", **dict.fromkeys(names, "SUCCEEDED")},
    ]
    done = audiostyle(*TRAIN, "--wait")
    for name in names:
        assert done.output.count(f"{name:20}  succeeded\n") == 1
    (run,) = standin.runs
    standin.logs = {"bulk[0]": "zero\n", "bulk[7]": "seven\n"}
    assert audiostyle("runs", "logs", run, "bulk[7]").output.endswith("seven\n")


def bucket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, standin: StandIn, files: dict[str, str]
) -> None:
    """A folder stands for the bucket: the layout is the launcher's, the listing the store's."""
    from audiostyle.store import open_store

    monkeypatch.setattr(
        "pipeline.cluster.logs.open_store",
        lambda uri: open_store(tmp_path / uri.removeprefix("s3://")),
    )

    def launched(server: StandIn, operation: str) -> None:
        for run, (name, text) in itertools.product(server.runs, files.items()):
            path = tmp_path / f"bucket/root/audiostyle-training/{run}/{name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    standin.on_request = launched


@pytest.mark.parametrize("listed", [True, False])
def test_the_ends_of_shards_are_shown_when_the_server_stops_to_tell(
    audiostyle: Cli,
    standin: StandIn,
    listed: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Over 1 MiB of a Workflow's status its details stay as they were; the run goes on."""
    monkeypatch.setattr("pipeline.cluster.run_status._STILL", 0.05)
    monkeypatch.setattr("pipeline.cluster.run_status._SETTLING", 0.05)
    frozen = {"fetch": "SUCCEEDED", "bulk[0]": "SUCCEEDED", "bulk[1]": "RUNNING"}
    standin.script = [{"": "RUNNING", **frozen}] * 5 + [{"": "SUCCEEDED", **frozen}]
    root: tuple[str, ...] = ()
    if listed:
        # Shard 2 was begun after the server had stopped.
        files = {f"bulk/u{n}/executor-logs-0": f"shard {n} of 3\nhello {n}\n" for n in range(3)}
        bucket(tmp_path, monkeypatch, standin, files)
        root = ("--pipeline-root=s3://bucket/root",)
    done = audiostyle(*TRAIN, "--wait", *root)
    assert done.exit_code == 0, done.output
    for shard in range(3 if listed else 2):
        assert done.output.count(f"{f'bulk[{shard}]':20}  succeeded\n") == 1, done.output
    said = [line for line in done.output.splitlines() if line[2:3] == ":"]
    assert said[-1].endswith("run                   succeeded")
    if listed:
        (run,) = standin.runs
        lines = audiostyle("runs", "logs", run, "bulk[2]")
        assert lines.exit_code == 0, lines.output
        assert "hello 2" in lines.output


def test_outputs_are_named_where_they_can_be_listed(
    audiostyle: Cli, standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"train/1-2-3/classifier/manifest.json": "{}", "train/1-2-3/executor-logs-0": "hello"}
    bucket(tmp_path, monkeypatch, standin, files)
    done = audiostyle(*TRAIN, "--wait", "--pipeline-root=s3://bucket/root")
    (run,) = standin.runs
    folder = f"s3://bucket/root/audiostyle-training/{run}"
    assert f"Output    {folder}/train/1-2-3/classifier\n" in done.output
    assert "executor-logs" not in done.output


@pytest.mark.parametrize("place", ["bucket", "archive", "pod", "interface", "nowhere"])
def test_a_failure_is_explained_by_its_task_and_its_error(
    audiostyle: Cli,
    standin: StandIn,
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    standin.script = FAILED
    text = "hello\nerror: the abacus is broken\nbye\n"
    if place == "bucket":
        # Of two attempts the second counts.
        files = {"train/1/executor-logs-0": "error: first\n", "train/1/executor-logs-1": text}
        bucket(tmp_path, monkeypatch, standin, files)
    elif place != "nowhere":
        standin.logs_at, standin.logs = (place,), {"train": text}
    done = audiostyle(*TRAIN, "--wait", "--pipeline-root=s3://bucket/root")
    assert done.exit_code == 1
    (run,) = standin.runs
    logs = audiostyle("runs", "logs", run)
    shown = audiostyle("runs", "show", run).output
    if place == "nowhere":
        assert "train: failed, and left no error" in done.output
        assert "describe pods --selector workflows.argoproj.io/workflow=audio" in done.output
        assert logs.exit_code == 2
        assert "no lines of train" in logs.output
    else:
        assert "Failed    train: the abacus is broken\n" in done.output
        assert "error    train: the abacus is broken\n" in shown
        assert logs.output.endswith(text)


def test_the_ends_of_tasks_may_be_told_after_that_of_the_run(
    audiostyle: Cli, standin: StandIn
) -> None:
    standin.script = [
        {"": "RUNNING", "train": "RUNNING"},
        {"": "FAILED", "train": "RUNNING"},
        {"": "FAILED", "train": "FAILED"},
    ]
    standin.logs["train"] = "error: the abacus is broken\n"
    done = audiostyle(*TRAIN, "--wait")
    assert done.exit_code == 1
    assert "Failed    train: the abacus is broken" in done.output
    said = [line for line in done.output.splitlines() if line[2:3] == ":"]
    assert [line.split()[1:] for line in said[-2:]] == [["train", "failed"], ["run", "failed"]]


def test_a_launcher_that_failed_is_cited(audiostyle: Cli, standin: StandIn) -> None:
    standin.script = [{"": "FAILED", "train": "FAILED"}]
    chain = "failed to execute component: " + "x" * 900 + ": NoSuchBucket"
    standin.logs["train"] = f"I1126 03:44:15.3 14 launcher.go:1] publish success.\n\
F1126 03:44:15.412194      14 main.go:59] {chain}\n"
    done = audiostyle(*TRAIN, "--wait")
    assert done.exit_code == 1
    (line,) = [each for each in done.output.splitlines() if each.startswith("Failed ")]
    assert "train: kfp's launcher failed to execute component: x" in line
    assert line.endswith("NoSuchBucket")
    assert len(line) < 500


def test_a_driver_that_failed_is_named(audiostyle: Cli, standin: StandIn) -> None:
    standin.script = [{"": "FAILED", "preprocess": "DRIVER"}]
    done = audiostyle(*TRAIN, "--wait")
    assert done.exit_code == 1
    assert "preprocess: Kubeflow could not prepare it (its driver failed)" in done.output


def test_a_run_without_tasks_is_explained(audiostyle: Cli, standin: StandIn) -> None:
    standin.script = [{"": "FAILED"}]
    done = audiostyle(*TRAIN, "--wait")
    assert done.exit_code == 1
    assert "no task of it failed" in done.output


def test_what_does_not_pass_is_given_up(audiostyle: Cli, standin: StandIn) -> None:
    standin.faults = [Fault("run_service_get_run", 503, times=999)]
    done = audiostyle(*TRAIN, "--wait")
    assert done.exit_code == 1
    assert done.output.count("waiting for it") == 1
    assert "answers 503: out of order (5 attempts)" in done.output
    assert "goes on" in done.output


def test_a_server_that_is_upgraded_is_waited_for(audiostyle: Cli, standin: StandIn) -> None:
    standin.faults = [Fault("run_service_get_run", 503, times=7)]
    done = audiostyle(*TRAIN, "--wait")
    assert done.exit_code == 0, done.output
    assert done.output.count("waiting for it") == 1
    assert done.output.count("answers again") == 1


def test_a_pod_that_waits_is_remarked_once(
    audiostyle: Cli, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.cluster.run_status.SILENCE", 0.05)
    waiting = {"": "RUNNING", "preprocess": "SUCCEEDED", "train": "WAITING"}
    standin.script = [waiting] * 5 + [SUCCESS[-1]]
    done = audiostyle(*TRAIN, "--wait")
    assert done.output.count("train has waited") == 1
    assert "kubectl --namespace kubeflow describe pods --selector" in done.output


@pytest.mark.parametrize("noted", [True, False])
def test_a_canceled_run_is_called_canceled(
    audiostyle: Cli, standin: StandIn, noted: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The server calls it failed; its history keeps that it was canceled only sometimes."""
    standin.script = [{"": "RUNNING", "train": "RUNNING"}]

    def cancel(server: StandIn, operation: str) -> None:
        if operation == "run_service_get_run" and server.count(operation) == 2:
            (run,) = server.runs.values()
            if noted:
                server._set_state(run, "CANCELING")
            else:
                canceled_runs.remember(run["run_id"])  # as `runs cancel` does
                server.run_service_terminate_run(run["run_id"])

    standin.on_request = cancel
    done = audiostyle(*TRAIN, "--wait")
    assert done.exit_code == 3, done.output
    assert "Canceled" in done.output and "Failed" not in done.output
    (run,) = standin.runs
    assert standin.runs[run]["state"] == "FAILED"
    assert " canceled " in audiostyle("runs", "list").output
    assert "canceled" in audiostyle("runs", "show", run).output
    done = audiostyle("runs", "cancel", run)
    assert done.exit_code == 0
    assert "has ended (failed)" in done.output
    # On another machine, without Kubernetes, what the server says is all.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    assert (" canceled " in audiostyle("runs", "list").output) == noted


def test_cancel_twice_and_after_the_end(audiostyle: Cli, standin: StandIn) -> None:
    standin.script = [{"": "RUNNING", "train": "RUNNING"}]
    audiostyle(*TRAIN)
    (run,) = standin.runs
    assert "canceling" in audiostyle("runs", "cancel", run).output
    assert canceled_runs.remembered() == [run]
    standin.lost.add(run)  # its Workflow is gone: the server leaves it as it was
    done = audiostyle("runs", "cancel", run)
    assert done.exit_code == 0
    assert "being canceled" in done.output
    assert standin.count("run_service_terminate_run") == 1


@pytest.mark.parametrize("kind", ["lost", "drop", 503])
def test_a_cancelation_whose_answer_is_lost(
    audiostyle: Cli, standin: StandIn, kind: int | str
) -> None:
    standin.script = [{"": "RUNNING", "train": "RUNNING"}]
    audiostyle(*TRAIN)
    (run,) = standin.runs
    standin.lost.add(run)
    standin.faults = [Fault("run_service_terminate_run", kind)]
    done = audiostyle("runs", "cancel", run)
    assert done.exit_code == (0 if kind == "lost" else 1)
    assert standin.runs[run]["state"] == ("CANCELING" if kind == "lost" else "PENDING")


def test_runs_are_listed_newest_first_over_pages(audiostyle: Cli, standin: StandIn) -> None:
    for number in range(5):
        assert audiostyle(*TRAIN, f"--name=number-{number}").exit_code == 0
    lines = audiostyle("runs", "list", "--limit=4").output.splitlines()
    assert [line.split()[-1] for line in lines[1:]] == [f"number-{n}" for n in (4, 3, 2, 1)]
    assert len(audiostyle("runs", "list", "--experiment=audiostyle").output.splitlines()) == 6
    assert audiostyle("runs", "list", "--experiment=other").exit_code == 2


def test_a_run_is_shown_and_its_lines(audiostyle: Cli, standin: StandIn) -> None:
    standin.script = [FAILED[-1]]
    standin.logs = {"preprocess": "préparé\n", "train": "one\nerror: two"}
    audiostyle(*TRAIN, "--name=mine")
    (run,) = standin.runs
    shown = audiostyle("runs", "show", run).output
    assert "name     mine" in shown
    assert "train: two" in shown
    assert "data: s3://bucket/data.zip" in shown
    assert audiostyle("runs", "logs", run).output.endswith("one\nerror: two\n")
    assert "préparé" in audiostyle("runs", "logs", run, "preprocess").output
    done = audiostyle("runs", "logs", run, "dance")
    assert done.exit_code == 2
    assert "preprocess, train" in done.output


def test_a_task_from_the_cache_has_no_lines(audiostyle: Cli, standin: StandIn) -> None:
    standin.script = [{"": "SUCCEEDED", "preprocess": "CACHED", "train": "SUCCEEDED"}]
    audiostyle(*TRAIN)
    (run,) = standin.runs
    done = audiostyle("runs", "logs", run, "preprocess")
    assert done.exit_code == 2
    assert "taken from the cache" in done.output
