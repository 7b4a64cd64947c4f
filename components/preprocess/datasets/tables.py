"""A data set as a manifest: CSV or JSON lines with path and label of every recording."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from audiostyle.errors import InputError
from audiostyle.spectrogram_set import SPLITS
from audiostyle.untrusted import json_value
from components.preprocess.datasets.layout import Layout, Source, rows

NAMES = ("manifest.csv", "manifest.jsonl", "clips.csv", "clips.jsonl")
_COLUMNS = ("path", "label", "split", "fold", "group", "source_id", "licence", "source")


def is_manifest(path: Path) -> bool:
    """Whether a file's name says that it is a manifest."""
    return path.suffix.lower() in (".csv", ".jsonl")


def _find(root: Path) -> Path | None:
    return next((root / name for name in NAMES if (root / name).is_file()), None)


def read(root: Path, manifest: Path) -> list[Source]:
    """Recordings of a manifest. root: of the paths in it, its own folder for most.

    Raises InputError naming file, line and field: a column that is not known, a path that leaves
    the folder, a split that is none, a group in two folds or splits.
    """
    found: list[Source] = []
    for line, row in _table(manifest):
        where = f"{manifest}: line {line}"
        if unknown := [name for name in row if name not in _COLUMNS]:
            raise InputError(f"{where}: {unknown[0]}: is none of {', '.join(_COLUMNS)}")
        values = {
            name: "" if value is None else str(value).strip()
            for name, value in row.items()
            if name != "source"
        }
        for name in ("path", "label"):
            if not values.get(name):
                raise InputError(f"{where}: {name}: is missing")
        pure = PurePosixPath(values["path"])
        if pure.is_absolute() or ".." in pure.parts:
            raise InputError(f"{where}: path: {values['path']} leaves the manifest's folder")
        if values.get("split") and values["split"] not in SPLITS:
            raise InputError(f"{where}: split: {values['split']!r} is none of {', '.join(SPLITS)}")
        found.append(Source(**values))
    for part in ("split", "fold"):
        _one_part_a_group(manifest, found, part)
    return found


def _one_part_a_group(manifest: Path, found: list[Source], part: str) -> None:
    parts: dict[str, str] = {}
    for source in found:
        value = getattr(source, part)
        if source.group and parts.setdefault(source.group, value) != value:
            raise InputError(
                f"{manifest}: group {source.group!r} is in two {part}s,"
                f" {parts[source.group]!r} and {value!r}"
            )


def _table(manifest: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    if manifest.suffix.lower() == ".csv":
        yield from enumerate(rows(manifest, ("path", "label")), 2)
        return
    try:
        with manifest.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    row = json_value(line)
                    if not isinstance(row, dict):
                        raise InputError(f"{manifest}: line {number} is no object: {line:.60}")
                    yield number, row
    except ValueError as error:
        raise InputError(f"{manifest}: is no JSON lines: {error}") from None


LAYOUTS = (Layout("manifest", _find, read),)
