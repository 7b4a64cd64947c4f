"""What a person sees of a run on this machine: one line a stage, with a bar on a terminal."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Literal

from tqdm import tqdm

from audiostyle.task_events import TaskProgress
from audiostyle.terminal import printable, say

# normal: a line a stage. verbose: every line of the log. quiet: nothing but results and errors.
Detail = Literal["normal", "verbose", "quiet"]

_WIDTH = 15  # of the column of names
# Tasks that only hand something on: of no interest to a person.
_UNSHOWN = ("current-champion",)
_BAR = "{desc} {bar:30} {n_fmt}/{total_fmt}, {remaining} left"


class Display:
    """Lines on standard error, so that standard output holds results alone.

    unshown: beginning of warnings that are not shown, as those of the bundled recordings.
    """

    def __init__(self, detail: Detail = "normal", unshown: str = "") -> None:
        self._detail = detail
        self._unshown = unshown
        self._terminal = detail == "normal" and sys.stderr.isatty()
        self._bar: tqdm[None] | None = None
        self._stage = ""
        self._began = 0.0

    def begin(self, stage: str) -> None:
        """A stage begins."""
        self._stage, self._began = stage, time.monotonic()
        self._draw(None)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A stage in this process, which draws its own bar."""
        self._began = time.monotonic()
        try:
            yield
        except BaseException:
            self.end(name, failed=True)
            raise
        self.end(name, failed=False)

    def progress(self, event: TaskProgress) -> None:
        """A stage has come so far in its loop, or in one of them."""
        self._draw(event)

    def warning(self, text: str) -> None:
        """Show a warning, above the bar."""
        if self._detail != "normal" or (self._unshown and text.startswith(self._unshown)):
            return
        self._clear()
        say(f"warning: {text}", error=True)

    def line(self, text: str) -> None:
        """A line of the log."""
        if self._detail == "verbose":
            say(text, error=True)

    def reused(self, stage: str) -> None:
        """A stage is not run: its outputs are those of an earlier run."""
        self._say(stage, "reused: nothing it depends on has changed")

    def end(self, stage: str, *, failed: bool) -> None:
        """A stage has ended."""
        self._clear()
        self._stage = ""
        seconds = time.monotonic() - self._began
        self._say(stage, f"{'failed after ' * failed}{_duration(seconds)}")

    def stop(self, *, failed: bool) -> None:
        """The run is over, whatever a stage was doing."""
        self._clear()
        if self._stage and failed:
            self.end(self._stage, failed=True)
        self._stage = ""

    def _say(self, stage: str, text: str) -> None:
        if self._detail == "normal" and stage not in _UNSHOWN:
            say(f"{stage:{_WIDTH}}{text}", error=True)

    def _draw(self, event: TaskProgress | None) -> None:
        if not self._terminal:
            return
        total = event.total if event else None
        steps = event.steps if event else 0
        # A stage may have several loops, one after the other.
        if self._bar is None or self._bar.total != total or self._bar.n > steps:
            self._clear()
            self._bar = tqdm(
                total=total,
                desc=f"{printable(self._stage):{_WIDTH}}",
                leave=False,
                dynamic_ncols=True,
                bar_format=_BAR if total else "{desc} …",
                mininterval=0,
            )
        self._bar.update(steps - self._bar.n)

    def _clear(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
