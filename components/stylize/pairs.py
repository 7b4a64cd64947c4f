"""The manifest of pairs: which content takes which style."""

import csv
import io
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

from audiostyle.errors import InputError
from audiostyle.store import open_store

COLUMNS = ("id", "content", "style")
# An id becomes a file name on any system: no separators, no leading dot or dash, no wild cards.
SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


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
    """Read a CSV with the columns id, content, style and optionally target.

    manifest: a file, or `s3://bucket/key`. Relative paths are relative to it; a recording may be
    `s3://bucket/key` anywhere. Checked whole: raises one InputError that names every bad line and
    why.
    """
    manifest = manifest if is_uri(manifest) else Path(manifest)
    try:
        with io.StringIO(read_bytes(manifest).decode("utf-8-sig"), newline="") as file:
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
        target = row.get("target")
        pairs.append(
            Pair(
                row["id"],
                beside(manifest, row["content"]),
                beside(manifest, row["style"]),
                beside(manifest, target) if target else None,
            )
        )
    if problems:
        raise InputError(f"{manifest}: {len(problems)} bad rows\n  " + "\n  ".join(problems))
    if not pairs:
        raise InputError(f"{manifest}: has no rows")
    return pairs


def shard_of(pairs: list[Pair], index: int, count: int) -> list[Pair]:
    """Every `count`-th pair from `index` on, which deals all pairs out among `count` tasks.

    Neighbours, often of one length, go to different tasks. Raises InputError where the shard is
    none of them, or has no pair.
    """
    if not 0 <= index < count:
        raise InputError(f"shard: must be one of 0 to {count - 1} (got {index})")
    if count > len(pairs):
        raise InputError(f"shards: there are {len(pairs)} pairs, too few for {count} tasks")
    return pairs[index::count]


def is_uri(place: Path | str) -> bool:
    """Whether a place is an object in a bucket."""
    return isinstance(place, str) and place.startswith("s3://")


def read_bytes(manifest: Path | str) -> bytes:
    """All of a manifest. Raises OSError, or InputError for an object that is missing."""
    if isinstance(manifest, Path):
        return manifest.read_bytes()
    folder, _, name = manifest.rpartition("/")
    content = open_store(folder).get(name)
    if content is None:
        raise InputError(f"{manifest}: cannot be read: there is no such object")
    return content


def beside(manifest: Path | str, place: str) -> Path | str:
    """A recording, whose relative path is relative to the manifest."""
    if is_uri(place):
        return place
    if isinstance(manifest, Path):
        return manifest.parent / place
    if place.startswith("/"):
        return Path(place)
    bucket, _, folder = manifest.removeprefix("s3://").rpartition("/")[0].partition("/")
    return f"s3://{bucket}/{posixpath.normpath(posixpath.join(folder, place))}"


def _problems(row: dict[str, str], seen: dict[str, int]) -> list[str]:
    found = []
    if "" in row:
        found.append("has more fields than line 1 names")
    found += [f"{name} is empty" for name in COLUMNS if not row.get(name)]
    for role in ("content", "style", "target"):
        if any(ord(sign) < 32 for sign in row.get(role) or ""):
            found.append(f"{role} {row[role]!r:.120} holds control characters")
    name = row.get("id") or ""
    if name and not SAFE_ID.fullmatch(name):
        found.append(
            f"id {name!r} is not a safe file name (letters, digits, '.', '_', '-'; at most 100)"
        )
    if name in seen:
        found.append(f"id {name!r} stands in line {seen[name]} already")
    return found
