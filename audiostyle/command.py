"""What every command line has in common: errors, exit codes, progress, options from configs."""

import json
import logging
import os
import re
import signal
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic.fields import FieldInfo
from tqdm import tqdm

from audiostyle.config import Config
from audiostyle.errors import AudiostyleError, InputError
from audiostyle.files import write_text
from audiostyle.untrusted import yaml_value

C = TypeVar("C", bound=Config)
T = TypeVar("T")

# Seconds between progress lines where there is no terminal to draw a bar on.
LOG_INTERVAL = 15.0

# Control characters, and those that turn the direction of writing or break lines.
_STEERING = re.compile(
    r"\n(?!  )|[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]"
    r"|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)

ERROR_FILE = "AUDIOSTYLE_ERROR_FILE"

# Letters of a line of an error that are shown.
_LINE = 4000


class Command(click.Command):
    """A command that prints an AudiostyleError as one line and exits with its code.

    Exit codes: 0 done, 1 failure, 2 bad input (click's own code for bad options, too),
    130 and 143 interrupted by Ctrl-C and SIGTERM.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command with errors and signals turned into exit codes."""
        # SIGTERM unwinds like Ctrl-C does, so that temporary files go and what is done stays.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            return super().invoke(ctx)
        except AudiostyleError as error:
            click.echo(f"{ctx.info_name}: {shown(error)}", err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            sys.exit(130)
        except OSError as error:
            # A full disk, a folder that cannot be written: the system's words name the file.
            click.echo(f"{ctx.info_name}: {shown(error)}", err=True)
            sys.exit(1)


class Group(click.Group):
    """A group of such commands."""

    command_class = Command


def shown(text: object) -> str:
    """A text, or an error, as a terminal may have it: names in it can hold anything.

    Line breaks stay before the rows of a list; what else would steer a terminal is spelt out.
    """
    # A name of a million letters says no more than its beginning.
    lines = (f"{line[:_LINE]}…" if len(line) > _LINE else line for line in str(text).split("\n"))
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], "\n".join(lines))


def config_options(cls: type[Config]) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Give a click command `--config FILE` and an option for every field of `cls`.

    Fields of a configuration inside it become options of the same command.
    """

    def decorate(function: Callable[..., T]) -> Callable[..., T]:
        for place, field in reversed(list(_fields(cls))):
            function = click.option(
                f"--{place[-1].replace('_', '-')}",
                "__".join(("config", *place)),
                default=None,
                metavar=_metavar(field.annotation),
                help=f"{field.description or ''} [default: {field.default}]".strip(),
            )(function)
        return click.option(
            "--config",
            "config_file",
            type=click.Path(path_type=Path),
            help="YAML file with these settings; options win over it.",
        )(function)

    return decorate


def config_from(cls: type[C], options: dict[str, Any]) -> C:
    """Take the options of `config_options` out of `options` and build the configuration."""
    path: Path | None = options.pop("config_file")
    values: dict[str, Any] = cls.load(path).plain() if path else {}
    for key in [key for key in options if key.startswith("config__")]:
        text = options.pop(key)
        if text is None:
            continue
        *parents, name = key.removeprefix("config__").split("__")
        inner = values
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[name] = option_value(name, text)
    return cls.parse(values, path or "options")


def option_value(name: str, text: str) -> Any:
    """A setting that was given as an option. Raises InputError naming it.

    YAML, so that numbers, lists and true or false are written as in a configuration file.
    """
    try:
        return yaml_value(text)
    except ValueError as error:
        raise InputError(f"options: {name}: is not YAML: {error} (got {text!r:.80})") from None


def _fields(
    cls: type[Config], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    for name, field in cls.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Config):
            yield from _fields(field.annotation, (*above, name))
        else:
            yield (*above, name), field


def progress(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """Go through `items` with a bar on a terminal, and a line now and then elsewhere."""
    return iter(bar(items, description, total))


def bar(items: Iterable[T] | None, description: str, total: int | None = None) -> "tqdm[T]":
    """A tqdm bar that writes whole lines, rarely, where standard error is not a terminal."""
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
            sys.stderr.write(f"{text}\n")

    def flush(self) -> None:
        sys.stderr.flush()


@contextmanager
def task() -> Iterator[None]:
    """What every kfp component runs inside: log lines, and errors in one line with their exit code.

    kfp passes on no more than 'failed'. So where the caller set AUDIOSTYLE_ERROR_FILE, the error is
    left there for it, as JSON.
    """
    log_to_stderr()
    try:
        yield
    except AudiostyleError as error:
        click.echo(f"error: {shown(error)}", err=True)
        if path := os.environ.get(ERROR_FILE):
            told = {"message": str(error), "exit_code": error.exit_code}
            write_text(path, json.dumps(told))
        sys.exit(error.exit_code)


def log_to_stderr() -> None:
    """Print the project's log lines, plainly."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)


def _metavar(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return "|".join(map(str, typing.get_args(annotation)))
    if origin in (typing.Union, types.UnionType):
        return _metavar(typing.get_args(annotation)[0])
    if origin is not None:
        return "LIST"
    return {int: "INT", float: "NUMBER", bool: "BOOL"}.get(annotation, "TEXT")
