"""Recordings by pattern, on this machine or in a bucket, and names for them."""

import glob
import re
from collections import Counter
from pathlib import Path

from audiostyle.artifacts import bytes_digest
from audiostyle.errors import InputError
from audiostyle.store import open_store
from audiostyle.uris import join_s3, split_s3
from components.stylize.pairs import is_uri

# Two names, a digest each and the dashes between them make an id of at most 100 characters.
_NAME = 40


def matching(pattern: str) -> list[str]:
    """Files or objects that a pattern names, sorted. Raises InputError where there is none."""
    if is_uri(pattern):
        bucket, keys = split_s3(pattern)
        fixed = re.split(r"[*?\[]", keys)[0]
        # As for files, * stays in its folder and ** does not.
        shape = re.compile(_shape(keys))
        entries = open_store(f"s3://{bucket}").list(fixed)
        found = [join_s3(bucket, entry.key) for entry in entries if shape.fullmatch(entry.key)]
    else:
        # Unlike Path.glob, this takes a pattern from the root on.
        paths = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207
        found = [str(Path(path).absolute()) for path in paths if Path(path).is_file()]
    if not found:
        raise InputError(f"{pattern}: matches no file")
    return found


def _shape(keys: str) -> str:
    """The pattern as a regular expression."""
    signs = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}

    def shaped(part: str) -> str:
        if len(part) > 2 and part[0] == "[":
            return part.replace("\\", "\\\\").replace("[!", "[^")
        return signs.get(part) or re.escape(part)

    return "".join(map(shaped, re.split(r"(\*\*/|\*|\?|\[[^\]]+\])", keys)))


def named(places: list[str]) -> dict[str, str]:
    """A name that is safe in a file's for each place; one that others have gets a digest, too."""
    names = {place: _safe(place) for place in places}
    times = Counter(name.casefold() for name in names.values())
    return {
        place: name if times[name.casefold()] == 1 else f"{name}-{bytes_digest(place.encode())[:6]}"
        for place, name in names.items()
    }


def _safe(place: str) -> str:
    stem = place.rpartition("/")[2].rpartition(".")[0] or place.rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9_]+", "-", stem).strip("-")[:_NAME].rstrip("-") or "audio"
