"""How far a long loop has come: a bar on a terminal, and a line now and then elsewhere."""

import logging
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

from audiostyle import task_events
from audiostyle.completion import is_watched
from audiostyle.terminal import end_for_closed_pipe, is_shown, printable

T = TypeVar("T")

# Seconds between progress lines where there is no terminal to draw a bar on.
LOG_INTERVAL = 15.0
# … and between the events of a task, from which a command draws its bar.
_EVENT_INTERVAL = 0.5


def progress(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Go through `items` with a bar."""
    return iter(bar(items, description, total))


def bar(items: Iterable[T] | None, description: str, total: int | None = None) -> "tqdm[T]":
    """A tqdm bar that writes whole lines, rarely, where standard error is not a terminal.

    In a task whose command draws the bar it sends events. What is shown follows the log's level:
    a bar with warnings, lines with other information. A program that watches shows what it likes.
    """
    description = printable(description)
    if task_events.wanted():
        return _Events(
            items,
            description,
            total,
            mininterval=_EVENT_INTERVAL,
            maxinterval=_EVENT_INTERVAL,
            file=_Nothing(),
        )
    if is_watched():
        return tqdm(items, description, total, disable=True)
    if sys.stderr.isatty() and is_shown(logging.WARNING):
        return tqdm(items, description, total, leave=False, dynamic_ncols=True)
    if not is_shown(logging.INFO):
        return tqdm(items, description, total, disable=True)
    return tqdm(
        items,
        description,
        total,
        mininterval=LOG_INTERVAL,
        maxinterval=LOG_INTERVAL,
        delay=LOG_INTERVAL,
        file=_Lines(),
        bar_format="{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]",
    )


class _Events(tqdm):  # type: ignore[misc]
    """A bar that sends how far it is instead of drawing itself."""

    def display(self, *_: Any, **__: Any) -> bool:
        total = None if self.total is None else int(self.total)
        task_events.send(task_events.TaskProgress(self.desc.rstrip(": "), int(self.n), total))
        return True


class _Nothing:
    """A stream that takes everything and keeps nothing."""

    def write(self, text: str) -> None:
        pass

    def flush(self) -> None:
        pass


class _Lines:
    """A stream for tqdm that ends what tqdm rewrites in place with a line break instead."""

    def write(self, text: str) -> None:
        text = text.strip("\r\n ")
        if text:
            try:
                sys.stderr.write(f"{printable(text)}\n")
            except BrokenPipeError:
                end_for_closed_pipe()

    def flush(self) -> None:
        try:
            sys.stderr.flush()
        except BrokenPipeError:
            end_for_closed_pipe()
