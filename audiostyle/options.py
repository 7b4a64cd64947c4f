"""From words on a command line to settings: a click option for each field of a configuration.

An option wins over its environment variable, that over the file, and the file over the default.
"""

import re
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic.fields import FieldInfo

from audiostyle.config import Config, takes_text
from audiostyle.errors import InputError
from audiostyle.untrusted import yaml_value

C = TypeVar("C", bound=Config)
F = TypeVar("F", bound=Callable[..., Any])

# Begins the names of parameters that hold options of settings; `overlay` takes them.
_PREFIX = "setting__"
_FILE = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="YAML file with these settings; options win over it.",
)


def setting_options(cls: type[Config], *names: str) -> Callable[[F], F]:
    """Give a click command an option for each field of `cls`, or for those of these names.

    Fields of a configuration in it become options of the same command. Raises ValueError where
    two options of a command would have one name.
    """
    fields = [(path, field) for path, field in _fields(cls) if not names or path[-1] in names]
    order = {name: number for number, name in enumerate(names)}
    fields.sort(key=lambda entry: order.get(entry[0][-1], 0))
    if missing := set(names) - {path[-1] for path, _ in fields}:
        raise ValueError(f"{cls.__name__} has no field {', '.join(sorted(missing))}")

    def decorate(function: F) -> F:
        for path, field in reversed(fields):
            option = _option(path, field)
            _require_unused(function, f"--{path[-1].replace('_', '-')}")
            function = option(function)
        return function

    return decorate


def config_options(cls: type[Config]) -> Callable[[F], F]:
    """Give a command `--config FILE` and an option for each field of `cls`; see `config_from`."""
    return lambda function: _FILE(setting_options(cls)(function))


def config_from(cls: type[C], options: dict[str, Any]) -> C:
    """Take the options of `config_options` out of `options` and build the configuration."""
    path: Path | None = options.pop("config_file")
    return overlay(cls.load(path) if path else cls(), options, str(path or "options"))


def overlay(settings: C, options: dict[str, Any], source: str = "options") -> C:
    """Settings, with the options of `setting_options` for them, which are taken out of `options`.

    Only what was given is set, so that `model_fields_set` says what a person chose. Raises
    InputError naming the field.
    """
    values = values_from(type(settings), options)
    if not values:
        return settings
    written = settings.model_dump(mode="json", exclude_unset=True)
    return type(settings).parse(_merged(written, values), source)


def values_from(cls: type[Config], options: dict[str, Any]) -> dict[str, Any]:
    """Take the options of `setting_options(cls)` out of `options`: the values of those given."""
    values: dict[str, Any] = {}
    for path, field in _fields(cls):
        text = options.pop(_parameter(path), None)
        if text is None:
            continue
        *parents, name = path
        inner = values
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[name] = text if takes_text(field.annotation) else option_value(name, text)
    return values


def option_value(name: str, text: str) -> Any:
    """A setting that was given as an option. Raises InputError naming it.

    YAML, so that numbers, lists and true or false are written as in a configuration file.
    """
    try:
        return yaml_value(text)
    except ValueError as error:
        raise InputError(f"options: {name}: is not YAML: {error} (got {text!r:.80})") from None


def _option(path: tuple[str, ...], field: FieldInfo) -> Callable[[F], F]:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, Mapping) else {}
    words = field.description or ""
    if re.match(r"[a-z]+\b(?!:)", words):  # not dB, nor s3://
        words = f"{words[0].upper()}{words[1:]}"
    words = words if words.endswith(("]", ".")) or not words else f"{words}."
    if field.default not in (None, "") and not field.is_required():
        words = f"{words} [default: {_shown(field.default)}]".strip()
    return click.option(
        f"--{path[-1].replace('_', '-')}",
        _parameter(path),
        default=None,
        metavar=str(extra.get("metavar") or _metavar(field.annotation)),
        envvar=extra.get("envvar"),
        help=words,
    )


def _parameter(path: Collection[str]) -> str:
    return _PREFIX + "__".join(path)


def _require_unused(function: Callable[..., Any], name: str) -> None:
    for parameter in getattr(function, "__click_params__", ()):
        if name in parameter.opts:
            raise ValueError(f"{name}: two options of this command have this name")


def _merged(values: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables, of which those of `more` win, key by key."""
    merged = dict(values)
    for key, value in more.items():
        before = merged.get(key)
        both = isinstance(before, dict) and isinstance(value, dict)
        merged[key] = _merged(before, value) if both else value  # type: ignore[arg-type]
    return merged


def _fields(
    cls: type[Config], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], FieldInfo]]:
    for name, field in cls.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Config):
            yield from _fields(field.annotation, (*above, name))
        else:
            yield (*above, name), field


def _shown(default: object) -> str:
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _metavar(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return "|".join(map(str, typing.get_args(annotation)))
    if origin in (typing.Union, types.UnionType):
        return _metavar(typing.get_args(annotation)[0])
    if origin is not None:
        return "LIST"
    return {int: "INT", float: "NUMBER", bool: "BOOL"}.get(annotation, "TEXT")
