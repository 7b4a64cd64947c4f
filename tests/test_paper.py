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


def start(folder: Path, classifier: Path) -> "subprocess.Popen[str]":
    (folder / "docs").mkdir(parents=True, exist_ok=True)
    line = [sys.executable, "-m", "benchmarks.paper", "--tiny", "--classifier", str(classifier)]
    return subprocess.Popen(
        [*line, "--state", str(folder / "state"), "--out", str(folder / "docs")],
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
    for awaited in ("transfer-*", "table-1-*"):
        process = start(broken, classifier)
        while process.poll() is None and not list((broken / "state").glob(awaited)):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=DEADLINE)
        assert not (broken / "docs" / "paper.md").exists()
    pieces = {path: path.stat().st_mtime_ns for path in (broken / "state").glob("transfer-*")}
    assert pieces
    # What a kill may leave behind, and a piece that is damaged.
    damaged = min(pieces)
    damaged.write_bytes(damaged.read_bytes()[:100])
    out, errors = start(broken, classifier).communicate(timeout=2 * DEADLINE)
    assert out.splitlines()[-1].startswith("{"), errors
    assert f"{damaged}: damaged, and computed again" in out
    assert tables(broken) == tables(whole)
    assert {path.stat().st_mtime_ns for path in pieces if path != damaged} <= {*pieces.values()}
