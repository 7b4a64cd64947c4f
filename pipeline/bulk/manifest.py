"""What a bulk job is to do: rows of a manifest, or every content in every style; checked whole."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from audiostyle.errors import InputError
from audiostyle.store import Store, open_store
from audiostyle.untrusted import json_value, yaml_value
from components.reconstruct.reconstruct import ReconstructConfig
from components.stylize.config import StylizeConfig
from components.stylize.pairs import COLUMNS, SAFE_ID, beside, is_uri, read_bytes

ROLES = ("content", "style", "target")
# Names that Windows keeps for devices, whatever follows the first dot.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}
# Objects asked about at a time.
_ASKING = 16

Row = tuple[int, object]  # its line, and what stands there


@dataclass(frozen=True)
class Item:
    """A pair of a job. content, style, target: path or s3:// URI; size: of the content in bytes.

    stylize, reconstruct: settings of its own. tags: of its objects in a bucket, by role.
    """

    id: str
    content: str
    style: str
    target: str | None = None
    stylize: dict[str, Any] = field(default_factory=dict)
    reconstruct: dict[str, Any] = field(default_factory=dict)
    size: int = 0
    tags: dict[str, str] = field(default_factory=dict)

    def places(self) -> dict[str, str]:
        """Role to path or URI, of those that there are."""
        places = {"content": self.content, "style": self.style, "target": self.target}
        return {role: place for role, place in places.items() if place is not None}


@dataclass(frozen=True)
class Base:
    """The settings that an item's own are laid over."""

    stylize: StylizeConfig
    reconstruct: ReconstructConfig

    def of(self, item: Item) -> tuple[StylizeConfig, ReconstructConfig]:
        """The settings of an item."""
        return self.parsed(item.stylize, item.reconstruct, item.id)

    def parsed(
        self, stylize: dict[str, Any], reconstruct: dict[str, Any], source: str
    ) -> tuple[StylizeConfig, ReconstructConfig]:
        """Settings with some changed. Raises InputError."""
        if not stylize and not reconstruct:
            return self.stylize, self.reconstruct
        return (
            StylizeConfig.parse({**self.stylize.plain(), **stylize}, source),
            ReconstructConfig.parse({**self.reconstruct.plain(), **reconstruct}, source),
        )


class Items:
    """Checked items in a file of JSON lines, to go through as often as needed, one at a time."""

    def __init__(self, path: Path, count: int) -> None:
        self.path = path
        self.count = count

    def __iter__(self) -> Iterator[Item]:
        """One item after another."""
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                yield Item(**json.loads(line))

    def shard(self, index: int, count: int, path: Path) -> "Items":
        """Every `count`-th item from `index` on, in a file of their own. Raises InputError."""
        if not 0 <= index < count:
            raise InputError(f"shard: must be from 0/{count} to {count - 1}/{count} (got {index})")
        if count == 1:
            return self
        chosen = (item for number, item in enumerate(self) if number % count == index)
        return written(chosen, path)


