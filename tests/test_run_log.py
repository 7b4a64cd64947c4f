"""The log of a run on this machine, and what of it a person sees."""

import builtins
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from conftest import ROOT
from kfp import dsl

from audiostyle.errors import AudiostyleError, InputError
from pipeline import local
from pipeline.run_display import Display
from pipeline.run_log import recorded


@dsl.component(base_image="python", install_kfp_package=False)  # type: ignore[untyped-decorator]
def fail(kind: str) -> None:
    """End in ways that no stage foresees."""
    import os
    import sys

    from audiostyle.command import task

    with task():
        print("one line of the task", flush=True)
        if kind == "exception":
            raise ZeroDivisionError("nothing foresaw this")
        sys.stderr.write("\x1e[damaged\n")
        os.kill(os.getpid(), 9)


@dsl.pipeline(name="failing")  # type: ignore[untyped-decorator]
def failing(kind: str) -> None:
    fail(kind=kind)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("exception", "ZeroDivisionError: nothing foresaw this"), ("kill", "Killed")],
)
def test_an_error_that_nobody_foresaw_names_stage_and_log(
    tmp_path: Path, kind: str, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AudiostyleError, match=reason) as raised:
        local.run(failing, {"kind": kind}, tmp_path)
    (log,) = (tmp_path / "logs").iterdir()
    first, last = str(raised.value).splitlines()
    assert first.startswith("pipeline: fail: ") and reason in first
    assert last == f"  in fail; log: {log}"
    assert "one line of the task" in log.read_text()
    shown = capfd.readouterr()
    assert shown.out == ""
    assert [line.split()[:2] for line in shown.err.splitlines()] == [["fail", "failed"]]


@dsl.component(base_image="python", install_kfp_package=False)  # type: ignore[untyped-decorator]
def wait(seconds: float) -> None:
    """End later."""
    import time

    time.sleep(seconds)


@dsl.pipeline(name="waiting")  # type: ignore[untyped-decorator]
def waiting() -> None:
    with dsl.ParallelFor([0.5, 2.0]) as seconds:
        wait(seconds=seconds)


def test_tasks_at_a_time_leave_print_as_it_was(tmp_path: Path) -> None:
    """While a task runs, kfp indents what is printed, and then puts back what was there."""
    before = builtins.print
    local.run(waiting, {}, tmp_path, display=Display("quiet"))
    assert builtins.print is before


def test_old_logs_are_deleted_and_nothing_else(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    old = [logs / f"20250101-0000{number:02d}-0a1b2c.log" for number in range(60)]
    others = [logs / "notes.log", logs / "20240101-000000-0a1b2c.log.gz", tmp_path / "mine.log"]
    for path in (*old, *others):
        path.write_text("x")
        os.utime(path, (0, 0))
    link = logs / "20230101-000000-0a1b2c.log"
    link.symlink_to(others[-1])
    folder = logs / "20230101-000001-0a1b2c.log"
    folder.mkdir()
    going_on = old[0]
    os.utime(going_on)
    with recorded(tmp_path, Display("quiet")) as log:
        pass
    assert [path for path in old if path.exists()] == [going_on, *old[11:]]
    assert log.path.exists() and link.is_symlink() and folder.is_dir()
    assert all(path.exists() for path in others)

    # A folder that is a link is somebody's own place.
    elsewhere = tmp_path / "elsewhere"
    logs.rename(elsewhere)
    logs.symlink_to(elsewhere)
    for path in old[11:]:
        os.utime(path.parent.resolve() / path.name, (0, 0))
    for _ in range(3):
        with recorded(tmp_path, Display("quiet")):
            pass
    assert all(path.exists() for path in old[11:])


def test_secrets_stay_out_of_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "open-sesame-5f1c")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "word-of-the-server")
    with recorded(tmp_path, Display("quiet")) as log:
        # In pieces, as print writes.
        print("key", "open-sesame-5f1c", "token word-of-the-server")
        print("from https://anna:geheim@host/a?token=abcdefgh and on\x1b[2J")
    text = log.path.read_text()
    assert text == (
        "key … token …\nfrom https://host/a?token=… and on\\x1b[2J\n" if "@" not in text else text
    )
    for secret in ("open-sesame", "word-of-the-server", "geheim", "abcdefgh", "\x1b"):
        assert secret not in text


def test_a_log_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with (
        pytest.raises(InputError, match=r"workspace: .*logs: no folder for logs: File exists"),
        recorded(tmp_path, Display()),
    ):
        pytest.fail("it began")


PROGRAM = """
from audiostyle.task_events import TaskProgress
from pipeline.run_display import Display
display = Display()
display.begin("train")
display.progress(TaskProgress("train", 3, 10))
display.warning("a class has two clips")
display.progress(TaskProgress("train", 7, 10))
display.end("train", failed=False)
display.reused("stylize")
"""


def test_a_terminal_gets_a_bar_and_a_pipe_gets_lines() -> None:
    command = [sys.executable, "-c", PROGRAM]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    piped = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert piped.stdout == ""
    assert piped.stderr.splitlines() == [
        "warning: a class has two clips",
        "train          0 s",
        "stylize        reused: nothing it depends on has changed",
    ]
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    subprocess.run(command, env=environment, stderr=theirs, check=True)
    os.close(theirs)
    drawn = os.read(ours, 65536).decode()
    os.close(ours)
    assert "3/10" in drawn and "7/10" in drawn and "left" in drawn
    # What stays are the same lines: bars are drawn over.
    lines = [line.rpartition("\r")[2] for line in drawn.replace("\r\n", "\n").split("\n")]
    assert lines == piped.stderr.split("\n")
