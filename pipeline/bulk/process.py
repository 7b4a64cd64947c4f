"""Processes that work on batches, seen from the caller's side."""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pipeline.bulk.batches import Task

# Seconds for a process to start: importing torch from a cold or a shared disk takes long.
_START = 300.0
_TAIL = 400  # characters of its last words that are told


class Process:
    """One worker.

    task, folder: what it was given, None while it has nothing to do, and where that is worked on.
    soon: what it is to be given next, whose recordings it fetches meanwhile.
    """

    def __init__(self, number: int, folder: Path, threads: int) -> None:
        self.number = number
        self.task: Task | None = None
        self.folder = folder
        self.soon: Task | None = None
        self.since = time.monotonic()
        self.until = self.since + _START
        self.ready = False
        self.heard_at = self.since
        self.warm = False  # has worked: what is compiled and loaded at first use is
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / f"worker-{number}.log"
        there, write = os.pipe()
        self.answers, here = os.pipe()
        os.set_blocking(self.answers, False)
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": str(threads),
            "NUMBA_NUM_THREADS": str(threads),
        }
        try:
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [
                        sys.executable,
                        "-P",  # a folder that a job is started in is no place for its code
                        "-m",
                        "pipeline.bulk.worker",
                        str(there),
                        str(here),
                        str(threads),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(there, here),
                    env=environment,
                    # Ctrl-C is the caller's, who ends this process himself.
                    start_new_session=True,
                )
        finally:
            os.close(there)
            os.close(here)
        self._requests = os.fdopen(write, "w", encoding="utf-8")
        self._held = b""

    @property
    def idle(self) -> bool:
        """Whether it waits for work."""
        return self.ready and self.task is None

    def send(self, task: Task, folder: Path, request: dict[str, Any], limit: float) -> None:
        """Give it a batch, to be done within so many seconds."""
        self._log.write_bytes(b"")
        self.task, self.folder = task, folder
        self.since = time.monotonic()
        self.until = self.since + limit
        with contextlib.suppress(BrokenPipeError):  # it died: its other pipe tells
            self._requests.write(json.dumps(request) + "\n")
            self._requests.flush()

    def heard(self) -> dict[str, Any] | None:
        """Its answer, where a whole one is there. Raises EOFError when it is gone."""
        try:
            found = os.read(self.answers, 1 << 20)
        except BlockingIOError:
            return None
        if not found:
            raise EOFError
        line, end, rest = (self._held + found).partition(b"\n")
        if not end:
            self._held = line
            return None
        self._held = rest
        answer: dict[str, Any] = json.loads(line)
        return answer

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        os.close(self.answers)
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()

    def last_words(self) -> str:
        """How it ended, in a line."""
        code = self._process.wait()
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            lines = []
        said = next((line for line in reversed(lines) if line.strip()), "")[-_TAIL:]
        how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
        return f"its process {how}{f': {said}' if said else ''}"


def waiting(processes: list[Process], seconds: float) -> list[Process]:
    """Those that have said something, or ended, within so many seconds."""
    with selectors.DefaultSelector() as selector:
        for process in processes:
            selector.register(process.answers, selectors.EVENT_READ, process)
        return [key.data for key, _ in selector.select(max(0.0, seconds))]