def written(items: Iterator[Item], path: Path) -> Items:
    """Put items down in a file."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for item in items:
            file.write(_line(item))
            count += 1
    return Items(path, count)


def read(manifest: Path | str, base: Base, path: Path) -> Items:
    """Check a manifest whole and put its items down in the file `path`.

    manifest: CSV, JSON lines or YAML by its ending; a file or s3://. Columns id, content, style,
    optionally target, and settings: a name of StylizeConfig, one of ReconstructConfig that the
    former has not, or `stylize.NAME`, `reconstruct.NAME`. Relative paths are relative to it.

    Raises one InputError that names every bad row's line and why.
    """
    place = manifest if is_uri(manifest) else Path(manifest)
    kind = _KINDS.get(str(manifest).rpartition(".")[2].lower())
    if kind is None:
        raise InputError(f"{manifest}: must end in .csv, .jsonl, .yaml or .yml")
    try:
        text = read_bytes(place).decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{manifest}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{manifest}: is not text in UTF-8: {error}") from None
    return _checked(str(manifest), place, kind(str(manifest), text), base, path)


def product(contents: str, styles: str, base: Base, path: Path) -> Items:
    """Every content in every style, put down in the file `path`.

    contents, styles: patterns of files (`**` reaches into folders) or of objects, s3://bucket/….
    An id is made of both names. Raises InputError for a pattern that nothing matches.
    """
    from pipeline.bulk.patterns import matching, named

    ids = [named(matching(pattern)) for pattern in (contents, styles)]
    rows = (
        (number, {"id": f"{of_content}--{of_style}", "content": content, "style": style})
        for number, (content, of_content, style, of_style) in enumerate(
            ((c, i, s, j) for s, j in ids[1].items() for c, i in ids[0].items()), 1
        )
    )
    return _checked(f"{contents} x {styles}", Path(), rows, base, path)


def _checked(name: str, place: Path | str, rows: Iterator[Row], base: Base, path: Path) -> Items:
    problems: dict[int, list[str]] = {}
    seen: dict[str, int] = {}
    objects: dict[str, int] = {}  # URI to the first line that names it
    reader = _Reader(place, base)
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for line, row in rows:
            item, found = reader.item(row)
            if item is not None:
                known = item.id.casefold()
                if known in seen:
                    found.append(
                        f"id {item.id!r} stands in line {seen[known]} already"
                        " (capitals do not count)"
                    )
                seen.setdefault(known, line)
                for uri in filter(is_uri, item.places().values()):
                    objects.setdefault(uri, line)
                file.write(_line(item))
                count += 1
            if found:
                problems[line] = found
    sizes: dict[str, tuple[int, str]] = {}
    for uri, told in _asked(objects):
        if told is None:
            problems.setdefault(objects[uri], []).append(f"{uri}: there is no such object")
        else:
            sizes[uri] = told
    if problems:
        lines = [f"line {line}: {'; '.join(problems[line])}" for line in sorted(problems)]
        raise InputError(f"{name}: {len(lines)} bad rows\n  " + "\n  ".join(lines))
    if not count:
        raise InputError(f"{name}: has no rows")
    items = Items(path, count)
    if not objects:
        return items
    whole = path.with_suffix(".tagged")
    items = written((_tagged(item, sizes) for item in items), whole)
    whole.replace(path)
    return Items(path, items.count)


def _tagged(item: Item, sizes: dict[str, tuple[int, str]]) -> Item:
    places = item.places()
    tags = {role: sizes[place][1] for role, place in places.items() if place in sizes}
    size = sizes.get(item.content, (item.size, ""))[0]
    return Item(**{**asdict(item), "tags": tags, "size": size})


def _asked(objects: dict[str, int]) -> Iterator[tuple[str, tuple[int, str] | None]]:
    """Size and tag of each object, or None where there is none."""
    if not objects:
        return
    stores: dict[str, Store] = {}
    for uri in objects:
        bucket = uri.removeprefix("s3://").partition("/")[0]
        if bucket not in stores:
            stores[bucket] = open_store(f"s3://{bucket}")
            stores[bucket].check()

    def ask(uri: str) -> tuple[int, str] | None:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        tag = stores[bucket].tag(key) if key else None
        size = stores[bucket].size(key) if tag else None
        return None if tag is None or size is None else (size, tag)

    with ThreadPoolExecutor(_ASKING) as pool:
        yield from zip(objects, pool.map(ask, objects), strict=True)


class _Reader:
    """From a row to an item, or to what is wrong with it."""

    def __init__(self, place: Path | str, base: Base) -> None:
        self._place = place
        self._base = base
        self._checked: dict[str, str] = {}  # settings to what is wrong with them
        self._size = lru_cache(maxsize=1 << 16)(_size)

    def item(self, row: object) -> tuple[Item | None, list[str]]:
        if isinstance(row, str):
            return None, [row]
        if not isinstance(row, dict):
            return None, [f"is no mapping of names to values but {type(row).__name__}"]
        found: list[str] = []
        id = self._text(row, "id", found)
        if id and not SAFE_ID.fullmatch(id):
            found.append(
                f"id {id:.120} is not a safe file name"
                " (letters, digits, '.', '_', '-'; at most 100)"
            )
        if id.partition(".")[0].lower() in _DEVICES or id.endswith("."):
            found.append(f"id {id!r} is not a safe file name on Windows")
        places: dict[str, str | None] = {"target": None}
        size = 0
        for role in ROLES:
            text = self._text(row, role, found)
            if text:
                size_of = self._placed(role, text, places, found)
                size = size_of if role == "content" else size
        settings = self._settings(row, found)
        if found:
            return None, found
        item = Item(
            id,
            str(places["content"]),
            str(places["style"]),
            places["target"],
            settings["stylize"],
            settings["reconstruct"],
            size,
        )
        return item, found

    def _text(self, row: dict[Any, Any], name: str, found: list[str]) -> str:
        value = row.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and name == "id":
            value = str(value)  # as YAML and JSON read 17
        if value in (None, ""):
            if name in COLUMNS:
                found.append(f"{name} is empty")
            return ""
        if not isinstance(value, str):
            found.append(f"{name} is no text but {type(value).__name__}")
            return ""
        if any(ord(sign) < 32 for sign in value):
            found.append(f"{name} {value!r:.120} holds control characters")
            return ""
        return value

    def _placed(self, role: str, text: str, places: dict[str, str | None], found: list[str]) -> int:
        """Note where a recording is; returns its size, 0 where it is still to be asked for."""
        if "://" in text and not is_uri(text):
            found.append(f"{role} {text:.120}: a path or s3://bucket/key is needed")
            return 0
        place = beside(self._place, text)
        places[role] = str(place)
        if isinstance(place, str):
            return 0
        size, problem = self._size(str(place))
        if problem:
            found.append(f"{role} {place}: {problem}")
        return size

    def _settings(self, row: dict[Any, Any], found: list[str]) -> dict[str, dict[str, Any]]:
        chosen: dict[str, dict[str, Any]] = {"stylize": {}, "reconstruct": {}}
        for name, value in row.items():
            if name in (*COLUMNS, "target") or value is None or value == "":
                continue
            stage, key = _setting(str(name))
            if not stage:
                found.append(f"{name!s:.80} is no column and no setting")
            elif not _plain(value):
                found.append(f"{name}: {type(value).__name__} is no value of a setting")
            else:
                chosen[stage][key] = value
        if any(chosen.values()):
            text = json.dumps(chosen, sort_keys=True)
            if text not in self._checked:
                self._checked[text] = self._problem(chosen)
            if self._checked[text]:
                found.append(self._checked[text])
        return chosen

    def _problem(self, chosen: dict[str, dict[str, Any]]) -> str:
        try:
            self._base.parsed(chosen["stylize"], chosen["reconstruct"], "settings")
        except InputError as error:
            return str(error)
        return ""


def _setting(name: str) -> tuple[str, str]:
    """The stage that a column is a setting of, and its name there; empty where it is none."""
    stage, dot, key = name.partition(".")
    known = {"stylize": StylizeConfig.model_fields, "reconstruct": ReconstructConfig.model_fields}
    if dot:
        return (stage, key) if key in known.get(stage, ()) else ("", "")
    return next(((stage, name) for stage, fields in known.items() if name in fields), ("", ""))


def _plain(value: object) -> bool:
    scalar = (str, int, float, bool)
    if isinstance(value, list):
        return len(value) < 100 and all(isinstance(part, scalar) for part in value)
    return isinstance(value, scalar)


def _size(path: str) -> tuple[int, str]:
    """Size of a file in bytes, and why it cannot be used."""
    try:
        file = Path(path)
        if not file.is_file():
            return 0, "is not a file" if file.exists() else "does not exist"
        return file.stat().st_size, ""
    except (OSError, ValueError) as error:
        return 0, f"cannot be read: {error}"


def _line(item: Item) -> str:
    return json.dumps(asdict(item), ensure_ascii=True) + "\n"


def _csv(name: str, text: str) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
    try:
        columns = list(reader.fieldnames or ())
        if missing := [name for name in COLUMNS if name not in columns]:
            raise InputError(f"{name}: line 1 lacks the column {', '.join(missing)}")
        unknown = [c for c in columns if c not in (*COLUMNS, "target") and not _setting(c)[0]]
        if unknown:
            raise InputError(f"{name}: line 1 has the unknown column {', '.join(unknown)!r:.200}")
        if len(set(columns)) < len(columns):
            raise InputError(f"{name}: line 1 names a column twice: {','.join(columns):.200}")
        for row in reader:
            if "" in row:
                yield reader.line_num, "has more fields than line 1 names"
                continue
            yield (
                reader.line_num,
                {
                    column: value if column in (*COLUMNS, "target") else _value(value or "")
                    for column, value in row.items()
                },
            )
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


def _yaml(name: str, text: str) -> Iterator[Row]:
    # libyaml is ten times as fast, where PyYAML was built with it.
    kind = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    loader = kind(text)
    try:
        # As in untrusted.py, which is without line numbers.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, kind)):
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


_KINDS: dict[str, Callable[[str, str], Iterator[Row]]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "ndjson": _jsonl,
    "yaml": _yaml,
    "yml": _yaml,
}
