"""Rows of a manifest in CSV, JSON lines or YAML, each with its line."""

import csv
import io
from collections.abc import Callable, Iterator
from functools import lru_cache

import yaml

from audiostyle.errors import InputError
from audiostyle.untrusted import json_value, read_plainly, yaml_value
from components.stylize.pairs import COLUMNS
from pipeline.bulk.rows import FIXED, setting_of

Row = tuple[int, object]  # its line, and what stands there


def _csv(name: str, text: str) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
    try:
        columns = list(reader.fieldnames or ())
        if missing := [name for name in COLUMNS if name not in columns]:
            raise InputError(f"{name}: line 1 lacks the column {', '.join(missing)}")
        unknown = [c for c in columns if c not in FIXED and not setting_of(c)[0]]
        if unknown:
            raise InputError(f"{name}: line 1 has the unknown column {', '.join(unknown)!r:.200}")
        if len(set(columns)) < len(columns):
            raise InputError(f"{name}: line 1 names a column twice: {','.join(columns):.200}")
        for row in reader:
            if "" in row:
                yield reader.line_num, "has more fields than line 1 names"
                continue
            cells = {c: cell if c in FIXED else _value(cell or "") for c, cell in row.items()}
            yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(f"{name}: line {reader.line_num} is not CSV: {error}") from None


@lru_cache(maxsize=4096)
def _value(text: str) -> object:
    """A cell as in a file of settings: a number, true, a list, or text."""
    try:
        return yaml_value(text)
    except ValueError:
        return text


def _jsonl(name: str, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, json_value(line)
        except ValueError as error:
            yield number, f"is not JSON: {error}"


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """libyaml's, ten times as fast, where PyYAML was built with it."""


read_plainly(_Loader)


def _yaml(name: str, text: str) -> Iterator[Row]:
    loader = _Loader(text)
    try:
        # As in untrusted.py, which is without line numbers.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, _Loader)):
            raise InputError(f"{name}: has an alias (*), and none is followed")
        root = loader.get_single_node()
        if not isinstance(root, yaml.SequenceNode):
            raise InputError(f"{name}: is no list of rows; each is to begin with '- id: …'")
        for node in root.value:
            row = loader.construct_object(node, deep=True)
            yield node.start_mark.line + 1, row
    except (
        yaml.YAMLError,
        LookupError,
        AttributeError,
        TypeError,
        ValueError,
        RecursionError,
    ) as error:
        raise InputError(f"{name}: is not YAML: {' '.join(str(error).split())}") from None
    finally:
        loader.dispose()


# By the ending of a name: from that name, for errors, and the text to rows. A row that is text
# says what is wrong with it.
FORMATS: dict[str, Callable[[str, str], Iterator[Row]]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "ndjson": _jsonl,
    "yaml": _yaml,
    "yml": _yaml,
}
