"""The manifest of pairs: which content takes which style."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from audiostyle.errors import InputError
from audiostyle.manifest import Columns, one_of, rows, shard
from audiostyle.recordings import beside

COLUMNS = ("id", "content", "style")
# An id becomes a file name on any system: no separators, no leading dot or dash, no wild cards.
SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_COLUMNS = Columns(COLUMNS, one_of((*COLUMNS, "target")))


@dataclass(frozen=True)
class Pair:
    """Recordings to take content and style from; target is what an ideal transfer would give.

    Each is a file, or the URI of an object (`s3://bucket/key`) as text.
    """

    id: str
    content: Path | str
    style: Path | str
    target: Path | str | None = None

    def recordings(self) -> dict[str, Path | str]:
        """Role to path, of those that there are."""
        roles = {"content": self.content, "style": self.style, "target": self.target}
        return {role: path for role, path in roles.items() if path is not None}


def read_pairs(manifest: Path | str) -> list[Pair]:
    """Read a manifest with the columns id, content, style and optionally target.

    manifest: CSV, JSON lines or YAML by its ending; a file, or `s3://bucket/key`. Relative paths
    are relative to it; a recording may be `s3://bucket/key` anywhere. Checked whole: raises one
    InputError that names every bad line and why.
    """
    pairs = []
    problems = []
    lines: dict[str, int] = {}
    for row in rows(manifest, _COLUMNS):
        if reasons := [row.problem] if row.problem else _problems(row.cells, lines):
            problems.append(f"line {row.line}: {'; '.join(reasons)}")
            continue
        id, target = row.cells["id"], row.cells.get("target")
        lines[id] = row.line
        pairs.append(
            Pair(
                id,
                beside(manifest, row.cells["content"]),
                beside(manifest, row.cells["style"]),
                beside(manifest, target) if target else None,
            )
        )
    if problems:
        raise InputError(f"{manifest}: {len(problems)} bad rows\n  " + "\n  ".join(problems))
    if not pairs:
        raise InputError(f"{manifest}: has no rows")
    return pairs


def shard_of(pairs: list[Pair], index: int, count: int) -> list[Pair]:
    """The pairs of a shard, see `audiostyle.manifest.shard`. Raises InputError for one of none."""
    chosen = list(shard(pairs, index, count))
    if not chosen:
        raise InputError(f"shards: there are {len(pairs)} pairs, too few for {count} tasks")
    return chosen


def _problems(cells: Mapping[str, str], lines: Mapping[str, int]) -> list[str]:
    """What is wrong with a row. lines: of the ids before it."""
    reasons = [f"{name} is empty" for name in COLUMNS if not cells.get(name)]
    for role in ("content", "style", "target"):
        place = cells.get(role) or ""
        if "\0" in place:
            reasons.append(f"{role} {place!r:.120} holds a NUL")
    id = cells.get("id") or ""
    if id and not SAFE_ID.fullmatch(id):
        reasons.append(
            f"id {id!r:.120} is not a safe file name (letters, digits, '.', '_', '-'; at most 100)"
        )
    if id in lines:
        reasons.append(f"id {id!r} stands in line {lines[id]} already")
    return reasons
