"""Manifests: rows of CSV, JSON lines or YAML, each with its line. For data sets, pairs and jobs.

Ids, paths and labels are text as it is written: 010 is "010" and yes is "yes" in every format.
"""

import csv
import io
import json
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any, TypeVar

import yaml

from audiostyle.errors import InputError
from audiostyle.recordings import is_object
from audiostyle.store import open_store
from audiostyle.untrusted import json_value, read_plainly, yaml_value
from audiostyle.uris import split_object

T = TypeVar("T")

# Bytes of the largest manifest: a million pairs take a third of it.
MOST = 1 << 30


@dataclass(frozen=True)
class Row:
    """A row of a manifest.

    line: where it begins, from 1. cells: by column; text, or in columns of settings a number,
    truth value or list. problem: why it cannot be read; then there are no cells.
    """

    line: int
    cells: dict[str, Any]
    problem: str = ""


@dataclass(frozen=True)
class Columns:
    """What a manifest may hold. needed: columns that each has.

    problem: of a column's name, why it is not known; empty for one that is. is_text: whether the
    cells of a column are text as written, or values of a setting.
    """

    needed: tuple[str, ...]
    problem: Callable[[str], str]
    is_text: Callable[[str], bool] = lambda name: True


def one_of(names: Collection[str]) -> Callable[[str], str]:
    """For `Columns.problem`: the names that are known."""
    return lambda name: "" if name in names else f"must be one of {', '.join(names)}"


def is_manifest(place: Path | str) -> bool:
    """Whether a name ends like one of a manifest."""
    return _ending(place) in FORMATS


def rows(manifest: Path | str, columns: Columns) -> Iterator[Row]:
    """The rows of a manifest, a file or `s3://bucket/key`, one after the other.

    Raises InputError where all of it is no use: it cannot be read, is not in the format that its
    name says, or lacks a column. What is wrong with one row is the row's `problem`.
    """
    if not is_manifest(manifest):
        raise InputError(f"{manifest}: must end in {', '.join(f'.{name}' for name in FORMATS)}")
    return FORMATS[_ending(manifest)](str(manifest), read_text(manifest), columns)


def shard(items: Iterable[T], index: int, count: int) -> Iterator[T]:
    """Every `count`-th item from `index` on: neighbors, often of one length, go to different tasks.

    A shard may be empty. Raises InputError for an index that is none of 0 to count - 1.
    """
    if not 0 <= index < count:
        raise InputError(f"shard: must be from 0/{count} to {count - 1}/{count} (got {index})")
    return islice(items, index, None, count)


def read_text(manifest: Path | str) -> str:
    """All of a manifest as text. Raises InputError where it cannot be read or is not UTF-8."""
    try:
        content = _object(manifest) if is_object(manifest) else _file(Path(manifest))
        return content.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{manifest}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{manifest}: is not text in UTF-8: {error}") from None
    except ValueError:
        raise InputError(f"{manifest}: is not a path: it holds a NUL") from None


def _object(manifest: Path | str) -> bytes:
    bucket, key = split_object(str(manifest))
    store = open_store(bucket)
    if (size := store.size(key)) is not None and size > MOST:
        raise InputError(f"{manifest}: has {size} bytes; a manifest has at most {MOST}")
    content = store.get(key)
    if content is None:
        raise InputError(f"{manifest}: cannot be read: there is no such object")
    return content


def _file(manifest: Path) -> bytes:
    status = manifest.stat()
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{manifest}: cannot be read: it is not a file")
    if status.st_size > MOST:
        raise InputError(f"{manifest}: has {status.st_size} bytes; a manifest has at most {MOST}")
    return manifest.read_bytes()


def _ending(place: Path | str) -> str:
    return str(place).rpartition("/")[2].rpartition(".")[2].lower()


def _csv(name: str, text: str, columns: Columns) -> Iterator[Row]:
    # Blanks after a comma are no part of a cell, unless they stand in quotation marks.
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    header: list[str] = []
    line = 1
    try:
        for fields in reader:
            begin, line = line, reader.line_num + 1
            while len(fields) > len(header) and not fields[-1].strip():
                fields.pop()  # empty columns to the right, as spreadsheets write them
            if not any(fields):
                continue  # a blank line
            if not header:
                header = [field.strip() for field in fields]
                _check_header(f"{name}: line {begin}", header, columns)
            elif len(fields) > len(header):
                problem = f"has more fields ({len(fields)}) than there are columns ({len(header)})"
                yield Row(begin, {}, problem)
            else:
                # Empty cells at a row's end need no commas.
                cells = zip_longest(header, fields, fillvalue="")
                yield Row(begin, {c: t if columns.is_text(c) else _value(t) for c, t in cells})
    except csv.Error as error:
        raise InputError(f"{name}: line {reader.line_num} is not CSV: {error}") from None
    if not header:
        _check_header(f"{name}: line 1", [], columns)


