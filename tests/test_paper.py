"""The paper's tables: an interrupted run ends with those of an unbroken one."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import DEADLINE, ROOT

from audiostyle.errors import InputError
from benchmarks.paper.page import page
from benchmarks.paper.results import Results, saved


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
    figures = saved(whole / "docs" / "data")[0]
    assert (figures.size, len(figures.rows), len(figures.table_1)) == ("tiny", 3, 4)
    assert [row.steps for row in figures.rows] == [2, 2, 1]
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
        assert not list((broken / "docs").rglob("*.*"))
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
    # A smaller run leaves the page and the pictures to the larger one's figures.
    docs = broken / "docs"
    results("scaled", note="A note on the scaled run.").save(docs / "data")
    pictures = {path: path.stat().st_mtime_ns for path in (docs / "pictures").iterdir()}
    assert len(pictures) == 4
    out, errors = start(broken, classifier, "--finished", "--note", "Twice.").communicate(
        timeout=DEADLINE
    )
    assert json.loads(out.splitlines()[-1])["size"] == "tiny", errors
    assert json.loads((docs / "data" / "paper-tiny.json").read_text())["note"] == "Twice."
    shown = tables(broken)
    assert "A note on the scaled run." in shown and "Twice." not in shown
    assert pictures == {path: path.stat().st_mtime_ns for path in (docs / "pictures").iterdir()}


def results(size: str, **more: Any) -> Results:
    """Figures in which `trained` is ahead of the others in gain, and no other measure is known."""
    rows = [
        {"system": name, "start": "content", "iterations": 2000, "figures": {"gain_mean": gain}}
        for name, gain in (("trained", 0.25), ("shallow", 0.125), ("base", -0.0625))
    ]
    values = {"size": size, "filters": 16, "divisor": 1, "rows": rows, **more}
    return Results.parse(values, size)


def test_the_page_has_the_figures_of_both_sizes(tmp_path: Path) -> None:
    small = results(
        "scaled",
        divisor=10,
        table_1={"10000": 8, "12000": 7, "15000": 6.5, "20000": 4},
        missing=["base from noise"],
    )
    large = small.plain() | {"size": "full", "divisor": 1, "filters": 4096, "note": "A *note*."}
    large |= {"table_1": {10_000: 100}, "missing": []}
    large["rows"][0] |= {"steps": 261.4, "figures": {"gain_mean": -0.5, "seconds": 3.8337}}
    for each in (small, Results.parse(large, "full"), results("tiny")):
        each.save(tmp_path)
    runs = saved(tmp_path)
    assert [run.size for run in runs] == ["full", "scaled"]
    text = page(runs)
    full, scaled = text.index("### At the paper's size"), text.index("### Scaled down")
    row = f"| trained | content | 261 (2,000) | -0.500 |{' not measured |' * 4} 3.8 |"
    assert full < text.index(row) < text.index("A *note*.") < scaled
    assert scaled < text.index("| trained | content | at most 2,000 | 0.250 |")
    assert scaled < text.index("without figures: base from noise.")
    order = "| trained > shallow > base (the paper) | content | mean gain, more is better |"
    ranks = "shallow 0.125, base -0.062, trained -0.500"
    assert f"{order} {ranks} | **does not hold** | **holds** |" in text
    assert (
        "| here 0.500, the paper 0.620 (scaled down) | no figures | **holds** |" in text
    )  # the fall of table 1
    assert "| 10,000 | 130.50 | 1.000 | 100.00 | 1.000 | 8.00 | 1.000 |" in text
    assert "| 20,000 | 80.91 | 0.620 | not finished |  | 4.00 | 0.500 |" in text
    assert "At the paper's size, the table is not finished." in text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not YAML"),
        ('{"size": "scaled", "filters": 1, "divisor": 1, "rows": []}', "size: must be full"),
        ('{"size": "full", "divisor": 1, "rows": []}', "filters"),
    ],
)
def test_figures_that_are_damaged_are_refused_by_name(
    text: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "paper-full.json").write_text(text)
    with pytest.raises(InputError, match=f"{tmp_path / 'paper-full.json'}: .*{reason}"):
        saved(tmp_path)


@pytest.mark.slow  # a process that imports what measures
def test_weights_are_looked_at_before_anything_is_computed(
    classifier: Path, tmp_path: Path
) -> None:
    process = start(tmp_path, classifier, "--weights", "vgg19=none.safetensors")
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 2
    assert errors.splitlines()[-1].endswith("weights: none.safetensors: does not exist")
    assert not (tmp_path / "state").exists()
