"""From a row of a manifest to an item, or to all that is wrong with it."""

import json
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from audiostyle.errors import InputError
from components.reconstruct.config import ReconstructConfig
from components.stylize.config import StylizeConfig
from components.stylize.pairs import COLUMNS, SAFE_ID, beside, is_uri
from pipeline.bulk.items import Base, Item

ROLES = ("content", "style", "target")
# The columns of every manifest; all others are settings.
FIXED = (*COLUMNS, "target")
# Names that Windows keeps for devices, whatever follows the first dot.
_DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}


class Reader:
    """Makes items of rows; what several rows name is looked at once.

    place: the manifest that relative paths are relative to.
    """

    def __init__(self, place: Path | str, base: Base) -> None:
        self._place = place
        self._size = lru_cache(maxsize=1 << 16)(_size)
        self._problem = lru_cache(maxsize=1 << 12)(partial(_problem, base))

    def item(self, row: object) -> tuple[Item | None, list[str]]:
        """The item, or None and what is wrong. The sizes of objects are left to be asked for."""
        if isinstance(row, str):
            return None, [row]
        if not isinstance(row, dict):
            return None, [f"is no mapping of names to values but {type(row).__name__}"]
        found: list[str] = []
        id = _text(row, "id", found)
        if id and not SAFE_ID.fullmatch(id):
            found.append(
                f"id {id:.120} is not a safe file name"
                " (letters, digits, '.', '_', '-'; at most 100)"
            )
        if id.partition(".")[0].lower() in _DEVICES or id.endswith("."):
            found.append(f"id {id!r} is not a safe file name on Windows")
        places = {role: self._placed(row, role, found) for role in ROLES}
        settings = self._settings(row, found)
        if found:
            return None, found
        content, style, target = (place for place, _ in places.values())
        size = places["content"][1]
        return Item(id, content, style, target or None, **settings, size=size), found

    def _placed(self, row: dict[Any, Any], role: str, found: list[str]) -> tuple[str, int]:
        """Where a recording is, and its size, 0 where that is still to be asked for."""
        text = _text(row, role, found)
        if not text:
            return "", 0
        if "://" in text and not is_uri(text):
            found.append(f"{role} {text:.120}: a path or s3://bucket/key is needed")
            return "", 0
        place = beside(self._place, text)
        if isinstance(place, str):
            return place, 0
        size, problem = self._size(str(place))
        if problem:
            found.append(f"{role} {place}: {problem}")
        return str(place), size

    def _settings(self, row: dict[Any, Any], found: list[str]) -> dict[str, dict[str, Any]]:
        chosen: dict[str, dict[str, Any]] = {"stylize": {}, "reconstruct": {}}
        for name, value in row.items():
            if name in FIXED or value is None or value == "":
                continue
            stage, key = setting_of(str(name))
            if not stage:
                found.append(f"{name!s:.80} is no column and no setting")
            elif not _plain(value):
                found.append(f"{name}: {type(value).__name__} is no value of a setting")
            else:
                chosen[stage][key] = value
        if any(chosen.values()) and (problem := self._problem(json.dumps(chosen, sort_keys=True))):
            found.append(problem)
        return chosen


def setting_of(column: str) -> tuple[str, str]:
    """The stage that a column is a setting of, and its name there; empty where it is none."""
    stage, dot, key = column.partition(".")
    known = {"stylize": StylizeConfig.model_fields, "reconstruct": ReconstructConfig.model_fields}
    if dot:
        return (stage, key) if key in known.get(stage, ()) else ("", "")
    return next(((stage, column) for stage, fields in known.items() if column in fields), ("", ""))


def _text(row: dict[Any, Any], name: str, found: list[str]) -> str:
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


def _plain(value: object) -> bool:
    scalar = (str, int, float, bool)
    if isinstance(value, list):
        return len(value) < 100 and all(isinstance(part, scalar) for part in value)
    return isinstance(value, scalar)


def _problem(base: Base, settings: str) -> str:
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
