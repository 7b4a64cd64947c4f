"""Configurations: frozen, validated objects with defaults that work; unknown keys are errors."""

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from audiostyle.errors import InputError
from audiostyle.untrusted import yaml_value


class Config(BaseModel):
    """Base of every configuration. Values are checked on construction and cannot change after."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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
            values = yaml_value(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise InputError(f"{path}: is not YAML: {error}") from None
        return cls.parse({} if values is None else values, path)

    def plain(self) -> dict[str, Any]:
        """Values as JSON can hold them, for manifests and parameters; what is None is left out.

        kfp knows no null.
        """
        return self.model_dump(mode="json", exclude_none=True)


def problems(error: ValidationError) -> list[str]:
    """What is wrong with values, each with the field, what is accepted, and what was there."""
    return [
        f"{'.'.join(map(str, e['loc'])) or 'top level'}: {e['msg'].lower()}"
        f" (got {e['input']!r:.80})"
        for e in error.errors(include_url=False)
    ]
