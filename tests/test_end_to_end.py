"""The whole pipeline through its front door: a page, a registered model, a second run."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
from conftest import DEADLINE, ROOT
from json_schemas import validated
from ports import free_port
from warm_processes import audiostyle

from audiostyle.registry import Registry, Version
from components.stylize.networks.stacks import build

pytestmark = pytest.mark.slow

CONFIG = """
train: {epochs: 3, batch: 4, network: {bands: 32, channels: [4, 8, 8, 8]}}
gate: {floor: 1}
stylize: {iterations: 5}
reconstruct: {iterations: 4}
"""
PRETRAINED = "method: pretrained, network: alexnet"


def network_weights(path: Path) -> Path:
    """A file of AlexNet's convolutions, of random weights."""
    stack = build("alexnet")
    safetensors.torch.save_file(stack.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def ran(
    data: Path, pairs: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    here = tmp_path_factory.mktemp("here")
    (here / "config.yaml").write_text(CONFIG)
    return here, again(here, data, pairs)


def again(here: Path, data: Path, pairs: Path, *more: str) -> subprocess.CompletedProcess[str]:
    words = ("--data", data, "--pairs", pairs, "--config", "config.yaml", *more)
    return audiostyle("run", *words, cwd=here)


def shown(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Results by their labels."""
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines())


def executed(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Names of the tasks that ran, rather than came from kfp's cache."""
    lines = [re.fullmatch(r"(\S+) +(\d+ min )?\d+ s", line) for line in done.stderr.splitlines()]
    return [line[1] for line in lines if line]


def test_one_command(ran: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    here, done = ran
    assert done.returncode == 0, done.stdout + done.stderr
    stages = ["preprocess", "train", "register", "stylize", "reconstruct", "attach-report"]
    assert executed(done) == stages
    # A line a stage, and then what came out: all else is in the log.
    assert len(done.stderr.splitlines()) == len(stages)
    results = shown(done)
    assert list(results) == ["Model", "Accuracy", "Registry", "Report", "Log"]
    assert results["Model"].startswith("audio-style-classifier version 1: ")
    assert "(chance 0.333)" in results["Accuracy"]
    assert Path(here, results["Report"]).is_file()
    log = Path(here, results["Log"]).read_text()
    assert "Executing task 'train'" in log and "train: test accuracy" in log
    assert "\x1b" not in log and "\x1e" not in log
    assert {"mono.wav", "stereo.wav"} <= {p.name for p in (here / "outputs/latest").iterdir()}


def test_a_second_run_reuses_what_has_not_changed(
    ran: tuple[Path, subprocess.CompletedProcess[str]], data: Path, pairs: Path, tmp_path: Path
) -> None:
    here, first = ran
    reports = reports_of(here)
    second = again(here, data, pairs)
    assert second.returncode == 0, second.stdout + second.stderr
    assert executed(second) == ["register", "attach-report"]
    assert "train          reused" in second.stderr
    before, now = shown(first), shown(second)
    assert now.pop("Log") != before.pop("Log")
    assert now == before
    # Another recording in place of the style: the classifier stays, the transfer is done anew.
    changed = tmp_path / "pairs"
    shutil.copytree(pairs.parent, changed)
    shutil.copy(changed / "a.wav", changed / "b.flac")
    third = again(here, data, changed / "pairs.csv")
    assert executed(third) == ["register", "stylize", "reconstruct", "attach-report"]
    # The report of the first two is in the registry once, and that of the third beside it.
    assert "which was there" in Path(here, shown(second)["Log"]).read_text()
    assert reports < reports_of(here) and len(reports_of(here)) == len(reports) + 1


def test_a_network_from_elsewhere(
    ran: tuple[Path, subprocess.CompletedProcess[str]], data: Path, pairs: Path
) -> None:
    """Its weights are looked at before the classifier is trained, and are named in the results."""
    here, _ = ran
    weights = network_weights(here / "alexnet.safetensors")
    text = CONFIG.replace("stylize: {", f"stylize: {{{PRETRAINED}, weights: WEIGHTS, ")
    config = ("--config", "network.yaml", "--json")
    (here / "network.yaml").write_text(text.replace("WEIGHTS", "none.safetensors"))
    done = audiostyle("run", "--data", data, "--pairs", pairs, *config, cwd=here)
    assert (done.returncode, executed(done)) == (2, []), done.stderr
    assert "none.safetensors: does not exist" in done.stderr
    (here / "network.yaml").write_text(text.replace("WEIGHTS", weights.name))
    done = audiostyle("run", "--data", data, "--pairs", pairs, *config, cwd=here)
    assert done.returncode == 0, done.stderr
    assert executed(done) == ["register", "stylize", "reconstruct", "attach-report"]
    report = Path(here, json.loads(done.stdout)["report"]).read_text()
    assert "pretrained" in report


def test_how_much_is_shown(
    ran: tuple[Path, subprocess.CompletedProcess[str]], data: Path, pairs: Path
) -> None:
    here, first = ran
    quiet = again(here, data, pairs, "--quiet")
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert list(shown(quiet)) == list(shown(first))
    verbose = again(here, data, pairs, "--verbose", "--json")
    assert "Executing task 'register'" in verbose.stderr
    results = validated("run", verbose.stdout)
    assert results["status"] == "promoted" and results["version"] == 1
    log = Path(here, results["log"]).read_text().splitlines()
    assert [line for line in log if line.strip()] == [
        line for line in verbose.stderr.splitlines() if line.strip()
    ]


def test_two_runs_at_once_in_a_new_workspace(data: Path, pairs: Path, tmp_path: Path) -> None:
    """Both succeed, with one version of the one classifier, and a page."""
    (tmp_path / "config.yaml").write_text(CONFIG)
    command = [sys.executable, "-m", "pipeline.cli", "run", "--data", str(data)]
    command += ["--pairs", str(pairs), "--config", "config.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    # Into files: a pipe that nobody reads meanwhile would stop one of them.
    logs = [tmp_path / f"log-{number}" for number in range(2)]
    processes = [
        subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment,
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
        )
        for log in logs
    ]
    codes = [process.wait(timeout=1800) for process in processes]
    assert codes == [0, 0], [log.read_text() for log in logs]
    listed = audiostyle("models", "list", "--json", cwd=tmp_path)
    assert [version["version"] for version in json.loads(listed.stdout)] == [1], listed.stdout
    assert (tmp_path / "outputs" / "latest" / "report.html").is_file()
    assert not list((tmp_path / "outputs").glob("checkpoints*"))
    assert len(list((tmp_path / "outputs" / "logs").iterdir())) == 2


@pytest.mark.parametrize("kind", ["broken", "few"])
def test_a_first_command_that_fails_leaves_no_more_than_its_log(
    data: Path, tmp_path: Path, kind: str
) -> None:
    bad = tmp_path / "data"
    here = tmp_path / "here"
    here.mkdir()
    if kind == "broken":
        shutil.copytree(data, bad)
        (bad / "train" / "bell" / "broken.wav").write_bytes(b"no audio at all" * 100)
    else:
        for label in ("bell", "reed"):
            (bad / label).mkdir(parents=True)
            shutil.copy(data / "train" / label / f"{label}1.wav", bad / label)
    done = audiostyle("train", bad, cwd=here)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    if kind == "few":  # seen before a stage begins
        assert list(here.iterdir()) == []
        return
    (log,) = [path.relative_to(here) for path in here.rglob("*") if path.is_file()]
    error = done.stderr.splitlines()
    assert error[-3].split()[:2] == ["preprocess", "failed"]
    assert error[-2].startswith(f"train: {bad}")
    assert error[-1] == f"  in preprocess; log: {log}"
    assert sorted(path.name for path in (here / "outputs").iterdir()) == ["logs"]


def test_the_registered_model_is_used(
    ran: tuple[Path, subprocess.CompletedProcess[str]], pairs: Path
) -> None:
    here, _ = ran
    listed = audiostyle("models", "list", cwd=here)
    assert "champion" in listed.stdout.splitlines()[1]
    shown = audiostyle("models", "show", cwd=here)
    assert "models:/audio-style-classifier/1" in shown.stdout
    arguments = ["stylize", pairs.parent / "a.wav", pairs.parent / "b.flac", "-o", "out.wav"]
    for model in ("champion", "1", "models:/audio-style-classifier@champion"):
        done = audiostyle(*arguments, "--model", model, "--config", "config.yaml", cwd=here)
        assert done.returncode == 0, done.stderr
    missing = audiostyle(*arguments, "--model", "77", cwd=here)
    assert missing.returncode == 2
    assert "no such version" in missing.stderr


def test_bad_recordings_in_the_data_are_named(
    ran: tuple[Path, subprocess.CompletedProcess[str]], data: Path, tmp_path: Path
) -> None:
    here, _ = ran
    bad = tmp_path / "data"
    shutil.copytree(data, bad)
    (bad / "train" / "bell" / "broken.wav").write_bytes(b"no audio at all" * 100)
    done = audiostyle("train", bad, "--config", "config.yaml", cwd=here)
    assert done.returncode == 2
    assert "broken.wav: cannot be decoded" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_ui_waits_for_the_registry_and_opens_it(
    ran: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    here, _ = ran
    port = free_port()
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    command = [sys.executable, "-m", "pipeline.cli", "ui", "--port", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "BROWSER": str(browser)}
    process = subprocess.Popen(
        command,
        cwd=here,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        page = process.stdout.readline().strip()
        assert page == f"http://127.0.0.1:{port}/#/models/audio-style-classifier"
        # The address is told when the server answers, not before.
        url = f"http://127.0.0.1:{port}/api/2.0/mlflow/registered-models/search"
        with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
            (model,) = json.load(answer)["registered_models"]
        assert "is the default" in model["description"]
        tags = {tag["key"]: tag["value"] for tag in model["tags"]}
        assert {"champion", "data", "licenses", "balanced accuracy", "verdict"} <= tags.keys()
        until = time.monotonic() + DEADLINE
        while not (tmp_path / "opened").exists():
            assert time.monotonic() < until, "no browser was opened"
            time.sleep(0.1)
        assert (tmp_path / "opened").read_text().strip() == page
        second = subprocess.run(
            command, cwd=here, env=environment, capture_output=True, text=True, check=False
        )
        assert second.returncode == 2
        assert f"port: {port} cannot be used" in second.stderr
    finally:
        os.killpg(process.pid, 15)
        process.wait(DEADLINE)


def champion_of(here: Path) -> tuple[Registry, Version]:
    """The registry of a workspace, and its champion."""
    registry = Registry(f"sqlite:///{here}/outputs/mlflow.db")
    champion = registry.champion()
    assert champion is not None
    return registry, champion


def reports_of(here: Path) -> set[str]:
    """Folders of the reports beside the champion's training."""
    registry, champion = champion_of(here)
    return {each.path for each in registry.client.list_artifacts(champion.run_id, "reports")}


def test_the_registry_has_the_report_and_sounds(
    ran: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    here, _ = ran
    registry, champion = champion_of(here)
    run = registry.client.get_run(champion.run_id)
    accuracy = run.data.metrics["test_balanced_accuracy"]
    assert re.fullmatch(rf"\S+ · \d{{4}}-\d\d-\d\d \d\d:\d\d · {accuracy:.3f}", run.info.run_name)
    place = run.data.tags["audiostyle.report"]
    local = Path(registry.client.download_artifacts(champion.run_id, place, str(tmp_path)))
    assert {path.name for path in local.iterdir()} == {"report.html", "sounds"}
    sounds = sorted((local / "sounds").iterdir())
    assert [sound.name for sound in sounds] == ["mono.wav", "stereo.wav"]
    for sound in sounds:
        assert sound.read_bytes() == (here / "outputs" / "latest" / sound.name).read_bytes()


@pytest.mark.browser
def test_the_report_in_the_registry_plays_by_itself(
    ran: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path, visit: Any
) -> None:
    here, _ = ran
    registry, champion = champion_of(here)
    place = min(reports_of(here))
    page = registry.client.download_artifacts(
        champion.run_id, f"{place}/report.html", str(tmp_path)
    )
    opened = visit(Path(page))
    durations = opened.wait_for_players()
    assert len(durations) == 7 and all(duration > 0 for duration in durations)
    opened.page.locator("#item-1 .play").click()
    opened.wait_for("document.querySelector('#item-1 .card.result audio').currentTime > 0")
    assert opened.complaints == []


@pytest.mark.browser
def test_the_page_plays_in_a_browser(
    ran: tuple[Path, subprocess.CompletedProcess[str]], visit: Any
) -> None:
    here, _ = ran
    opened = visit(here / "outputs" / "latest" / "report.html")
    durations = opened.wait_for_players()
    assert len(durations) == 7  # two pairs, one with a target
    assert all(duration > 0 for duration in durations)
    assert opened.page.locator("img").count() >= 7
    assert opened.complaints == []
