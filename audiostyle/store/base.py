"""What every object store can do, and what can go wrong with any."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from audiostyle.errors import AudiostyleError, InputError

# Attempts of one request: botocore waits up to 1, 2 and 4 s in between. That rides out a busy
# server; longer outages are the business of audiostyle.retry.
ATTEMPTS = 4
CHUNK = 1 << 20  # bytes; a larger one makes no download faster


class StoreUnavailableError(AudiostyleError):
    """The store did not answer, or stopped in the middle: the same request may work later."""


class DamagedObjectError(StoreUnavailableError):
    """What the store sent is not the object, by the store's own checksum of it."""


@dataclass(frozen=True)
class Entry:
    """An object in a listing. size: bytes; modified: seconds since 1970."""

    key: str
    size: int
    modified: float


@dataclass(frozen=True)
class Checksum:
    """A checksum that a store knows of a whole object. algorithm: of hashlib; digest: in hex."""

    algorithm: str
    digest: str

    def check(self, uri: str, content: Iterator[bytes]) -> Iterator[bytes]:
        """Pass on an object's content. Raises DamagedObjectError at its end if it differs."""
        state = hashlib.new(self.algorithm, usedforsecurity=False)
        for chunk in content:
            state.update(chunk)
            yield chunk
        if state.hexdigest() != self.digest:
            raise DamagedObjectError(
                f"{uri}: is damaged: its {self.algorithm.upper()} is {state.hexdigest()},"
                f" the store expects {self.digest}"
            )


@dataclass(frozen=True)
class Stream:
    """An object that is being read.

    total: bytes of all of it; tag: changes when it does; checksum: of all of it, where the store
    knows one. Chunks from the first byte on are compared with it at their end.
    """

    total: int
    tag: str
    chunks: Iterator[bytes]
    checksum: Checksum | None = None


class Store(Protocol):
    """Objects by key: any text without parts that are `.` or `..`. Errors name the object's URI."""

    uri: str  # its address as a person would write it: s3://bucket/prefix, or a path

    def below(self, prefix: str) -> Self:
        """The same store's objects whose keys begin with `prefix/`, by the rest of their keys."""

    def check(self) -> None:
        """Raise InputError or StoreUnavailableError now rather than later."""

    def get(self, key: str, *, most: int | None = None, compare: bool = True) -> bytes | None:
        """The object's bytes; None where there is none.

        most: bytes; InputError for an object that has more. compare: with the store's checksum;
        objects that carry one of their own need no other.
        """

    def put(self, key: str, content: bytes, *, absent: bool = False) -> bool:
        """Write a whole object. absent: only where there is none. Returns whether it did."""

    def put_file(self, key: str, path: Path) -> None:
        """Write a whole object from a file, which must not be written to afterwards."""

    def size(self, key: str) -> int | None:
        """The object's size in bytes; None where there is none."""

    def tag(self, key: str) -> str | None:
        """A text that changes when the object does; None where there is none."""

    def list(self, prefix: str = "") -> Iterator[Entry]:
        """The objects whose keys begin with `prefix`, sorted by key."""

    def delete(self, key: str) -> None:
        """Delete an object; nothing happens where there is none."""

    def open(self, key: str, start: int = 0) -> contextlib.AbstractContextManager[Stream]:
        """Read an object from byte `start` on. Raises InputError where there is none."""


def require_key(key: str) -> str:
    """The key. Raises InputError where it is none, or has parts that lead elsewhere."""
    if not key or {".", ".."} & set(key.split("/")):
        raise InputError(
            f"key {key!r}: is no key; it must not be empty, nor have '.' or '..' parts"
        )
    return key


def require_size(uri: str, size: int, most: int | None) -> None:
    """Raise InputError where an object has more bytes than expected."""
    if most is not None and size > most:
        raise InputError(f"{uri}: has {size} bytes; {most} are the most that is read")
