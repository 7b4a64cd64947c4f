"""Recordings by pattern, on this machine or in a bucket, and names for them."""

import glob
import os
import re
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from audiostyle.artifacts import bytes_digest
from audiostyle.errors import InputError
from audiostyle.recordings import is_object
from audiostyle.store import open_store
from audiostyle.uris import join_s3, split_s3

# Two names, a digest each and the dashes between them make an id of at most 100 characters.
_NAME = 40
_WILD = re.compile(r"[*?\[]")


def matching(pattern: str) -> list[str]:
    """Files or objects that match a pattern, sorted. Raises InputError where none does.

    `*`, `?` and `[…]` stay in their folder, `**` reaches into folders below. Names that begin with
    a dot match only where the pattern has the dot: they are what file browsers leave behind.
    """
    if is_object(pattern):
        bucket, keys = split_s3(pattern)
        parts = _parts(keys)
        entries = open_store(f"s3://{bucket}").list(_WILD.split(keys)[0])
        # A key that ends in a slash stands for a folder.
        places = [
            join_s3(bucket, entry.key)
            for entry in entries
            if not entry.key.endswith("/") and _matches(entry.key.split("/"), parts)
        ]
    else:
        # Unlike Path.glob, this takes a pattern from the root on.
        paths = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
        places = [str(Path(path).absolute()) for path in paths if Path(path).is_file()]
    if not places:
        raise InputError(f"{pattern}: matches no file")
    return places


def _parts(keys: str) -> list[str]:
    """The pattern of each name on the way; `**` after `**` says nothing new."""
    parts: list[str] = []
    for part in keys.split("/"):
        if part != "**" or parts[-1:] != ["**"]:
            parts.append(part)
    return parts


def _matches(names: Sequence[str], parts: Sequence[str]) -> bool:
    if not parts:
        return not names
    part, *rest = parts
    if part == "**":
        if rest and _matches(names, rest):
            return True
        hidden = not names or names[0].startswith(".")
        return not hidden and ((not rest and len(names) == 1) or _matches(names[1:], parts))
    if not names or (names[0].startswith(".") and not part.startswith(".")):
        return False
    same = fnmatchcase(names[0], part) if _WILD.search(part) else names[0] == part
    return same and _matches(names[1:], rest)


def named(places: list[str]) -> dict[str, str]:
    """A name that is safe in a file's for each place; one that others have gets a digest, too."""
    names = {place: _safe(place) for place in places}
    times = Counter(name.casefold() for name in names.values())
    return {
        place: name
        if times[name.casefold()] == 1
        else f"{name}-{bytes_digest(os.fsencode(place))[:6]}"
        for place, name in names.items()
    }


def _safe(place: str) -> str:
    stem = place.rpartition("/")[2].rpartition(".")[0] or place.rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9_]+", "-", stem).strip("-")[:_NAME].rstrip("-") or "audio"
