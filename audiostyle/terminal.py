"""The one way to the terminal: every text for a person passes through here.

Names, recordings' tags and servers' answers can hold anything. What would steer a terminal or
change the order of writing is spelled out, and addresses lose their secrets.
"""

import contextlib
import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

import click

from audiostyle.uris import without_secrets

# What the shell reports of a program that SIGPIPE ended.
CLOSED_PIPE = 141
# Characters of a line that are shown: a name of a million says no more than its beginning.
_LINE = 4000
# Not printable to Python, but part of how some languages and emoji are written.
_JOINERS = "\u200c\u200d\ufe0e\ufe0f"
_SPACES = "\u00a0\u202f\u3000"


def printable(text: object, *, lines: bool = False) -> str:
    r"""A text as a terminal may have it.

    lines: whether line breaks stay where the next line is indented by two spaces, as in the rows
    of a list of errors; all others are spelled out.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    parts = re.split(r"\n(?=  )", str(text)) if lines else [str(text)]
    return "\n".join(_line(without_secrets(part)) for part in parts)


def _line(text: str) -> str:
    if len(text) > _LINE:
        text = f"{text[:_LINE]}…"
    return text if text.isprintable() else "".join(map(_spelled, text))


def _spelled(sign: str) -> str:
    if sign.isprintable() or sign in _JOINERS or sign in _SPACES:
        return sign
    return ascii(sign)[1:-1]


def say(text: object = "", *, error: bool = False) -> None:
    """Print one line, to standard error where `error`. Ends the program where nobody reads it."""
    _write(printable(text), error=error)


def say_lines(text: str) -> None:
    """Print lines of our own making; what stands in them holds no line breaks."""
    for line in text.split("\n"):
        say(line)


def say_fields(fields: Iterable[tuple[str, object]], *, error: bool = False) -> None:
    """Print lines of a label and a text, the texts below each other."""
    rows = [(label, printable(text)) for label, text in fields]
    width = max((len(label) for label, _ in rows), default=0)
    for label, text in rows:
        _write(f"{printable(label):{width}}  {text}".rstrip(), error=error)


def say_json(value: object) -> None:
    """Print a value as one line of JSON, never cut; all but ASCII is spelled out."""
    _write(json.dumps(_without_secrets(value)).replace("\x7f", "\\u007f"), error=False)


def _without_secrets(value: object) -> object:
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, Mapping):
        return {key: _without_secrets(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(inner) for inner in value]
    return value


def say_table(rows: Sequence[Sequence[object]]) -> None:
    """Print rows in columns; the first is their heading."""
    # Of the pipeline's extra, and of no use to a stage.
    from tabulate import tabulate

    heading, *body = [[printable(cell) for cell in row] for row in rows]
    text = tabulate(
        body, heading, tablefmt="plain", disable_numparse=True, preserve_whitespace=True
    )
    for line in text.split("\n"):
        _write(line.rstrip(), error=False)


def say_error(name: str | None, error: object) -> None:
    """Print an error; its further lines, which are indented, are a list."""
    _write(f"{printable(name or 'error')}: {printable(error, lines=True)}", error=True)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Print the log's lines, plainly, whoever writes them."""
    handler = _Handler(sys.stderr)
    handler.setFormatter(_Formatter("%(message)s"))
    logging.basicConfig(level=level, handlers=[handler])
    # It says with every client where its credentials are from.
    logging.getLogger("botocore").setLevel(max(level, logging.WARNING))


def is_shown(level: int) -> bool:
    """Whether the log shows lines of a level of `logging`."""
    return logging.getLogger().isEnabledFor(level)


def end_for_closed_pipe() -> NoReturn:
    """End the program as SIGPIPE would: whoever read what it prints has stopped reading."""
    for stream in (sys.stdout, sys.stderr):
        # What is still in a buffer would be written at the end, and fail again.
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
    sys.exit(CLOSED_PIPE)


def _write(line: str, *, error: bool) -> None:
    try:
        click.echo(line, err=error)
    except BrokenPipeError:
        end_for_closed_pipe()


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(record.getMessage(), lines=True) + (
            f"\n{printable_trace(self.formatException(record.exc_info))}" if record.exc_info else ""
        )


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802, logging's name
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            end_for_closed_pipe()
        super().handleError(record)


def printable_trace(text: str) -> str:
    """A traceback as a terminal may have it; its line breaks are ours."""
    return "\n".join(printable(line) for line in text.rstrip("\n").split("\n"))
