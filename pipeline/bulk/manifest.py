"""What a bulk job is to do: rows of a manifest, or every content in every style; checked whole."""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from audiostyle.errors import InputError
from audiostyle.manifest import Columns, Row, rows
from audiostyle.recordings import beside, is_object
from audiostyle.store import open_store
from audiostyle.uris import file_path, scheme_of, split_object
from components.reconstruct.config import ReconstructConfig
from components.stylize.config import StylizeConfig
from components.stylize.pairs import COLUMNS, SAFE_ID
from pipeline.bulk.globs import matching, named
from pipeline.bulk.items import Base, Item, Items, written

ROLES = ("content", "style", "target")
# The columns of every manifest; all others are settings.
_FIXED = (*COLUMNS, "target")
# Objects whose sizes are asked for at a time.
_ASKING = 16
# Bad rows that an error names.
_NAMED = 100
# Names that Windows keeps for devices, whatever follows the first dot.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}

# Names of settings by stage.
_SETTINGS = {
    "stylize": frozenset(StylizeConfig.model_fields),
    "reconstruct": frozenset(ReconstructConfig.model_fields),
}

_Objects = dict[str, tuple[int, str]]  # of each address size in bytes, and tag


def read(manifest: Path | str, base: Base, path: Path) -> Items:
    """Check a manifest whole and write its items to the file `path`.

    manifest: CSV, JSON lines or YAML by its ending; a file or s3://. Columns id, content, style,
    optionally target, and settings: `stylize.NAME`, `reconstruct.NAME`, or a name that only one of
    the two stages has. Relative paths are relative to it.

    Raises one InputError that names every bad row's line and why.
    """
    columns = Columns(COLUMNS, _column_problem, lambda name: name in _FIXED)
    place = manifest if is_object(manifest) else Path(manifest)
    reader = _Reader(place, base)
    return _checked(str(manifest), map(reader.item, rows(place, columns)), path)


def product(contents: str, styles: str, base: Base, path: Path) -> Items:
    """Every content in every style, written to the file `path`.

    contents, styles: patterns of files (`**` reaches into folders) or of objects, s3://bucket/….
    An id is made of both names. Raises InputError for a pattern that nothing matches.
    """
    content_ids, style_ids = (named(matching(pattern)) for pattern in (contents, styles))
    sizes = {place: _size(place)[0] for place in content_ids if not is_object(place)}
    items = (
        Item(
            f"{content_ids[content]}--{style_ids[style]}",
            content,
            style,
            size=sizes.get(content, 0),
        )
        for style in style_ids
        for content in content_ids
    )
    return _checked(f"{contents} x {styles}", ((item, 0, []) for item in items), path)


def _checked(name: str, rows: Iterable[tuple[Item | None, int, list[str]]], path: Path) -> Items:
    """Items of rows, with sizes and tags of objects. Raises InputError with all that is wrong."""
    problems: dict[int, list[str]] = {}
    lines: dict[str, int] = {}  # address of an object to the first line that names it
    items = written(_good(rows, problems, lines), path)
    objects: _Objects = {}
    for address, size_and_tag in _asked(lines):
        if size_and_tag is None:
            problem = f"{address}: there is no such object"
            problems.setdefault(lines[address], []).append(problem)
        else:
            objects[address] = size_and_tag
    if problems:
        bad = [
            f"{f'line {line}: ' if line else ''}{'; '.join(problems[line])}"
            for line in sorted(problems)
        ]
        more = f"\n  and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        raise InputError(f"{name}: {len(bad)} bad rows\n  " + "\n  ".join(bad[:_NAMED]) + more)
    if not items.count:
        raise InputError(f"{name}: has no rows")
    if objects:
        tagged = written((_tagged(item, objects) for item in items), path.with_suffix(".tagged"))
        tagged.path.replace(path)
    return items


def _good(
    rows: Iterable[tuple[Item | None, int, list[str]]],
    problems: dict[int, list[str]],
    lines: dict[str, int],
) -> Iterator[Item]:
    """The items of rows; notes what is wrong by line, and the objects that are named."""
    seen: dict[str, int] = {}
    for item, line, wrong in rows:
        if item is not None:
            id = item.id.casefold()
            if id in seen:
                wrong.append(
                    f"id {item.id!r} stands in line {seen[id]} already (capitals do not count)"
                )
            seen.setdefault(id, line)
            for address in filter(is_object, item.places().values()):
                lines.setdefault(address, line)
            yield item
        if wrong:
            problems.setdefault(line, []).extend(wrong)  # of YAML a line may hold several


def _tagged(item: Item, objects: _Objects) -> Item:
    places = item.places()
    tags = {role: objects[place][1] for role, place in places.items() if place in objects}
    return replace(item, tags=tags, size=objects.get(item.content, (item.size, ""))[0])


def _asked(addresses: Iterable[str]) -> Iterator[tuple[str, tuple[int, str] | None]]:
    """Size and tag of each object, or None where there is none."""
    keys = {address: split_object(address) for address in addresses}
    stores = {bucket: open_store(bucket) for bucket in {bucket for bucket, _ in keys.values()}}
    for store in stores.values():
        store.check()

    def ask(address: str) -> tuple[int, str] | None:
        bucket, key = keys[address]
        tag = stores[bucket].tag(key)
        size = stores[bucket].size(key) if tag else None
        return None if tag is None or size is None else (size, tag)

    with ThreadPoolExecutor(_ASKING) as pool:
        yield from zip(keys, pool.map(ask, keys), strict=True)


