"""One file from http(s), s3:// or a folder to the disk: resumed after every break, and verified.

Bytes go to NAME.part, from the byte where that ends, as long as the server's copy is the one that
was begun; the whole gets its name when its hash is right.
"""

import contextlib
import errno
import fcntl
import logging
import os
import random
import stat
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import requests

from audiostyle.errors import AudiostyleError, InputError
from audiostyle.files import write_text
from audiostyle.progress import bar
from audiostyle.store import CHUNK, StoreUnavailableError, Stream, open_object
from audiostyle.uris import host_of, scheme_of, shown_address, without_secrets
from components.preprocess.disk import require_space
from components.preprocess.hashes import Hash, parse

log = logging.getLogger(__name__)

_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Patience:
    """How often a download that makes no progress is tried again, after 1, 2, 4 … `longest` s.

    Attempts that brought bytes do not count: a bad line gets there in the end.
    """

    attempts: int = 6
    first: float = 1.0
    longest: float = 30.0

    def wait(self, failures: int) -> None:
        """Sleep before the next attempt; half of the time is random, so that clients spread."""
        longest = min(self.longest, self.first * 2 ** (failures - 1))
        time.sleep(longest * random.uniform(0.5, 1))  # noqa: S311, no secret


class _BrokenError(AudiostyleError):
    """An attempt that broke off; the next may go on."""


def download(
    uri: str,
    target: Path,
    *,
    hash: str = "",
    size: int | None = None,
    patience: Patience | None = None,
) -> Path:
    """Fetch a file to `target`; returns `target`. One that is there and right is kept.

    hash: as `hashes.parse` takes it, or empty for none. size: bytes, where known.
    Raises InputError where the file is missing, of another size or of another hash, and
    AudiostyleError where the disk is full or the server does not answer. A `.part` stays after a
    break, none after a wrong hash.
    """
    expected = parse(hash) if hash else None
    if target.parent.is_symlink():
        raise InputError(f"{target.parent}: is a link; a folder is needed to download to")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_file() and not target.is_symlink():
        if not expected or expected.of(target) == expected.digits:
            return target
        target.unlink()
    url = uri if "://" in uri else Path(uri).absolute().as_uri()
    fetch = _Resuming(target, size, patience or Patience())
    try:
        fetch(url, uri, expected)
    except OSError as error:
        raise AudiostyleError(
            f"{target}: cannot be written: {error.strerror or error}; what came is in"
            f" {fetch.part.name}"
        ) from None
    return target


class _Resuming:
    """A download that leaves a part behind where it breaks off, and goes on from one."""

    def __init__(self, target: Path, size: int | None, patience: Patience) -> None:
        self._target = target
        self.part = target.with_name(f"{target.name}.part")
        self._tag = target.with_name(f"{target.name}.part.tag")
        self._size, self._patience = size, patience

    def __call__(self, url: str, name: str, expected: Hash | None) -> None:
        """Fetch `url`, which errors call `name`, into the part, and give that the file's name."""
        with _part(self.part) as file:
            try:
                self._fetch(url, file)
                file.flush()
                if expected and (digits := expected.of(self.part)) != expected.digits:
                    raise InputError(
                        f"{shown_address(name)}: expected {expected.title} {expected.digits},"
                        f" got {digits}; the download was deleted"
                    )
                self.part.replace(self._target)
                self._tag.unlink(missing_ok=True)
            except InputError:
                self._forget()  # of another size or hash, or gone: there is nothing to go on with
                raise
            finally:
                if self.part.exists() and not self.part.stat().st_size:
                    self._forget()

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self._tag.unlink(missing_ok=True)

    def _fetch(self, url: str, file: IO[bytes]) -> None:
        failures = 0
        while True:
            before = file.tell()
            try:
                if self._once(url, file):
                    return
                error: AudiostyleError = _BrokenError(f"{shown_address(url)}: ended too early")
            except (_BrokenError, StoreUnavailableError) as broken:
                error = broken
            # Ended, but not with all the bytes; or broken off.
            failures = 1 if file.tell() > before else failures + 1
            if failures >= self._patience.attempts:
                raise AudiostyleError(
                    f"{error} ({failures} attempts without progress;"
                    f" {file.tell()} bytes are in {self.part})"
                )
            log.warning("download: %s; going on from byte %d", error, file.tell())
            self._patience.wait(failures)

    def _once(self, url: str, file: IO[bytes]) -> bool:
        """One attempt. Tells whether the file is whole."""
        tag = self._tag.read_text(encoding="utf-8") if _is_plain(self._tag) else ""
        with _source(url, file.tell() if tag else 0) as (start, stream):
            if self._size is not None and stream.total not in (-1, self._size):
                raise InputError(
                    f"{shown_address(url)}: has {stream.total} bytes, {self._size} are expected;"
                    " nothing was stored"
                )
            if start != file.tell() or stream.tag != tag:
                if start:
                    # The file was changed meanwhile: the next attempt starts over.
                    self._tag.unlink(missing_ok=True)
                    return False
                file.seek(0)
                file.truncate()
                write_text(self._tag, stream.tag)
            done = file.tell()
            if stream.total >= 0:
                require_space(self.part.parent, stream.total - done, self._target.name)
            with bar(None, f"download {self.part.stem}", None) as progress:
                progress.unit, progress.unit_scale = "B", True
                progress.total = stream.total if stream.total >= 0 else None
                progress.update(done)
                for chunk in stream.chunks:
                    require_space(self.part.parent, len(chunk), self._target.name)
                    file.write(chunk)
                    file.flush()
                    progress.update(len(chunk))
            # Without a length, the end of the stream is the only sign.
            return stream.total < 0 or file.tell() == stream.total