def _check_header(where: str, header: list[str], columns: Columns) -> None:
    if missing := [name for name in columns.needed if name not in header]:
        raise InputError(
            f"{where}: has no column {', '.join(missing)}; names, with commas between them, are"
            f" needed (got {','.join(header)!r:.200})"
        )
    for column in header:
        if problem := columns.problem(column):
            raise InputError(f"{where}: {column:.80}: {problem}")
    if len(set(header)) < len(header):
        raise InputError(f"{where}: names a column twice: {','.join(header):.200}")


@lru_cache(maxsize=4096)
def _value(text: str) -> object:
    """A cell as in a file of settings: a number, true, a list, or text."""
    try:
        return yaml_value(text)
    except ValueError:
        return text


def _json(name: str, text: str, columns: Columns) -> Iterator[Row]:
    # Not splitlines: a line of JSON may hold what Unicode, but not JSON, takes for a line's end.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            values = json_value(line)
            # Numbers once more, as they are written.
            written = json.loads(
                line, parse_int=str, parse_float=str, object_pairs_hook=_without_doubles
            )
        except ValueError as error:
            yield Row(number, {}, f"is not JSON: {error}")
            continue
        if not isinstance(values, dict):
            yield Row(number, {}, _no_mapping(values))
            continue
        yield _row(
            number,
            {c: _text(written[c]) if columns.is_text(c) else v for c, v in values.items()},
            columns,
        )


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    cells = dict(pairs)
    if len(cells) < len(pairs):
        raise ValueError("names a column twice")
    return cells


def _text(value: Any) -> Any:
    """A value of JSON as text; lists and objects as they are, which `_row` refuses."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """libyaml's, ten times as fast, where PyYAML was built with it."""


read_plainly(_Loader)


def _yaml(name: str, text: str, columns: Columns) -> Iterator[Row]:
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:
        raise InputError(f"{name}: is not YAML: {' '.join(str(error).split())}") from None
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, _Loader)):
            raise InputError(f"{name}: has an alias (*), and none is followed")
        root = loader.get_single_node()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{name}: is not YAML: {' '.join(str(error).split())}") from None
    finally:
        loader.dispose()
    if root is not None and not isinstance(root, yaml.SequenceNode):
        begin = f"- {columns.needed[0]}: …"
        raise InputError(f"{name}: is not a list of rows; each must begin with {begin!r}")
    for node in root.value if root is not None else ():
        yield _yaml_row(node, columns)


def _yaml_row(node: Any, columns: Columns) -> Row:
    line = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        return Row(line, {}, _no_mapping(_yaml_text(node)))
    cells: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            return Row(line, {}, "has a column whose name is not text")
        if key.value in cells:
            return Row(line, {}, "names a column twice")
        try:
            cells[key.value] = (
                _yaml_text(value) if columns.is_text(key.value) else _constructed(value)
            )
        except (
            *(yaml.YAMLError, LookupError, AttributeError, TypeError, ValueError, RecursionError),
        ) as error:
            # The loader's own constructors trip over tags that their scalars do not fit.
            reason = " ".join(str(error).split()) or type(error).__name__
            return Row(line, {}, f"{key.value:.80}: is not YAML: {reason}")
    return _row(line, cells, columns)


def _yaml_text(node: Any) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return "" if node.tag == "tag:yaml.org,2002:null" else node.value
    return {} if isinstance(node, yaml.MappingNode) else []


def _constructed(node: Any) -> Any:
    """The value of a node of settings."""
    loader = _Loader("")
    try:
        return loader.construct_object(node, deep=True)
    finally:
        loader.dispose()


def _row(line: int, cells: dict[str, Any], columns: Columns) -> Row:
    for name, value in cells.items():
        if problem := columns.problem(name):
            return Row(line, {}, f"{name:.80}: {problem}")
        if columns.is_text(name) and not isinstance(value, str):
            kind = "an object" if isinstance(value, dict) else "a list"
            return Row(line, {}, f"{name}: must be text, not {kind}")
    return Row(line, cells)


def _no_mapping(value: object) -> str:
    kinds = {list: "a list", str: "text", type(None): "null", bool: "a truth value"}
    return f"must be names with values, not {kinds.get(type(value), 'a number')}: {value!r:.60}"


# By the ending of a name.
FORMATS: dict[str, Callable[[str, str, Columns], Iterator[Row]]] = {
    "csv": _csv,
    "jsonl": _json,
    "ndjson": _json,
    "yaml": _yaml,
    "yml": _yaml,
}
