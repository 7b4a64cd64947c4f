"""The paper's tables: an interrupted run ends with those of an unbroken one."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import DEADLINE, ROOT


def start(folder: Path, classifier: Path, *more: str) -> "subprocess.Popen[str]":
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    line = [sys.executable, "-m", "benchmarks.paper", "--tiny", "--classifier", str(classifier)]
    return subprocess.Popen(
        [*line, "--state", str(folder / "state"), "--out", str(folder / "docs"), *more],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def tables(folder: Path) -> str:
    """The page without processor times, which no two runs share."""
    text = (folder / "docs" / "paper.md").read_text()
    return re.sub(r"\| [\d.]+ \|$", "| … |", text, flags=re.MULTILINE)


@pytest.mark.slow  # three processes, each of which imports and compiles what measures
def test_an_interrupted_run_ends_with_the_same_tables(classifier: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    out, errors = start(whole, classifier).communicate(timeout=2 * DEADLINE)
    assert out.splitlines()[-1].startswith("{"), errors
    assert json.loads(out.splitlines()[-1])["size"] == "tiny"
    # Inside a row, of which one pair is finished, and inside table 1.
    for awaited, kill in (("transfer-*", signal.SIGTERM), ("table-1-*", signal.SIGKILL)):
        process = start(broken, classifier)
        while process.poll() is None and not list((broken / "state").glob(awaited)):
            time.sleep(0.01)
        if awaited == "table-1-*":  # two at once would remove each other's unfinished files
            process.send_signal(signal.SIGSTOP)
            out, errors = start(broken, classifier).communicate(timeout=DEADLINE)
            assert not out
            assert f"state: {broken / 'state'}: another run computes there" in errors
        process.send_signal(kill)
        process.communicate(timeout=DEADLINE)
        assert not (broken / "docs" / "paper.md").exists()
    pieces = {path: path.stat().st_mtime_ns for path in (broken / "state").glob("transfer-*")}
    assert len(pieces) > 2
    # Pieces that are damaged: one is cut off, and of others a byte has changed.
    cut, *changed = [*sorted(pieces)[:2], *(broken / "state").glob("table-1-*")]
    cut.write_bytes(cut.read_bytes()[:100])
    for path in changed:
        content = path.read_bytes()
        path.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
    out, errors = start(broken, classifier).communicate(timeout=2 * DEADLINE)
    assert out.splitlines()[-1].startswith("{"), errors
    for path in (cut, *changed):
        assert f"{path}: damaged, and computed again" in out
    assert tables(broken) == tables(whole)
    now = {path: path.stat().st_mtime_ns for path in pieces}
    assert {path for path in pieces if now[path] != pieces[path]} == {cut, changed[0]}


@pytest.mark.slow  # a process that imports what measures
def test_weights_are_looked_at_before_anything_is_computed(
    classifier: Path, tmp_path: Path
) -> None:
    process = start(tmp_path, classifier, "--weights", "vgg19=none.safetensors")
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 2
    assert errors.splitlines()[-1].endswith("weights: none.safetensors: does not exist")
    assert not (tmp_path / "state").exists()
