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

from pipeline.bulk.plan import Batch

# Seconds for a process to start: importing torch from a cold or a shared disk takes long.
_START = 300.0
_TAIL = 400  # characters of its last line that an error repeats


class Process:
    """One worker.

    batch, folder: what it works on, None while it has nothing to do, and where.
    soon: the batch after that, whose recordings it fetches meanwhile.
    """

    def __init__(self, number: int, folder: Path, threads: int) -> None:
        self.number = number
        self.batch: Batch | None = None
        self.folder = folder
        self.soon: Batch | None = None
        self.since = time.monotonic()
        self.until = self.since + _START
        self.ready = False
        self.answered_at = self.since
        self.warm = False  # has worked: what is compiled and loaded at first use is
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / f"worker-{number}.log"
        requests, write = os.pipe()
        self.answers, answers = os.pipe()
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
                        str(requests),
                        str(answers),
                        str(threads),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(requests, answers),
                    env=environment,
                    # Ctrl-C is the caller's, which ends this process itself.
                    start_new_session=True,
                )
        finally:
            os.close(requests)
            os.close(answers)
        self._requests = os.fdopen(write, "w", encoding="utf-8")
        self._held = b""

    @property
    def idle(self) -> bool:
        """Whether it waits for work."""
        return self.ready and self.batch is None

    def send(self, batch: Batch, folder: Path, request: dict[str, Any], limit: float) -> None:
        """Send it a batch, to be done within so many seconds."""
        self._log.write_bytes(b"")
        self.batch, self.folder = batch, folder
        self.since = time.monotonic()
        self.until = self.since + limit
        with contextlib.suppress(BrokenPipeError):  # it died: its other pipe says so
            self._requests.write(json.dumps(request) + "\n")
            self._requests.flush()

    def answer(self) -> dict[str, Any] | None:
        """Its answer, where a whole one is there. Raises EOFError when it is gone."""
        try:
            received = os.read(self.answers, 1 << 20)
        except BlockingIOError:
            return None
        if not received:
            raise EOFError
        line, end, rest = (self._held + received).partition(b"\n")
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

    def last_line(self) -> str:
        """How it ended, in a line."""
        code = self._process.wait()
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError:
            lines = []
        last = next((line for line in reversed(lines) if line.strip()), "")[-_TAIL:]
        how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
        return f"its process {how}{f': {last}' if last else ''}"


def answering(processes: list[Process], seconds: float) -> list[Process]:
    """Those that have said something, or ended, within so many seconds."""
    with selectors.DefaultSelector() as selector:
        for process in processes:
            selector.register(process.answers, selectors.EVENT_READ, process)
        return [key.data for key, _ in selector.select(max(0.0, seconds))]