@contextmanager
def _part(path: Path) -> Iterator[IO[bytes]]:
    """A part, open to be appended to, by this process alone. Raises InputError for a link."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o644)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise
        raise InputError(f"{path}: is not a file; remove it to download") from None
    with os.fdopen(descriptor, "ab") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise InputError(f"{path}: is not a file, or one of two names; remove it to download")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AudiostyleError(f"{path}: another process is downloading this file") from None
        yield file


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _source(url: str, start: int) -> AbstractContextManager[tuple[int, Stream]]:
    """What is read from byte `start` on, or from an earlier one: where, and the stream."""
    if scheme_of(url) in ("http", "https"):
        return _http(url, start)
    return _stored(url, start)


@contextmanager
def _stored(url: str, start: int) -> Iterator[tuple[int, Stream]]:
    with open_object(url, start) as stream:
        if start > stream.total:
            raise InputError(
                f"{shown_address(url)}: has {stream.total} bytes, but {start} were there before"
            )
        yield start, stream


@contextmanager
def _http(url: str, start: int) -> Iterator[tuple[int, Stream]]:
    # Encodings would make byte ranges those of the compressed stream.
    headers = {"Accept-Encoding": "identity"}
    name = shown_address(url)
    if start:
        headers["Range"] = f"bytes={start}-"
    with contextlib.ExitStack() as stack:
        try:
            answer = stack.enter_context(
                requests.get(url, headers=headers, stream=True, timeout=(10, 60))
            )
        except (requests.ConnectionError, requests.Timeout) as error:
            raise _BrokenError(f"{name}: no answer: {without_secrets(error)}") from None
        # ValueError: a redirection to what is no address
        except (requests.RequestException, ValueError) as error:
            raise InputError(f"{name}: cannot be asked for: {without_secrets(error)}") from None
        if url.startswith("https:") and not answer.url.startswith("https:"):
            host = host_of(answer.url)
            raise InputError(f"{name}: leads to http://{host}, which anybody on the way may change")
        total = _count(answer.headers.get("Content-Length", ""))
        if answer.status_code == 206:
            total = _total(answer)
        elif answer.status_code == 416:
            # The part is as long as the file, or longer than it is now.
            total = _total(answer)
        elif answer.status_code in _TEMPORARY:
            raise _BrokenError(f"{name}: the server answers {answer.status_code} {answer.reason}")
        elif answer.status_code != 200:
            raise InputError(f"{name}: the server answers {answer.status_code} {answer.reason}")
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "none"
        begins = start if answer.status_code in (206, 416) else 0
        chunks = iter(()) if answer.status_code == 416 else _body(url, answer)
        if answer.status_code == 416 and total != start:
            tag = "of another length"
        yield begins, Stream(total, f"{tag} {total}", chunks)


def _total(answer: requests.Response) -> int:
    """Bytes of the whole file, of an answer that holds a part; -1 where it does not tell."""
    return _count(answer.headers.get("Content-Range", "").rpartition("/")[2])


def _count(text: str) -> int:
    """A number of bytes as a server writes it; -1 where it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1


def _body(url: str, answer: requests.Response) -> Iterator[bytes]:
    try:
        # Small pieces: what came before a break is what the next attempt need not fetch.
        yield from answer.iter_content(CHUNK // 16)
    except requests.RequestException as error:
        raise _BrokenError(f"{shown_address(url)}: broke off: {without_secrets(error)}") from None
