"""The log of a run on this machine: what kfp and the tasks write, in a file of the workspace.

kfp writes to standard output and to Python's log, and passes on the lines of tasks indented by
four spaces. Here all of it goes to a file, without secrets, and what of it concerns a person to a
display: that a stage begins and ends, how far it is, and warnings.
"""

import contextlib
import logging
import os
import re
import time
import uuid
from collections.abc import Iterator
from io import TextIOBase
from pathlib import Path
from typing import TextIO

from audiostyle.environment_secrets import hidden
from audiostyle.errors import AudiostyleError, InputError
from audiostyle.progress import LOG_INTERVAL
from audiostyle.task_events import TaskProgress, TaskWarning, event_in
from audiostyle.terminal import printable, say
from pipeline.run_display import Display

_COLOR = re.compile(r"\x1b\[[0-9;]*m")
# kfp's lines that say where a pipeline is (kfp/local/task_dispatcher.py, orchestrator/).
_BEGIN = re.compile(r"Executing task '?([\w-]+)'?$")
_END = re.compile(r"Task '?([\w-]+)'? finished with status (SUCCESS|FAILURE)$")
_CACHED = re.compile(r"Task '?([\w-]+)'? cache hit ")
_INDENT = "    "
# What kfp's executor puts before a line of a task's own log, and what it says itself.
_EXECUTOR = re.compile(r"\[KFP Executor [^\]]*\]: ")
# Logs that stay in a workspace: the newest, and those written to within the last day, which may be
# of runs that go on.
NEWEST = 50
_DAY = 24 * 60 * 60
_NAME = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}\.log")


class RunLog(TextIOBase):
    """A stream that writes a run's lines to a file and shows a person what concerns them.

    stage: the one that runs, or ran last; "" before the first.
    """

    def __init__(self, path: Path, file: TextIO, display: Display) -> None:
        super().__init__()
        self.path = path
        self.stage = ""
        self._file = file
        self._display = display
        self._rest = ""
        self._last_line = ""
        self._next_progress = 0.0

    def write(self, text: str) -> int:
        """Take a piece of what kfp writes."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._take(_COLOR.sub("", line.rstrip("\r")))
        return len(text)

    def flush(self) -> None:
        """Write what is in the file's buffer."""
        if not self._file.closed:
            self._file.flush()

    def error_of(self, stage: str) -> str:
        """The last line that a stage wrote: what it ended with where nobody caught its error."""
        return self._last_line if stage == self.stage else ""

    def _take(self, line: str) -> None:
        try:
            event = event_in(line)
        except ValueError:
            return
        if isinstance(event, TaskProgress):
            self._display.progress(event)
            if time.monotonic() >= self._next_progress:
                self._next_progress = time.monotonic() + LOG_INTERVAL
                self._keep(f"{_INDENT}{event.name}: {event.steps}/{event.total or '?'}")
        elif isinstance(event, TaskWarning):
            # The line of the task's own log, which is kept, says the same.
            self._display.warning(event.text)
        else:
            self._keep(line)
            if line.startswith(_INDENT):
                self._last_line = _EXECUTOR.sub("", line).strip() or self._last_line
            else:
                self._follow(line)

    def _keep(self, line: str) -> None:
        line = hidden(printable(line))
        self._file.write(f"{line}\n")
        self._file.flush()
        self._display.line(line)

    def _follow(self, line: str) -> None:
        if match := _BEGIN.search(line):
            self.stage, self._last_line = match[1], ""
            self._display.begin(match[1])
        elif match := _CACHED.search(line):
            self._display.reused(match[1])
        elif match := _END.search(line):
            self._display.end(match[1], failed=match[2] == "FAILURE")


@contextlib.contextmanager
def recorded(workspace: Path, display: Display) -> Iterator[RunLog]:
    """A log of its own for a run: WORKSPACE/logs/TIME-ID.log. An error that ends the run names it.

    Inside, whatever is printed and logged goes there. Old logs are deleted. Raises InputError where
    no log can be made.
    """
    folder = workspace / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"workspace: {folder}: no folder for logs: {error.strerror}") from None
    path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}.log"
    with path.open("x", encoding="utf-8", errors="backslashreplace") as file:
        _delete_old(folder)
        log = RunLog(path, file, display)
        try:
            with contextlib.redirect_stdout(log), _logged_to(log):
                yield log
        except AudiostyleError as error:
            display.stop(failed=True)
            where = f"in {log.stage}; log: {path}" if log.stage else f"log: {path}"
            kind = InputError if error.exit_code == InputError.exit_code else AudiostyleError
            raise kind(f"{error}\n  {where}") from error.__cause__
        except BaseException:
            say(f"Log       {path}", error=True)
            raise
        finally:
            display.stop(failed=False)


def _delete_old(folder: Path) -> None:
    """Delete logs beyond the newest `NEWEST`. Links and files of other names stay."""
    if folder.is_symlink():
        return
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        names = sorted(
            entry.name
            for entry in entries
            if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
        )
        for name in names[:-NEWEST]:
            # Another run may delete the same ones.
            with contextlib.suppress(OSError):
                if time.time() - (folder / name).lstat().st_mtime > _DAY:
                    (folder / name).unlink()


@contextlib.contextmanager
def _logged_to(log: RunLog) -> Iterator[None]:
    """Python's log as lines of a run's log, instead of where it went before."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("%(asctime)s - %(levelname)s - %(message)s"))
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers[:] = before
        root.setLevel(level)
