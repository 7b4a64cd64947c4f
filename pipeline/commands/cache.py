"""The commands `audiostyle cache`: the spectrogram cache."""

import time
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import click

from audiostyle.command import Group
from audiostyle.errors import InputError
from audiostyle.option_types import Number
from audiostyle.terminal import say, say_fields
from pipeline.commands.answers import Answer, answering

if TYPE_CHECKING:
    from audiostyle.store import Store

_URI = click.argument("uri")


@click.group(cls=Group, short_help="Inspect and clean a cache of spectrograms.")
def cache() -> None:
    """The spectrogram cache at URI: s3://bucket/prefix, file:///folder, or a path."""


@cache.command()
@_URI
@answering("cache-stat")
def stat(uri: str) -> Answer:
    """Count the objects in the cache."""
    from components.preprocess import cache as spectrograms

    totals = spectrograms.stat(_store(uri))
    fields: list[tuple[str, object]] = [("objects", totals.objects), ("bytes", totals.bytes)]
    if totals.objects:
        fields += [("oldest", _when(totals.oldest)), ("newest", _when(totals.newest))]
    value = {
        "objects": totals.objects,
        "bytes": totals.bytes,
        "oldest": _when(totals.oldest, "T") if totals.objects else None,
        "newest": _when(totals.newest, "T") if totals.objects else None,
    }
    return Answer(value, partial(say_fields, fields))


@cache.command()
@_URI
@click.option("--older-than", type=Number(0, 1e6), metavar="DAYS", help="Delete these.")
@click.option("--max-gb", type=Number(0, 1e9), help="Delete the oldest beyond this size.")
@answering("cache-prune")
def prune(uri: str, older_than: float | None, max_gb: float | None) -> Answer:
    """Delete old objects; they are computed again when needed."""
    from components.preprocess import cache as spectrograms

    if older_than is None and max_gb is None:
        raise InputError("prune: give --older-than, --max-gb, or both")
    store = _store(uri)
    before = 0.0 if older_than is None else time.time() - older_than * 86400
    most = None if max_gb is None else int(max_gb * 1e9)
    objects = size = 0
    for entry in spectrograms.prune(store, before=before, most=most):
        objects, size = objects + 1, size + entry.size
    line = f"deleted {objects} objects, {size} bytes"
    return Answer.lines({"objects": objects, "bytes": size}, [line])


@cache.command()
@_URI
@click.option("--delete", is_flag=True, help="Delete what is damaged.")
@answering("cache-verify")
def verify(uri: str, delete: bool) -> Answer:
    """Read every object and check it; exits with 1 where some are damaged and stay."""
    from components.preprocess import cache as spectrograms

    store = _store(uri)
    good = 0
    damaged = []
    for entry, reason in spectrograms.verify(store):
        if not reason:
            good += 1
            continue
        damaged.append({"object": f"{store.uri}/{entry.key}", "reason": reason})
        say(f"{store.uri}/{entry.key}: {reason}")
        if delete:
            store.delete(entry.key)
    deleted = bool(delete and damaged)
    line = f"{good} good, {len(damaged)} damaged{', deleted' * deleted}"
    value = {"good": good, "damaged": damaged, "deleted": deleted}
    return Answer.lines(value, [line], 1 if damaged and not delete else 0)


def _store(uri: str) -> "Store":
    """The store of a cache that is there. Raises InputError for a folder that is not."""
    from audiostyle.store import open_store

    store = open_store(uri)
    store.check()
    if (folder := getattr(store, "folder", None)) and not folder.is_dir():
        raise InputError(f"{uri}: does not exist")
    return store


def _when(seconds: float, separator: str = " ") -> str:
    return datetime.fromtimestamp(seconds).astimezone().isoformat(separator, "seconds")
