# ruff: noqa: F401, fixtures
"""Runs on a real server: whole, failing, canceled, from the cache, with a pod deleted."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from live_server import (
    ROOT,
    Live,
    Output,
    away,
    champion,
    kubectl,
    live,
    needs_server,
    trained,
)

from audiostyle import audio
from audiostyle.registry import Registry
from audiostyle.store import open_store

pytestmark = needs_server

STAGES = ("preprocess", "train", "register", "stylize", "reconstruct", "attach-report")


def states(output: Output, task: str) -> list[str]:
    """What was said of a task, in order."""
    return re.findall(rf"^\d\d:\d\d:\d\d  {re.escape(task)} +(.+?)$", output.text, re.MULTILINE)


def test_check(live: Live) -> None:
    """`cluster check` finds nothing missing."""
    done = live("cluster", "check", "--allow-tags")
    assert done.code == 0, done.text


def test_upload(live: Live) -> None:
    """A pipeline is uploaded once, also by two at a time."""
    # A label of its own makes it another pipeline than any that was uploaded before.
    arguments = (
        "submit",
        "train",
        f"--data={live.data}",
        "--allow-tags",
        f"--label=live={live.name}",
    )
    with live.begun(*arguments) as one, live.begun(*arguments) as two:
        texts = [process.communicate(timeout=600)[0] for process in (one, two)]
    outputs = [
        Output(process.returncode, text) for process, text in zip((one, two), texts, strict=True)
    ]
    outputs.append(live(*arguments))
    for output in outputs:
        assert live("runs", "cancel", output.run).code == 0, output.text
    versions = [re.findall(r"version (\S+-\S+)", output.text)[-1] for output in outputs]
    assert len(set(versions)) == 1, outputs
    assert "(uploaded)" in texts[0] + texts[1]
    assert "(uploaded)" not in outputs[2].text


def test_whole_run(live: Live, trained: Output) -> None:
    """The whole pipeline on the bundled recordings, at default requests."""
    assert trained.code == 0, trained.text
    for stage in STAGES:
        assert states(trained, stage)[-1] == "succeeded"
    uris = re.findall(r"^Output +(\S+)$", trained.text, re.MULTILINE)
    assert {uri.rpartition("/")[2] for uri in uris} >= {"classifier", "audio", "report", "metrics"}
    assert "executor-logs" not in trained.text
    report = next(uri for uri in uris if uri.endswith("/report"))
    folder, _, name = report.rpartition("/")
    assert b"<html" in (open_store(folder).get(name) or b"")[:5000]


def test_registered(live: Live, trained: Output) -> None:
    """The classifier is registered, and champion."""
    uri = os.environ.get("AUDIOSTYLE_LIVE_MLFLOW")
    if not uri:
        pytest.skip("AUDIOSTYLE_LIVE_MLFLOW is not set")
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "models", "list", f"--tracking-uri={uri}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert "champion" in done.stdout, done


def test_attached(live: Live, trained: Output, tmp_path: Path) -> None:
    """The report and the sounds of three pairs are in MLflow, with the training."""
    uri = os.environ.get("AUDIOSTYLE_LIVE_MLFLOW")
    if not uri:
        pytest.skip("AUDIOSTYLE_LIVE_MLFLOW is not set")
    lines = live("runs", "logs", trained.run, "attach-report").text
    place = re.search(r"attach-report: (reports/\w+) of MLflow's run (\w+), ", lines)
    assert place, lines
    client = Registry(uri).client
    folder = Path(client.download_artifacts(place[2], place[1], str(tmp_path)))
    assert b"<html" in (folder / "report.html").read_bytes()[:5000]
    sounds = list((folder / "sounds").iterdir())
    assert len(sounds) == 3
    assert all(audio.read(path).samples.any() for path in sounds)


@pytest.mark.parametrize("stage", STAGES)
def test_lines(live: Live, trained: Output, stage: str) -> None:
    """The lines of a task that succeeded."""
    done = live("runs", "logs", trained.run, stage)
    assert done.code == 0, done.text
    assert len(done.text.splitlines()) > 1


def test_cache(live: Live, trained: Output) -> None:
    """The same again comes from the cache."""
    done = live.submit(
        "run",
        f"--data={live.data}",
        f"--data-version={live.name}",
        f"--pairs={live.pairs}",
        f"--pairs-version={live.name}",
    )
    assert done.code == 0, done.text
    for stage in ("preprocess", "train", "stylize"):
        assert states(done, stage)[-1] == "succeeded (from the cache)"
    for stage in ("register", "attach-report"):
        assert states(done, stage)[-1] == "succeeded"
    assert "which was there" in live("runs", "logs", done.run, "attach-report").text


def test_no_cache(live: Live, trained: Output) -> None:
    """With --no-cache nothing comes from the cache."""
    done = live.submit("train", f"--data={live.data}", f"--data-version={live.name}", "--no-cache")
    assert done.code == 0, done.text
    for stage in ("preprocess", "train"):
        assert states(done, stage)[-1] == "succeeded"


def test_failing_task(live: Live) -> None:
    """A failed run says its stage and our own error line, and its lines are shown."""
    done = live.submit("train", f"--data={live.folder}/nosuch.zip")
    assert done.code == 1, done.text
    error = "nosuch.zip: there is no such object"
    line = rf"^Failed +preprocess: .*{re.escape(error)}"
    assert re.search(line, done.text, re.MULTILINE), done.text
    assert error in live("runs", "logs", done.run).text


def test_cancel(live: Live) -> None:
    """A canceled run is called canceled; a second cancel says so."""
    arguments = ("submit", "train", f"--data={live.data}", "--allow-tags", "--wait", "--poll=2")
    with live.begun(*arguments, "--no-cache") as process:
        said = live.await_line(process, r"preprocess +(running|pending)")
        run = Output(0, said).run
        assert live("runs", "cancel", run).code == 0
        rest, _ = process.communicate(timeout=300)
    assert process.returncode == 3, said + rest
    assert "Canceled" in rest
    done = live("runs", "cancel", run)
    assert done.code == 0
    assert "has ended" in done.text or "being canceled" in done.text


@pytest.mark.parametrize("missing", ["room", "secret"])
def test_pod_that_waits(live: Live, tmp_path: Path, missing: str) -> None:
    """A pod that cannot start is explained after a minute, and its run can be canceled."""
    settings = yaml.safe_load(live.config.read_text(encoding="utf-8"))
    task = (
        {"cpu": "999"}
        if missing == "room"
        else {"secrets": [{"name": "nosuch", "env": {"A": "a"}}]}
    )
    settings["cluster"]["tasks"] = {"preprocess": task}
    config = tmp_path / "settings.yaml"
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    arguments = ("submit", "train", f"--data={live.data}", "--allow-tags", "--wait", "--poll=2")
    with replace(live, config=config).begun(*arguments, "--no-cache") as process:
        said = live.await_line(process, r"preprocess has waited 60 s for its pod to start")
        if os.environ.get("KUBECONFIG"):
            reason = "Insufficient cpu" if missing == "room" else 'secret "nosuch" not found'
            assert reason in said
        assert live("runs", "cancel", Output(0, said).run).code == 0
        rest, _ = process.communicate(timeout=600)
    assert process.returncode == 3, said + rest


def test_deleted_pod(live: Live, kubectl: Callable[..., str]) -> None:
    """A task whose pod is deleted is done again, once."""
    arguments = ("submit", "train", f"--data={live.data}", "--allow-tags", "--wait", "--poll=2")
    with live.begun(*arguments, "--no-cache") as process:
        said = live.await_line(process, r"train +running")
        run = Output(0, said).run
        name, deleted = _running_pod(kubectl, run)
        kubectl("delete", "pod", name, "--wait=false", "--grace-period=0", "--force")
        rest, _ = process.communicate(timeout=1500)
    assert process.returncode == 0, said + rest
    # By their ids: Argo starts the pod again under its name, or under that of a further attempt.
    others = [pod for pod in _pods(kubectl, run) if pod["metadata"]["uid"] != deleted]
    assert [pod["status"]["phase"] for pod in others] == ["Succeeded"], others


def _running_pod(kubectl: Callable[..., str], run: str) -> tuple[str, str]:
    """Name and id of the pod of a run's task train, when it runs."""
    for _ in range(60):
        for pod in _pods(kubectl, run):
            if pod["status"]["phase"] == "Running":
                return pod["metadata"]["name"], pod["metadata"]["uid"]
        time.sleep(1)
    raise AssertionError("no pod of train")


def _pods(kubectl: Callable[..., str], run: str) -> list[dict[str, Any]]:
    """Pods of a run's task train; the label names the stage, which other tasks run, too."""
    text = kubectl("get", "pods", f"--selector=pipeline/runid={run}", "--output=json")
    return [
        pod
        for pod in json.loads(text)["items"]
        if re.search(
            r"\.train\(\d+\)\.executor",
            pod["metadata"]["annotations"]["workflows.argoproj.io/node-name"],
        )
    ]


@pytest.mark.parametrize("what", ["STORE", "SERVER"])
def test_away(live: Live, what: str) -> None:
    """A run goes on when a server is away for two minutes in the middle."""
    with away(f"AUDIOSTYLE_LIVE_{what}", 120) as take_away:
        arguments = ("submit", "train", f"--data={live.data}", "--allow-tags", "--wait", "--poll=2")
        with live.begun(*arguments, "--no-cache") as process:
            said = live.await_line(process, r"train +(running|pending)")
            take_away()
            rest, _ = process.communicate(timeout=1700)
    assert process.returncode == 0, said + rest
    if what == "SERVER":
        assert "waiting for it" in rest
        assert "answers again" in rest
