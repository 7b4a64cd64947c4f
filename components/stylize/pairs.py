"""The manifest of pairs: which content takes which style."""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from audiostyle.errors import InputError

COLUMNS = ("id", "content", "style")
# An id becomes a file name on any system: no separators, no leading dot or dash, no wild cards.
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Pair:
    """Recordings to take content and style from; target is what an ideal transfer would give."""

    id: str
    content: Path
    style: Path
    target: Path | None = None

    def recordings(self) -> dict[str, Path]:
        """Role to path, of those that there are."""
        roles = {"content": self.content, "style": self.style, "target": self.target}
        return {role: path for role, path in roles.items() if path is not None}


def read_pairs(manifest: Path | str) -> list[Pair]:
    """Read a CSV with the columns id, content, style and optionally target.

    Relative paths are relative to the manifest. Checked whole: raises one InputError that names
    every bad line and why.
    """
    manifest = Path(manifest)
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey="", strict=True)
            rows = list(reader)
            columns = list(reader.fieldnames or ())
    except OSError as error:
        raise InputError(f"{manifest}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{manifest}: is not a CSV file in UTF-8: {error}") from None
    if missing := [name for name in COLUMNS if name not in columns]:
        raise InputError(
            f"{manifest}: line 1 lacks the column {', '.join(missing)}"
            f" (id,content,style are needed, target is optional; got {','.join(columns)})"
        )
    if unknown := [name for name in columns if name not in (*COLUMNS, "target")]:
        raise InputError(f"{manifest}: line 1 has the unknown column {', '.join(unknown)!r}")
    pairs = []
    problems = []
    seen: dict[str, int] = {}
    for line, row in enumerate(rows, 2):
        found = _problems(row, seen)
        if found:
            problems.append(f"line {line}: {'; '.join(found)}")
            continue
        seen[row["id"]] = line
        root = manifest.parent
        target = row.get("target")
        pairs.append(
            Pair(
                row["id"],
                root / row["content"],
                root / row["style"],
                root / target if target else None,
            )
        )
    if problems:
        raise InputError(f"{manifest}: {len(problems)} bad rows\n  " + "\n  ".join(problems))
    if not pairs:
        raise InputError(f"{manifest}: has no rows")
    return pairs


def _problems(row: dict[str, str], seen: dict[str, int]) -> list[str]:
    found = []
    if "" in row:
        found.append("has more fields than line 1 names")
    found += [f"{name} is empty" for name in COLUMNS if not row.get(name)]
    name = row.get("id") or ""
    if name and not _ID.fullmatch(name):
        found.append(
            f"id {name!r} is not a safe file name (letters, digits, '.', '_', '-'; at most 100)"
        )
    if name in seen:
        found.append(f"id {name!r} stands in line {seen[name]} already")
    return found
