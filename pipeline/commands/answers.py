"""What a command tells: the same as lines for a person and, with --json, as JSON for a program.

A command that tells something is decorated with `answering` and returns an Answer. The JSON has
the schema docs/schemas/NAME.schema.json; docs/json.md describes its fields.
"""

import functools
import io
import sys
from collections.abc import Callable, Iterable
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from audiostyle.terminal import say, say_json

F = TypeVar("F", bound=Callable[..., Any])

_JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON on standard output, and nothing else."
)


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Answer:
    """What a command has to tell, when its work is done.

    value: as JSON can hold it. show: prints the same for a person; nothing where all was printed
    on the way. exit_code: of the command.
    """

    value: Any
    show: Callable[[], None] = _nothing
    exit_code: int = 0

    @classmethod
    def lines(cls, value: Any, lines: Iterable[str], exit_code: int = 0) -> "Answer":
        """Of lines that are there already."""
        return cls(value, functools.partial(_say_all, list(lines)), exit_code)


def _say_all(lines: list[str]) -> None:
    for line in lines:
        say(line)


def answering(schema: str) -> Callable[[F], F]:
    """A decorator for the function of a command that returns an Answer: gives it --json.

    schema: name of the schema of the JSON.
    """

    def decorate(function: Callable[..., Answer | None]) -> Any:
        @_JSON
        @functools.wraps(function)
        def command(*arguments: Any, as_json: bool, **options: Any) -> None:
            # What is printed on the way, for a person, is in the answer.
            with redirect_stdout(io.StringIO()) if as_json else nullcontext():
                answer = function(*arguments, **options)
            if answer is None:
                return
            if as_json:
                say_json(answer.value)
            else:
                answer.show()
            if answer.exit_code:
                sys.exit(answer.exit_code)

        command.schema = schema  # type: ignore[attr-defined]
        return command

    return decorate
