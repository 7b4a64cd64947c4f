"""An output folder in which others have put links, rows and locks; and clocks that are wrong."""

import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bulk_jobs import arguments, bulk, counts, results, rows_of, started, write_csv
from conftest import DEADLINE, ROOT
from seaweedfs import BUCKET, SeaweedFS
from test_bulk_sources import state

from audiostyle.artifacts import digest_of
from audiostyle.store import open_store
from pipeline.bulk.ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm_workers")]


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A folder that is nobody's business."""
    folder = tmp_path / "precious"
    (folder / "inner").mkdir(parents=True)
    (folder / "thesis.txt").write_text("years of work\n")
    (folder / "inner" / "song.wav").write_bytes(b"a song")
    return folder


def _scratch(out: Path) -> str:
    return f"bulk-{digest_of([str(out), 0, 1])[:16]}"


def _plant(out: Path, precious: Path, where: str) -> None:
    """A link at a place of the output folder where the job writes, deletes or reads."""
    name = where.format(scratch=_scratch(out))
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    is_file = path.suffix in (".jsonl", ".json", ".wav", ".html", ".webp")
    path.symlink_to(precious / "thesis.txt" if is_file else precious)


@pytest.mark.parametrize(
    "where",
    [
        ".audiostyle",
        ".audiostyle/{scratch}",
        ".audiostyle/{scratch}/checkpoints",
        ".audiostyle/{scratch}/report",
        ".audiostyle/{scratch}/call-1-0",
        ".audiostyle/rates.json",
        ".audiostyle/lock-0-of-1-000000001.json",
        "results.jsonl",
        "item-0.wav",
        "report.html",
        "report-embedded.html",
        "pictures",
        "pictures/1-content.webp",
        "media",
    ],
)
def test_no_link_leads_elsewhere(
    where: str, clips: Path, classifier: Path, tmp_path: Path, precious: Path
) -> None:
    out = tmp_path / "out"
    _plant(out, precious, where)
    before = state(precious)
    given = arguments(write_csv(tmp_path / "m.csv", rows_of(clips, 1)), out, classifier, clips)
    done = bulk(*given, "--report", 1)
    assert state(precious) == before
    assert "Traceback" not in done.output
    # What cannot be replaced is named; all else is done all the same.
    if done.exit_code:
        assert done.exit_code == 2
        assert str(out) in done.stderr
        assert "audiostyle" in where or "results" in where
    else:
        assert counts(done) == (0, 1, 0)
        assert not (out / "item-0.wav").is_symlink()


def test_a_hard_link_to_anothers_rows(
    clips: Path, classifier: Path, tmp_path: Path, precious: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "results.jsonl").hardlink_to(precious / "thesis.txt")
    before = state(precious)
    given = arguments(write_csv(tmp_path / "m.csv", rows_of(clips, 1)), out, classifier, clips)
    done = bulk(*given)
    assert counts(done) == (0, 1, 0), done.output
    assert state(precious) == before
    assert set(results(out)) == {"item-0"}


ROW = {"id": "item-0", "output": "item-0.wav", "bytes": 5, "key": "ab" * 32, "finished": "2026"}
LINES = {
    "no status": json.dumps(ROW),
    "another status": json.dumps({**ROW, "status": "maybe"}),
    "brackets": "[" * 200_000,
    "braces": '{"a":' * 200_000,
    "a number of a million digits": "9" * 1_000_000,
    "no object": "[1, 2]",
    "null": "null",
    "a NUL": "\0" * 1000,
    "no text": "\udcff\udcfe",
    "wrong types": json.dumps({**ROW, "status": "done", "bytes": "5", "finished": 1}),
    "true for a number": json.dumps({**ROW, "status": "done", "bytes": True}),
    "a huge number": json.dumps({**ROW, "status": "done", "sequence": 10**40}),
    "infinite": json.dumps({**ROW, "status": "done", "bytes": 1e999}),
    "measures": json.dumps({**ROW, "status": "done", "measures": {"a": [1]}}),
    "losses": json.dumps({**ROW, "status": "done", "losses": 3}),
    "settings": json.dumps({**ROW, "status": "done", "settings": "none"}),
    "a key that is none": json.dumps({**ROW, "status": "done", "key": "xyz"}),
    "an id that leads elsewhere": json.dumps({**ROW, "id": "../x", "status": "done"}),
    "an output that does": json.dumps({**ROW, "status": "done", "output": "../x.wav"}),
    "a long line": json.dumps({**ROW, "error": "x" * 5_000_000}),
    "a steering one": json.dumps({**ROW, "id": "\x1b[2J\u202e", "status": "done"}),
}


def test_rows_that_are_none_are_named(clips: Path, classifier: Path, tmp_path: Path) -> None:
    """All of them at once, and then each by itself: the job goes on and its rows are whole."""
    given = arguments(
        write_csv(tmp_path / "m.csv", rows_of(clips, 1)), tmp_path / "out", classifier, clips
    )
    out = tmp_path / "out"
    out.mkdir()
    text = "".join(f"{line}\n" for line in LINES.values())
    (out / "results.jsonl").write_text(text, errors="surrogateescape")
    process = started(given)
    printed = process.communicate(timeout=DEADLINE)[0]
    assert process.returncode == 0, printed
    assert "Traceback" not in printed
    assert "\x1b[2J" not in printed
    for number in (1, 2, 3):
        assert f"{out}/results.jsonl: line {number} is no row: " in printed
    assert "more lines are no rows" in printed
    assert set(results(out)) == {"item-0"}
    # Nothing that was there is lost: somebody may have kept other things under this name.
    (before,) = (out / ".audiostyle").glob("replaced-*-results.jsonl")
    assert before.read_text(errors="surrogateescape").startswith(text)
    row = (out / "results.jsonl").read_text()
    for name, line in LINES.items():
        (out / "results.jsonl").write_text(f"{row}{line}\n", errors="surrogateescape")
        done = bulk(*given)
        assert counts(done) == (1, 0, 0), (name, done.output)
        assert (out / "results.jsonl").read_text() == row, name


