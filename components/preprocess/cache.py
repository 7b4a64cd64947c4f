"""Spectrograms by the content that they are of, in a folder or a bucket.

The key is a hash of the audio file's bytes and of everything that decides what becomes of them; the
value one safetensors object, `magnitude` [clips, bins, frames] float32, with the key and a checksum
of the tensor's bytes in its header. An object that does not check out is as good as none.
"""

import logging
import math
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from audiostyle.artifacts import bytes_digest, digest_of
from audiostyle.errors import AudiostyleError, InputError
from audiostyle.retry import patiently
from audiostyle.spectrogram_config import SpectrogramConfig
from audiostyle.store import Entry, Store, StoreUnavailableError, open_store
from audiostyle.untrusted import json_value
from components.preprocess.config import CutConfig

log = logging.getLogger(__name__)

# Part of every key: raised when the same audio and settings come to give other numbers.
VERSION = 3
_ENDING = ".safetensors"
# Bytes of the largest object, windows of half an hour in one; and of its header, with room.
LARGEST, _HEADER = 1 << 30, 1 << 16
# Seconds of an outage that are waited out: a server that is started again needs 5 to 30.
PATIENCE = 90.0
# Objects that are not stored and are named in the log: of a full disk all of them.
_NAMED = 3

T = TypeVar("T")


@dataclass
class Counts:
    """What a cache did in a run, in files."""

    hits: int = 0
    computed: int = 0
    damaged: int = 0


class DamagedError(AudiostyleError):
    """An object of the cache is not what was written."""


class SpectrogramCache:
    """A cache that threads share. Raises the store's errors at once where it cannot be used.

    When the store stops answering in the middle of a run it is waited for; past all patience the
    run goes on without it, and says so: what is computed is right either way.
    """

    def __init__(self, store: Store | str | Path, *, patience: float = PATIENCE) -> None:
        """patience: seconds for which a store that stopped answering is asked again."""
        self.store = open_store(store) if isinstance(store, str | Path) else store
        self.store.check()
        self.counts = Counts()
        self._patience = patience
        self._lock = threading.Lock()
        self._lost = False
        self._refused = 0

    def get(
        self, key: str, shape: tuple[int, int, int] | None = None
    ) -> tuple[Tensor | None, bool]:
        """The spectrograms of a key, or None; and whether a damaged object is in their place.

        shape: that they must have. Whoever may write to the store may write another one.
        """
        most = _HEADER + 4 * math.prod(shape) if shape else LARGEST
        try:
            content = self._patiently(lambda: _read(self.store, _path(key), most))
            if content is None:
                return None, False
            magnitude = unpack(key, content)
            if shape and tuple(magnitude.shape) != shape:
                raise DamagedError(f"has shape {list(magnitude.shape)}; {list(shape)} is needed")
            # By numpy: torch takes ten times as long for it, half of the time of a hit.
            if not np.isfinite(magnitude.numpy()).all():
                raise DamagedError("holds values that are not finite")
        except DamagedError as error:
            log.warning("cache: %s/%s: %s; computed again", self.store.uri, _path(key), error)
            with self._lock:
                self.counts.damaged += 1
            return None, True
        with self._lock:
            self.counts.hits += 1
        return magnitude, False

    def put(self, key: str, magnitude: Tensor, *, replace: bool = False) -> None:
        """Keep spectrograms. Of several writers of a key the first wins; replace: the last does."""
        with self._lock:
            self.counts.computed += 1
        try:
            self._patiently(
                lambda: self.store.put(_path(key), pack(key, magnitude), absent=not replace)
            )
        except (OSError, InputError) as error:
            # A folder or a link in the object's place, a disk that is full: what is computed is
            # right all the same.
            with self._lock:
                self._refused += 1
                number = self._refused
            if number <= _NAMED:
                log.warning("cache: %s/%s: not stored: %s", self.store.uri, _path(key), error)
            if number == _NAMED:
                log.warning("cache: what else is not stored is not named")

    def _patiently(self, request: Callable[[], T]) -> T | None:
        """The request's answer, waited for through an outage; None without a store."""
        if self._lost:
            return None
        try:
            return patiently(request, self._patience, "cache", lost=lambda: self._lost)
        except StoreUnavailableError as error:
            self._lose(error)
            return None

    def _lose(self, error: StoreUnavailableError) -> None:
        with self._lock:
            if not self._lost:
                log.warning("cache: %s; going on without the cache", error)
            self._lost = True


def key_of(sha256: str, settings: str, numbers: range = range(1)) -> str:
    """Key of an audio file, by the SHA-256 of its bytes, under settings, by `settings_digest`.

    numbers: which of its clips.
    """
    return bytes_digest(f"{sha256} {settings} {numbers.start}-{numbers.stop}".encode())


