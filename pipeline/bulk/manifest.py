"""What a bulk job is to do: rows of a manifest, or every content in every style; checked whole."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from audiostyle.errors import InputError
from audiostyle.manifest import Columns, Row, rows
from audiostyle.recordings import as_place, beside, is_object
from audiostyle.uris import split_object
from components.reconstruct.config import ReconstructConfig
from components.stylize.config import StylizeConfig
from components.stylize.pairs import COLUMNS, SAFE_ID
from pipeline.bulk.checking import checked
from pipeline.bulk.globs import matching, named
from pipeline.bulk.items import Base, Item, Items
from pipeline.styles import MOST, Style, shares_of, style_of

log = logging.getLogger(__name__)

# The columns of every manifest; all others are settings.
_STYLES = ("style", *(f"style_{number}" for number in range(2, MOST + 1)))
_TEXT = frozenset((*COLUMNS, "target", *_STYLES))
_FIXED = _TEXT | {"shares"}
# Names that Windows keeps for devices, whatever follows the first dot.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}

# Names of settings by stage. Which file a network's weights are is the job's to say: it is looked
# at before the first item.
_SETTINGS = {
    "stylize": frozenset(StylizeConfig.model_fields) - {"network", "weights", "weights_sha256"},
    "reconstruct": frozenset(ReconstructConfig.model_fields),
}


def read(manifest: Path | str, base: Base, path: Path) -> Items:
    """Check a manifest whole and write its items to the file `path`.

    manifest: CSV, JSON lines or YAML by its ending; a file or s3://. Columns id, content, style,
    optionally target, style_2 to style_20 and shares (see `styles.style_of`), and settings:
    `stylize.NAME`, `reconstruct.NAME`, or a name that only one of
    the two stages has. Relative paths are relative to it.

    Raises one InputError that names every bad row's line and why.
    """
    columns = Columns(COLUMNS, _column_problem, lambda name: name in _TEXT)
    place = manifest if is_object(manifest) else Path(manifest)
    reader = _Reader(place, base)
    return checked(str(manifest), map(reader.item, rows(place, columns)), path)


def product(
    contents: str,
    styles: str | Style,
    path: Path,
    written: Callable[[Sequence[str]], set[str]] = lambda places: set(),
) -> Items:
    """Every content in every style, written to the file `path`.

    contents, styles: patterns of files (`**` reaches into folders) or of objects, s3://bucket/….
    An id is made of both names. With a style of several recordings, there is one result of each
    content, and its name is the id. written: those of some places that the job itself has written,
    which are left out. Raises InputError for a pattern that nothing matches, and for a recording
    that does not exist.
    """
    content_ids = named(_matching(contents, written))
    if isinstance(styles, Style):
        return checked(contents, _in_style(content_ids, styles), path)
    style_ids = named(_matching(styles, written))
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
    return checked(f"{contents} x {styles}", ((item, 0, []) for item in items), path)


def _matching(pattern: str, written: Callable[[Sequence[str]], set[str]]) -> list[str]:
    places = matching(pattern)
    own = written(places)
    if own and len(own) == len(places):
        raise InputError(f"{pattern}: matches nothing but results of this job")
    if own:
        log.info(
            "%s: %d files are left out: earlier calls of this job wrote them", pattern, len(own)
        )
    return [place for place in places if place not in own]


def _in_style(
    content_ids: dict[str, str], style: Style
) -> Iterator[tuple[Item | None, int, list[str]]]:
    first, *others = (str(x if is_object(x) else Path(x).absolute()) for x in style.places)
    wrong = [
        f"style {place}: {problem}"
        for place in (first, *others)
        if not is_object(place) and (problem := _size(place)[1])
    ]
    for content, id in content_ids.items():
        size = 0 if is_object(content) else _size(content)[0]
        shares = list(style.shares)
        yield Item(id, content, first, size=size, more_styles=others, shares=shares), 0, wrong
        wrong = []


class _Reader:
    """Makes items of rows; what several rows name is looked at once.

    manifest: what relative paths are relative to.
    """

    def __init__(self, manifest: Path | str, base: Base) -> None:
        self._manifest = manifest
        self._size = lru_cache(maxsize=1 << 16)(_size)
        self._problem = lru_cache(maxsize=1 << 12)(partial(_settings_problem, base))
        # A folder, or a class of a data set, is looked through once.
        self._style = lru_cache(maxsize=1 << 12)(partial(style_of, manifest=manifest))

    def item(self, row: Row) -> tuple[Item | None, int, list[str]]:
        """The item, or None, the row's line, and what is wrong. Sizes of objects are unknown."""
        if row.problem:
            return None, row.line, [row.problem]
        wrong: list[str] = []
        id = _text(row, "id", wrong)
        if id and not SAFE_ID.fullmatch(id):
            wrong.append(
                f"id {id!r:.120} is not a safe file name"
                " (letters, digits, '.', '_', '-'; at most 100)"
            )
        if id.partition(".")[0].lower() in _DEVICES or id.endswith("."):
            wrong.append(f"id {id!r} is not a safe file name on Windows")
        content, size = self._placed(row, "content", wrong)
        style, *others = self._styled(row, wrong) or [("", 1.0)]
        target, _ = self._placed(row, "target", wrong)
        settings = self._settings(row, wrong)
        if wrong:
            return None, row.line, wrong
        item = Item(
            id,
            content,
            style[0],
            target or None,
            settings["stylize"],
            settings["reconstruct"],
            size=size,
            more_styles=[place for place, _ in others],
            shares=[share for _, share in (style, *others)],
            line=row.line,
        )
        return item, row.line, wrong

    def _styled(self, row: Row, wrong: list[str]) -> list[tuple[str, float]]:
        """The recordings of the style, with the share of each."""
        texts = tuple(text for name in _STYLES if (text := _text(row, name, wrong)))
        if not texts or not row.cells.get("style"):
            return []  # which `_text` has named
        try:
            style = self._style(texts, tuple(shares_of(row.cells.get("shares"))))
        except InputError as error:
            named = str(error).startswith(("style: ", "shares: "))
            wrong.append(str(error) if named else f"style {error}")
            return []
        places = [str(place) for place in style.places]
        for place in places:
            problem = _object_problem(place) if is_object(place) else self._size(place)[1]
            if problem:
                wrong.append(f"style {place}: {problem}")
        return list(zip(places, style.shares, strict=True))

    def _placed(self, row: Row, role: str, wrong: list[str]) -> tuple[str, int]:
        """Where a recording is, and its size, 0 where that is still to be asked for."""
        text = _text(row, role, wrong)
        if not text:
            return "", 0
        try:
            text = as_place(text)
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


def _object_problem(address: str) -> str:
    try:
        split_object(address)
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
