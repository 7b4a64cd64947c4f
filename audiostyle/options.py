"""From words on a command line to settings: click options for the fields of configurations."""

import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic.fields import FieldInfo

from audiostyle.config import Config
from audiostyle.errors import InputError
from audiostyle.untrusted import yaml_value

C = TypeVar("C", bound=Config)
T = TypeVar("T")


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


def _metavar(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return "|".join(map(str, typing.get_args(annotation)))
    if origin in (typing.Union, types.UnionType):
        return _metavar(typing.get_args(annotation)[0])
    if origin is not None:
        return "LIST"
    return {int: "INT", float: "NUMBER", bool: "BOOL"}.get(annotation, "TEXT")
