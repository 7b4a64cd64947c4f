"""Recordings by path or by `s3://bucket/key`; those in buckets are fetched once each, to files."""

import hashlib
import os
import posixpath
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from audiostyle.errors import AudioError, InputError
from audiostyle.store import Store, StoreUnavailableError, open_store
from audiostyle.store.base import require_key
from audiostyle.uris import (
    beside_s3,
    file_path,
    is_address,
    scheme_of,
    shown_address,
    split_object,
)

# Objects that are fetched at a time.
AT_A_TIME = 8
# Bytes of a file's name that every file system takes.
_NAME = 200


def is_object(place: Path | str) -> bool:
    """Whether a place is an object in a bucket."""
    return isinstance(place, str) and place.startswith("s3://")


def as_place(text: str) -> str:
    """A path or s3://bucket/key, from a path, file:// or s3:// as people write it.

    Raises InputError for any other address.
    """
    scheme = scheme_of(text)
    if scheme == "file":
        return str(file_path(text))
    if scheme == "s3":
        return f"s3://{text[5:]}"
    if is_address(text):
        where = shown_address(text)
        raise InputError(f"{where:.200}: a path, file:// or s3://bucket/key is needed")
    return text


def place_of(name: str, text: str) -> Path | str:
    """A path, or the URI of an object that can be one, as `as_place` reads it.

    name: of the argument. Raises InputError that begins with it.
    """
    try:
        place = as_place(text)
        if not is_object(place):
            return Path(place)
        require_key(split_object(place)[1])
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return place


def beside(manifest: Path | str, place: str) -> Path | str:
    """A recording that a manifest names; a relative path is relative to the manifest."""
    if is_object(place):
        return place
    if not is_object(manifest):
        return Path(manifest).parent / place
    if place.startswith("/"):
        return Path(place)
    return beside_s3(str(manifest), place)


def fetch(uri: str, target: Path, store: Store | None = None) -> str:
    """Copy an object to a file that is not there yet, in pieces; returns the object's tag.

    store: of the object's bucket, where it is open already. Raises InputError for an object that is
    missing, StoreUnavailableError where the store fails; no part of the file stays then.
    """
    bucket, key = split_object(uri)
    store = store or open_store(bucket)
    size = 0
    try:
        with store.open(key) as stream, target.open("xb") as file:
            for chunk in stream.chunks:
                file.write(chunk)
                size += len(chunk)
        if size != stream.total:
            raise StoreUnavailableError(f"{uri}: ended after {size} of {stream.total} bytes")
    except FileExistsError:
        raise
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return stream.tag


@contextmanager
def local_file(place: Path | str) -> Iterator[Path]:
    """The file of a recording: its own, or one that is fetched and removed at the end.

    An AudioError about the file names the place. Raises the errors of `fetch`.
    """
    if not is_object(place):
        yield Path(place)
        return
    with tempfile.TemporaryDirectory(prefix="audiostyle-") as folder:
        path = Path(folder) / _file_name(str(place))
        fetch(str(place), path)
        with naming_objects({path: place}):
            yield path


@contextmanager
def naming_objects(places: Mapping[Path, Path | str]) -> Iterator[None]:
    """Inside, an AudioError about a file that was fetched names the object instead.

    places: of each file.
    """
    try:
        yield
    except AudioError as error:
        place = places.get(Path(error.path))
        if place is None or not is_object(place):
            raise
        raise AudioError(place, error.reason) from None


@contextmanager
def output_file(place: Path | str, folder: Path) -> Iterator[Path]:
    """Where to write a recording: its path, or a file in `folder`, which then goes to its bucket.

    Raises StoreUnavailableError where the store fails.
    """
    if not is_object(place):
        yield Path(place)
        return
    bucket, key = split_object(str(place))
    path = folder / f"output{posixpath.splitext(key)[1].lower()}"
    yield path
    open_store(bucket).put_file(key, path)


class Recordings:
    """Files of recordings. Those from buckets are fetched into a folder, while there is room.

    As a context, it removes the folder at the end.
    """

    def __init__(self, folder: Path, most: int | None = None) -> None:
        """most: bytes beyond which files that were used longest ago are removed; None: no limit."""
        self._folder = folder
        self._most = most
        # Files and tags by URI, there or on their way, the last used last.
        self._files: OrderedDict[str, Future[tuple[Path, str]]] = OrderedDict()
        self._stores: dict[str, Store] = {}
        self._number = 0
        self._pool = ThreadPoolExecutor(AT_A_TIME, "recordings")

    def __enter__(self) -> Self:
        """The recordings themselves."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for what is on its way, and remove all that was fetched."""
        self._pool.shutdown(cancel_futures=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def local(
        self, places: Collection[Path | str], soon: Collection[Path | str] = ()
    ) -> dict[Path | str, tuple[Path, str]]:
        """Of each path or URI its file, and the object's tag (of paths, an empty text).

        soon: what is asked for next, which is fetched meanwhile. Should that fail, it is tried
        again when it is asked for. Raises the errors of `fetch`.
        """
        needed = [str(place) for place in places if is_object(place)]
        coming = [str(place) for place in soon if is_object(place)]
        self._make_room({*needed, *coming})
        for uri in (*needed, *coming):
            self._begin(uri)
        return {
            place: self._files[str(place)].result() if is_object(place) else (Path(place), "")
            for place in places
        }

    def _begin(self, uri: str) -> None:
        file = self._files.get(uri)
        if file is None or _failed(file):
            bucket, _ = split_object(uri)
            if bucket not in self._stores:
                self._stores[bucket] = open_store(bucket)
            self._number += 1
            self._files[uri] = self._pool.submit(
                self._fetch, uri, self._number, self._stores[bucket]
            )
        self._files.move_to_end(uri)

    def _fetch(self, uri: str, number: int, store: Store) -> tuple[Path, str]:
        # A folder each: objects of one name from several places keep that name.
        target = self._folder / str(number) / _file_name(uri)
        target.parent.mkdir(parents=True)
        try:
            return target, fetch(uri, target, store)
        except BaseException:
            shutil.rmtree(target.parent, ignore_errors=True)
            raise

    def _make_room(self, needed: set[str]) -> None:
        """Remove what was used longest ago beyond the most that is kept, but nothing needed."""
        if self._most is None:
            return
        files = {u: f.result()[0] for u, f in self._files.items() if f.done() and not _failed(f)}
        sizes = {uri: path.stat().st_size for uri, path in files.items()}
        size = sum(sizes.values())
        for uri, path in files.items():
            if size > self._most and uri not in needed:
                del self._files[uri]
                size -= sizes[uri]
                shutil.rmtree(path.parent)


def _failed(file: "Future[Any]") -> bool:
    return file.done() and file.exception() is not None


def _file_name(uri: str) -> str:
    """A name for an object's file: its own, or the end of one that is too long for a file."""
    name = uri.rpartition("/")[2]
    if name in ("", ".", "..") or "\0" in name:
        return "recording"
    if len(os.fsencode(name)) <= _NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    suffix = posixpath.splitext(name)[1]
    return digest + (suffix if len(suffix) < 10 else "")
