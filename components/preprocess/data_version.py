"""What changes when the data set does, and does not when something else in its folder does."""

import hashlib
import json
import stat
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from audiostyle.artifacts import file_digest
from components.preprocess.data_set import AUTO, sources_of
from components.preprocess.extract import is_archive


def data_version(data: Path, layout: str = AUTO) -> str:
    """SHA-256 over the recordings of a data set, and over all that it says of them.

    Of an archive, over its bytes. Raises InputError where `data` is no data set.
    """
    if data.is_file() and is_archive(data):
        return file_digest(data)
    listing = sources_of(data, layout)
    files = ((asdict(source), listing.root / source.path) for source in listing.sources)
    return version_of([listing.definition.name, listing.definition.license], files)


def version_of(about: object, files: Iterable[tuple[object, Path]]) -> str:
    """SHA-256 over a JSON value, and over files, each with what is said of it."""
    digest = hashlib.sha256(json.dumps(about).encode())
    for said, path in files:
        digest.update(json.dumps([said, _content(path)], sort_keys=True).encode())
    return digest.hexdigest()


def _content(path: Path) -> str:
    """The hash of a file; empty where it cannot be read, which is for the stage to say."""
    try:
        return file_digest(path) if stat.S_ISREG(path.stat().st_mode) else ""
    except (OSError, ValueError):
        return ""