@pytest.mark.parametrize("name", ["results.jsonl", ".audiostyle/rates.json", ".audiostyle/lock"])
def test_a_pipe_where_a_file_is_read(
    name: str, clips: Path, classifier: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    path = out / ("lock-0-of-1-000000001.json" if name.endswith("lock") else name)
    path = path if not name.endswith("lock") else out / ".audiostyle" / path.name
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    given = arguments(write_csv(tmp_path / "m.csv", rows_of(clips, 1)), out, classifier, clips)
    process = started(given)
    text = process.communicate(timeout=DEADLINE)[0]  # it does not wait for a writer
    assert process.returncode in (0, 2), text
    assert "Traceback" not in text
    assert process.returncode == 0 or str(path) in text


def test_the_last_row_counts_whatever_its_clock_said(
    clips: Path, classifier: Path, tmp_path: Path
) -> None:
    """Of a failure an hour ahead, the success that follows counts; likewise the other way round."""
    out = tmp_path / "out"
    rows = rows_of(clips, 2)
    shutil.copy(clips / "c0.wav", tmp_path / "c.wav")
    rows[0]["content"] = str(tmp_path / "c.wav")
    given = arguments(write_csv(tmp_path / "m.csv", rows), out, classifier, clips)
    (tmp_path / "c.wav").write_text("no audio")
    later = "import datetime, time\n" + _CLOCK.format(seconds=3600)
    first = _with_clock(later, given)
    assert "1 done now, 1 set aside" in first
    shutil.copy(clips / "c0.wav", tmp_path / "c.wav")
    assert "1 done before, 1 done now, 0 set aside" in _with_clock("", given)
    for seconds in (0, -86_400, 86_400, 10**9):
        clock = "import datetime, time\n" + _CLOCK.format(seconds=seconds)
        assert "2 done before, 0 done now, 0 set aside" in _with_clock(clock, given)
    assert {row["status"] for row in results(out).values()} == {"done"}


_CLOCK = """
_time, _datetime = time.time, datetime.datetime
time.time = lambda: _time() + {seconds}
class _Moved(_datetime):
    @classmethod
    def now(cls, tz=None):
        return _datetime.fromtimestamp(time.time(), tz)
datetime.datetime = _Moved
"""


def _with_clock(clock: str, given: list[str]) -> str:
    """The command in a process whose clock is another; returns what it printed."""
    program = f"{clock}\nimport sys\nfrom pipeline.cli import main\nmain(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", program, *given],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


@pytest.mark.parametrize("when", ["after the last batch"])
def test_a_lost_lock_ends_the_call_before_it_touches_anything(
    when: str, clips: Path, classifier: Path, tmp_path: Path
) -> None:
    """Another call takes over while the last batch is worked on: nothing of its is touched."""
    out = tmp_path / "out"
    rows = rows_of(clips, 2)
    given = arguments(write_csv(tmp_path / "m.csv", rows), out, classifier, clips)
    process = started([*given, "--report", "2"])
    until = time.monotonic() + DEADLINE
    while not list(out.glob(".audiostyle/bulk-*/call-*")) and time.monotonic() < until:
        assert process.poll() is None
        time.sleep(0.005)
    # The next holder's lock, and what it has in the folder that both share.
    (scratch,) = (out / ".audiostyle").glob("bulk-*")
    (scratch / "call-2-0").mkdir()
    (scratch / "call-2-0" / "theirs").write_text("theirs")
    lock = json.loads((out / ".audiostyle" / "lock-0-of-1-000000001.json").read_text())
    theirs = {**lock, "owner": "0" * 32}
    (out / ".audiostyle" / "lock-0-of-1-000000002.json").write_text(json.dumps(theirs))
    text = process.communicate(timeout=DEADLINE)[0]
    assert process.returncode == 1, text
    assert "another call took over" in text
    assert (scratch / "call-2-0" / "theirs").read_text() == "theirs"
    assert not (out / "report.html").exists()
    assert not json.loads((out / ".audiostyle" / "lock-0-of-1-000000002.json").read_text())[
        "released"
    ]


def test_rows_of_several_objects_count_by_their_number(
    tmp_path: Path, seaweedfs: SeaweedFS
) -> None:
    """In a bucket too, whatever the names of the objects say."""
    uri = f"s3://{BUCKET}/numbers #1"
    ledger = Ledger(uri)
    ledger.load()
    base = {"id": "a", "status": "failed", "output": "", "bytes": 0, "key": "", "finished": ""}
    ahead = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    ledger.append([{**base, "finished": ahead, "error": "x"}])
    ledger.append([{**base, "status": "done", "output": "a.wav", "bytes": 1, "key": "ab" * 32}])
    open_store(uri).put("a.wav", b"1")
    again = Ledger(uri)
    again.load()
    assert again.done("a") is not None
    again.compact(tmp_path / "rows")
    rows = (open_store(uri).get("results.jsonl") or b"").splitlines()
    assert [json.loads(row)["status"] for row in rows] == ["done"]
    assert not list(open_store(f"{uri}/.audiostyle").list("rows"))
