"""A data set as a manifest: path and label of every recording, in CSV, JSON lines or YAML."""

import unicodedata
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from audiostyle.errors import InputError
from audiostyle.manifest import Columns, one_of, rows
from audiostyle.splitting import SPLITS
from components.preprocess.datasets.base import Definition, Source, relative

NAMES = tuple(
    f"{name}.{ending}" for name in ("manifest", "clips") for ending in ("csv", "jsonl", "yaml")
)
_FIELDS = ("path", "label", "split", "fold", "group", "source_id", "license", "source")
# How the column `license` was called up to version 0.1.
OLD_LICENSE = "licence"
_COLUMNS = Columns(("path", "label"), one_of((*_FIELDS, OLD_LICENSE)))


def find(root: Path) -> Path | None:
    """The manifest that lies in a folder."""
    return next((root / name for name in NAMES if (root / name).is_file()), None)


def read(root: Path, manifest: Path) -> list[Source]:
    """Recordings of a manifest. root: what the paths that are returned are relative to.

    Raises InputError naming file, line and field: a column that is not known, a path that leaves
    the manifest's folder, a split that is none, a group in two folds or splits.
    """
    sources: list[Source] = []
    lines: dict[PurePosixPath, int] = {}
    folder = PurePosixPath(relative(manifest.parent, root))
    for row in rows(manifest, _COLUMNS):
        where = f"{manifest}: line {row.line}"
        if row.problem:
            raise InputError(f"{where}: {row.problem}")
        if {"license", OLD_LICENSE} <= row.cells.keys():
            raise InputError(f"{where}: {OLD_LICENSE}: is the former name of license; give one")
        cells = with_license(row.cells)
        cells = {n: t.strip() for n, t in cells.items() if n not in ("path", "source")}
        path = row.cells.get("path", "")
        for name, text in (("path", path.strip()), ("label", cells.get("label", ""))):
            if not text:
                raise InputError(f"{where}: {name}: is missing")
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts:
            raise InputError(f"{where}: path: {path} leaves the manifest's folder")
        if (first := lines.setdefault(pure, row.line)) != row.line:
            raise InputError(f"{where}: path: {path} stands in line {first} already")
        if cells.get("split") and cells["split"] not in SPLITS:
            raise InputError(
                f"{where}: split: {cells['split']!r} must be one of {', '.join(SPLITS)}"
            )
        cells["label"] = unicodedata.normalize("NFC", cells["label"])
        sources.append(Source(str(folder / pure), **cells))
    if not sources:
        raise InputError(f"{manifest}: has no rows")
    for part in ("split", "fold"):
        _require_one_part_a_group(manifest, sources, part)
    return sources


def with_license(cells: Mapping[str, str]) -> dict[str, str]:
    """Cells with the license under today's name of its column.

    >>> with_license({"path": "a.wav", "licence": "CC0"})
    {'path': 'a.wav', 'license': 'CC0'}
    """
    return {"license" if name == OLD_LICENSE else name: text for name, text in cells.items()}


def _require_one_part_a_group(manifest: Path, sources: list[Source], part: str) -> None:
    parts: dict[str, str] = {}
    for source in sources:
        value = getattr(source, part)
        if source.group and parts.setdefault(source.group, value) != value:
            raise InputError(
                f"{manifest}: group {source.group!r} is in two {part}s,"
                f" {parts[source.group]!r} and {value!r}"
            )


DEFINITION = Definition(
    "manifest", find, read, needs=f"{', '.join(NAMES[:-1])} or {NAMES[-1]}", rank=91
)
