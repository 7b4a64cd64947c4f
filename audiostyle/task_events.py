"""What a task says to the command that started it: how far it is, and warnings.

A task is a process or container of its own, whose lines go to a log. A line that begins with a
mark no other text has (`audiostyle.terminal` spells it out) is an event for the command.
"""

import contextlib
import json
import logging
import os
import sys
from dataclasses import dataclass

# A variable that a command sets for tasks whose events it reads.
EVENTS = "AUDIOSTYLE_TASK_EVENTS"
_MARK = "\x1e"
# Loggers whose warnings are for a person; those of libraries are for the log.
_OWN = ("audiostyle", "components", "pipeline")


@dataclass(frozen=True)
class TaskProgress:
    """Steps that a loop has done. total: None where nobody knows."""

    name: str
    steps: int
    total: int | None


@dataclass(frozen=True)
class TaskWarning:
    """A warning, in the words of the log."""

    text: str


def wanted() -> bool:
    """Whether a command reads the events of this process."""
    return bool(os.environ.get(EVENTS))


def send(event: TaskProgress | TaskWarning) -> None:
    """Write an event for the command."""
    kind = "progress" if isinstance(event, TaskProgress) else "warning"
    line = _MARK + json.dumps([kind, vars(event)])
    with contextlib.suppress(OSError):
        # In one piece: processes of a pool write beside each other.
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def event_in(line: str) -> TaskProgress | TaskWarning | None:
    """The event that a line holds, if it does. Raises ValueError for a damaged one."""
    _, mark, text = line.partition(_MARK)
    if not mark:
        return None
    try:
        kind, fields = json.loads(text)
        if kind == "warning":
            return TaskWarning(str(fields["text"]))
        total = fields["total"]
        return TaskProgress(
            str(fields["name"]), int(fields["steps"]), None if total is None else int(total)
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no event: {error}") from None


def send_warnings() -> None:
    """Send the warnings that our own modules log in this process."""
    if wanted():
        logging.getLogger().addHandler(_Sender(logging.WARNING))


class _Sender(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.name.split(".")[0] in _OWN:
            send(TaskWarning(record.getMessage()))
