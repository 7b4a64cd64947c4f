"""Configurations: frozen, validated objects with defaults that work; unknown keys are errors."""

import re
import stat
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from audiostyle.errors import InputError
from audiostyle.untrusted import yaml_value

_GROUPED = re.compile(r"\s*[-+]?[0-9]*_[0-9_.eE+-]*\s*")
# In place of pydantic's words, which are those of a programmer.
_WORDS = {
    "extra_forbidden": "there is no setting of this name",
    "model_type": "must be names of settings with their values",
}
# What pydantic calls the types of a field that has several.
_KIND = re.compile(r"(?:constrained|function)-\w.*|(?:literal|tuple|list|dict)\[.*\]|int|str|float")


# For `Field(json_schema_extra=NO_EFFECT)`: where, how fast or under which heading, but the same
# result. Ledgers, caches and the check for changes leave such fields out.
NO_EFFECT: dict[str, JsonValue] = {"affects_result": False}

# Of random numbers. torch takes 64 bits, of which blocks of noise use what is beyond these.
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


class Config(BaseModel):
    """Base of every configuration. Values are checked on construction and cannot change after."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: object, info: ValidationInfo) -> object:
        """Refuse what pydantic takes for a number, but hardly anybody else: 1_000, and true.

        A section of which all lines are comments is one of defaults.
        """
        annotation = cls.model_fields[str(info.field_name)].annotation
        if value is None and isinstance(annotation, type) and issubclass(annotation, Config):
            return {}
        grouped = isinstance(value, str) and _GROUPED.fullmatch(value)
        if not grouped and not isinstance(value, bool):
            return value
        types = set(_types(annotation))
        if grouped and str not in types:
            raise ValueError("must be a decimal number without '_'")
        if isinstance(value, bool) and bool not in types and types & {int, float}:
            raise ValueError("must be a number, neither true nor false")
        return value

    @classmethod
    def parse(cls, values: object, source: Path | str) -> Self:
        """Build the configuration from plain values, e.g. of YAML, JSON or a kfp parameter.

        Raises InputError that names `source`, each bad field, its value and what is accepted.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise InputError(f"{source}: {'; '.join(problems(error))}") from None

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read the configuration from a YAML (or JSON) file. Raises InputError naming the file."""
        try:
            # A pipe is waited for without end, and a device may have none.
            if not stat.S_ISREG(Path(path).stat().st_mode):
                raise InputError(f"{path}: cannot be read: it is not a file")
            values = yaml_value(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise InputError(f"{path}: is not YAML: {error}") from None
        return cls.parse({} if values is None else values, path)

    @classmethod
    def without_effect(cls) -> set[str]:
        """Names of the fields that were declared with `NO_EFFECT`: they change no result."""
        return {
            name
            for name, field in cls.model_fields.items()
            if isinstance(field.json_schema_extra, dict)
            and field.json_schema_extra.get("affects_result") is False
        }

    @classmethod
    def decisive(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Of plain values, those on which a result depends: what caches know a result by."""
        ignored = cls.without_effect()
        return {name: value for name, value in values.items() if name not in ignored}

    def plain(self) -> dict[str, Any]:
        """Values as JSON can hold them, for manifests and parameters; what is None is left out.

        kfp knows no null.
        """
        return self.model_dump(mode="json", exclude_none=True)


def problems(error: ValidationError) -> list[str]:
    """What is wrong with values, each with the field, what is accepted, and what was there."""
    reasons: dict[str, list[str]] = {}
    inputs: dict[str, object] = {}
    for each in error.errors(include_url=False):
        # Of a field of several types there is an error for each, with the type's name at the end.
        parts = [str(part) for part in each["loc"] if not _KIND.fullmatch(str(part))]
        place = ".".join(parts) or "top level"
        words = _WORDS.get(each["type"]) or each["msg"].removeprefix("Value error, ").lower()
        reasons.setdefault(place, []).append(words)
        inputs.setdefault(place, each["input"])
    return [
        f"{place}: {', or '.join(words)} (got {inputs[place]!r:.80})"
        for place, words in reasons.items()
    ]


def takes_text(annotation: Any) -> bool:
    """Whether text is a value of an annotation, and none but text, as it is written."""
    return set(_types(annotation)) <= {str, type(None)}


def _types(annotation: Any) -> Iterator[Any]:
    """The types, and the kinds of literals, of which values of an annotation are made."""
    arguments = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        yield from map(type, arguments)
    elif not arguments:
        yield annotation
    for argument in arguments:
        yield from _types(argument)
