"""How far a long loop has come: a bar on a terminal, and a line now and then elsewhere."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

from audiostyle.terminal import end_for_closed_pipe, printable

T = TypeVar("T")

# Seconds between progress lines where there is no terminal to draw a bar on.
LOG_INTERVAL = 15.0


def progress(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Go through `items` with a bar."""
    return iter(bar(items, description, total))


def bar(items: Iterable[T] | None, description: str, total: int | None = None) -> "tqdm[T]":
    """A tqdm bar that writes whole lines, rarely, where standard error is not a terminal."""
    description = printable(description)
    if sys.stderr.isatty():
        return tqdm(items, description, total, leave=False, dynamic_ncols=True)
    return tqdm(
        items,
        description,
        total,
        mininterval=LOG_INTERVAL,
        maxinterval=LOG_INTERVAL,
        file=_Lines(),
        bar_format="{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]",
    )


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