def settings_digest(spectrogram: SpectrogramConfig, cut: CutConfig) -> str:
    """SHA-256 of the settings. The hop of windows matters to windows alone."""
    cutting = cut.plain()
    if cut.long != "windows":
        del cutting["hop_seconds"]
    return digest_of([VERSION, spectrogram.plain(), cutting])


def _read(store: Store, path: str, most: int) -> bytes | None:
    """An object's bytes. Raises DamagedError for one that is too large, or is no plain file."""
    try:
        return store.get(path, most=most, compare=False)
    except InputError as error:
        raise DamagedError(str(error)) from None


def _path(key: str) -> str:
    # 256 folders: no folder of a million names, and a listing by parts.
    return f"{key[:2]}/{key}{_ENDING}"


def pack(key: str, magnitude: Tensor) -> bytes:
    """One safetensors object. magnitude: [clips, bins, frames] float32."""
    magnitude = magnitude.contiguous()
    # CRC-32, as in zip and PNG: finds every flipped bit, at five times SHA-256's speed, which
    # would be half of the time that a hit takes. It guards against accidents, not against people.
    checksum = zlib.crc32(magnitude.numpy().tobytes())
    header = {"key": key, "crc32": f"{checksum:08x}"}
    return bytes(safetensors.torch.save({"magnitude": magnitude}, header))


def unpack(key: str, content: bytes) -> Tensor:
    """Spectrograms of an object, [clips, bins, frames] float32. Raises DamagedError."""
    try:
        size = int.from_bytes(content[:8], "little")
        header = json_value(content[8 : 8 + size])
        entry, metadata = header["magnitude"], header["__metadata__"]
        shape = [int(n) for n in entry["shape"]]
        body = memoryview(content)[8 + size :]
        # Python's numbers: numpy's product of 2^32 and 2^32 is 0.
        whole = 4 * math.prod(shape) == len(body) and min(shape) > 0 and entry["dtype"] == "F32"
        checksum, stored = int(metadata["crc32"], 16), metadata["key"]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise DamagedError(f"is no spectrogram: {error!r:.80}") from None
    if not whole or len(shape) != 3:
        raise DamagedError(f"is cut short or of another shape ({len(content)} bytes)")
    if zlib.crc32(body) != checksum:
        raise DamagedError("is damaged: its checksum is not the one stored in it")
    if stored != key:
        raise DamagedError(f"is the object of another key, {stored!s:.12}…")
    return torch.from_numpy(np.frombuffer(body, np.float32).reshape(shape).copy())


@dataclass(frozen=True)
class Stat:
    """How much a cache holds. oldest, newest: seconds since 1970."""

    objects: int
    bytes: int
    oldest: float
    newest: float


def stat(store: Store) -> Stat:
    """Count the objects of a cache."""
    objects = size = 0
    oldest, newest = float("inf"), 0.0
    for entry in _entries(store):
        objects, size = objects + 1, size + entry.size
        oldest, newest = min(oldest, entry.modified), max(newest, entry.modified)
    return Stat(objects, size, oldest, newest)


def prune(store: Store, *, before: float = 0.0, most: int | None = None) -> Iterator[Entry]:
    """Delete objects that are older than a time, and the oldest beyond `most` bytes.

    before: seconds since 1970. Yields what was deleted, which is computed again when it is needed.
    """
    young: list[Entry] = []
    for entry in _entries(store):
        if entry.modified < before:
            store.delete(entry.key)
            yield entry
        elif most is not None:
            young.append(entry)
    if most is None:
        return
    size = sum(entry.size for entry in young)
    for entry in sorted(young, key=lambda e: e.modified):
        if size <= most:
            return
        store.delete(entry.key)
        size -= entry.size
        yield entry


def verify(store: Store) -> Iterator[tuple[Entry, str]]:
    """Read every object; yields each with what is wrong with it, or an empty text."""
    for entry in _entries(store):
        key = Path(entry.key).name.removesuffix(_ENDING)
        try:
            content = _read(store, entry.key, LARGEST)
            if content is None:
                continue  # deleted meanwhile
            unpack(key, content)
        except DamagedError as error:
            yield entry, str(error)
        else:
            yield entry, ""


def _entries(store: Store) -> Iterator[Entry]:
    """Objects of the cache; a bucket or folder may hold other things, too."""
    for entry in store.list():
        folder, _, name = entry.key.partition("/")
        if name.endswith(_ENDING) and len(name) == 64 + len(_ENDING) and name[:2] == folder:
            yield entry