class _Reader:
    """Makes items of rows; what several rows name is looked at once.

    manifest: what relative paths are relative to.
    """

    def __init__(self, manifest: Path | str, base: Base) -> None:
        self._manifest = manifest
        self._size = lru_cache(maxsize=1 << 16)(_size)
        self._problem = lru_cache(maxsize=1 << 12)(partial(_settings_problem, base))

    def item(self, row: Row) -> tuple[Item | None, int, list[str]]:
        """The item, or None, the row's line, and what is wrong. Sizes of objects are unknown."""
        if row.problem:
            return None, row.line, [row.problem]
        wrong: list[str] = []
        id = _text(row, "id", wrong)
        if id and not SAFE_ID.fullmatch(id):
            wrong.append(
                f"id {id:.120} is not a safe file name"
                " (letters, digits, '.', '_', '-'; at most 100)"
            )
        if id.partition(".")[0].lower() in _DEVICES or id.endswith("."):
            wrong.append(f"id {id!r} is not a safe file name on Windows")
        places = {role: self._placed(row, role, wrong) for role in ROLES}
        settings = self._settings(row, wrong)
        if wrong:
            return None, row.line, wrong
        content, style, target = (place for place, _ in places.values())
        size = places["content"][1]
        item = Item(id, content, style, target or None, **settings, size=size, line=row.line)
        return item, row.line, wrong

    def _placed(self, row: Row, role: str, wrong: list[str]) -> tuple[str, int]:
        """Where a recording is, and its size, 0 where that is still to be asked for."""
        text = _text(row, role, wrong)
        if not text:
            return "", 0
        try:
            if scheme_of(text) == "file":
                text = str(file_path(text))
            if "://" in text and not is_object(text):
                raise InputError(f"{text:.120}: a path, file:// or s3://bucket/key is needed")
            if is_object(text):
                split_object(text)
            place = beside(self._manifest, text)
        except InputError as error:
            wrong.append(f"{role} {error}")
            return "", 0
        if isinstance(place, str):
            return place, 0
        size, problem = self._size(str(place))
        if problem:
            wrong.append(f"{role} {place}: {problem}")
        return str(place), size

    def _settings(self, row: Row, wrong: list[str]) -> dict[str, dict[str, Any]]:
        chosen: dict[str, dict[str, Any]] = {"stylize": {}, "reconstruct": {}}
        for name, value in row.cells.items():
            if name in _FIXED or value is None or value == "":
                continue
            stage, key = _setting_of(str(name))
            if not stage:
                wrong.append(f"{name!s:.80} {_column_problem(str(name))}")
            elif not _is_plain(value):
                wrong.append(f"{name}: {type(value).__name__} is no value of a setting")
            else:
                chosen[stage][key] = value
        if any(chosen.values()) and (problem := self._problem(json.dumps(chosen, sort_keys=True))):
            wrong.append(problem)
        return chosen


def _setting_of(column: str) -> tuple[str, str]:
    """The stage that a column is a setting of, and its name there; empty where it is none."""
    stage, dot, key = column.partition(".")
    if not dot:
        stages = [stage for stage, names in _SETTINGS.items() if column in names]
        return (stages[0], column) if len(stages) == 1 else ("", "")
    return (stage, key) if key in _SETTINGS.get(stage, ()) else ("", "")


def _column_problem(column: str) -> str:
    if column in _FIXED or _setting_of(column)[0]:
        return ""
    if stages := [stage for stage, names in _SETTINGS.items() if column in names]:
        choices = " or ".join(f"{stage}.{column}" for stage in stages)
        return f"is a setting of {' and of '.join(stages)}; write {choices}"
    return "is an unknown column: no setting of stylize or reconstruct has this name"


def _text(row: Row, name: str, wrong: list[str]) -> str:
    value = row.cells.get(name)
    if value in (None, ""):
        if name in COLUMNS:
            wrong.append(f"{name} is empty")
        return ""
    if not isinstance(value, str):
        wrong.append(f"{name} is no text but {type(value).__name__}")
        return ""
    if "\0" in value:
        wrong.append(f"{name} {value!r:.120} holds a NUL")
        return ""
    return value


def _is_plain(value: object) -> bool:
    scalar = (str, int, float, bool)
    if isinstance(value, list):
        return len(value) < 100 and all(isinstance(part, scalar) for part in value)
    return isinstance(value, scalar)


def _settings_problem(base: Base, settings: str) -> str:
    """What is wrong with settings by stage, as JSON."""
    try:
        base.parsed(**json.loads(settings), source="settings")
    except InputError as error:
        return str(error)
    return ""


def _size(path: str) -> tuple[int, str]:
    """Size of a file in bytes, and why it cannot be used."""
    try:
        file = Path(path)
        if not file.is_file():
            return 0, "is not a file" if file.exists() else "does not exist"
        return file.stat().st_size, ""
    except (OSError, ValueError) as error:
        return 0, f"cannot be read: {error}"
