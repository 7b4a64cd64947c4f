"""From an address to its store."""

import contextlib
from pathlib import Path

from audiostyle.errors import InputError
from audiostyle.store.base import Store, Stream
from audiostyle.store.folder import FolderStore
from audiostyle.uris import (
    file_path,
    is_address,
    require_no_secret,
    scheme_of,
    shown_address,
    split_object,
    split_s3,
)


def open_store(address: Path | str) -> Store:
    """The store at `s3://bucket/prefix`, `file:///folder`, or a plain path."""
    if isinstance(address, Path):
        return FolderStore(address)
    scheme = scheme_of(require_no_secret("store", address))
    if scheme == "s3":
        # boto3 takes a second to import, and a folder needs none of it.
        from audiostyle.store.s3 import S3Store

        return S3Store(*split_s3(address))
    if scheme == "file":
        return FolderStore(file_path(address))
    if is_address(address):
        raise InputError(
            f"{shown_address(address)}: is no store; use s3://bucket/prefix, file:///folder or a"
            " path"
        )
    return FolderStore(Path(address))


def open_object(address: str, start: int = 0) -> contextlib.AbstractContextManager[Stream]:
    """Read the object at an `s3://` or `file://` address from byte `start` on, as `Store.open`."""
    store, key = split_object(address)
    return open_store(store).open(key, start)
