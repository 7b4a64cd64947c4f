"""The schemas of what commands print with --json: docs/schemas."""

import json
from typing import Any

from conftest import ROOT
from jsonschema import Draft202012Validator

SCHEMAS = ROOT / "docs" / "schemas"


def validator(name: str) -> Draft202012Validator:
    """The validator of a schema, which is itself valid."""
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def validated(name: str, printed: str) -> Any:
    """The value that a command printed: one line of JSON of this schema, and nothing else."""
    assert printed.endswith("\n") and printed.count("\n") == 1, printed
    value = json.loads(printed)
    validator(name).validate(value)
    return value
