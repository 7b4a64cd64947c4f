"""One file from http(s), s3:// or a folder to the disk: resumed after every break, and verified.

Pooch checks hashes, and moves a file to its name only when it is right. It starts over after a
break, which on gigabytes is the whole cost; so what fetches the bytes for it is ours: into
NAME.part, from the byte where that ends, as long as the server's copy is the one that was begun.
"""

import contextlib
import fcntl
import logging
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pooch
import requests

from audiostyle.errors import AudiostyleError, InputError
from audiostyle.files import write_text
from audiostyle.progress import bar
from audiostyle.store import CHUNK, StoreUnavailableError, Stream, open_object
from audiostyle.uris import host_of, scheme_of

log = logging.getLogger(__name__)

# Bytes that stay free: what else runs on the machine writes, too.
RESERVE = 64 << 20
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

    hash: `md5:…`, `sha256:…`, or empty for none. size: bytes, where known.
    Raises InputError where the file is missing, of another size or of another hash, and
    AudiostyleError where the disk is full or the server does not answer. A `.part` stays after a
    break, none after a wrong hash.
    """
    fetch = _Resuming(target, size, patience or Patience())
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and not hash:
        return target
    if target.exists() and not pooch.hashes.hash_matches(str(target), hash):
        target.unlink()
    pooch.get_logger().setLevel(logging.WARNING)
    # Pooch asks of a URL no more than that its scheme is one of those it knows.
    url = uri if "://" in uri else Path(uri).absolute().as_uri()
    try:
        pooch.retrieve(
            url, known_hash=hash or None, fname=target.name, path=target.parent, downloader=fetch
        )
    except ValueError as error:
        if "hash" not in str(error).lower():
            raise
        raise InputError(
            f"{uri}: is not the file that is meant: its hash is not {hash}; nothing was kept"
        ) from None
    except OSError as error:
        raise AudiostyleError(
            f"{target}: cannot be written: {error.strerror or error}; what came is kept in"
            f" {fetch.part.name}"
        ) from None
    return target


class _Resuming:
    """A downloader for pooch that leaves a part behind, and goes on from one."""

    def __init__(self, target: Path, size: int | None, patience: Patience) -> None:
        self.part = target.with_name(f"{target.name}.part")
        self._tag = target.with_name(f"{target.name}.part.tag")
        self._size, self._patience = size, patience

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Fetch `url` into the part, and make that `output_file` when it is whole."""
        with self.part.open("ab") as file, _alone(file, self.part):
            try:
                self._fetch(url, file)
                file.flush()
                self.part.replace(output_file)
                self._tag.unlink(missing_ok=True)
            except InputError:
                self._forget()  # of another size or gone: there is nothing to go on with
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
                error: AudiostyleError = _BrokenError(f"{url}: ended too early")
            except (_BrokenError, StoreUnavailableError) as broken:
                error = broken
            # Ended, but not with all the bytes; or broken off.
            failures = 1 if file.tell() > before else failures + 1
            if failures >= self._patience.attempts:
                raise AudiostyleError(
                    f"{error} ({failures} attempts without progress;"
                    f" {file.tell()} bytes are kept in {self.part})"
                )
            log.warning("download: %s; going on from byte %d", error, file.tell())
            self._patience.wait(failures)

    def _once(self, url: str, file: IO[bytes]) -> bool:
        """One attempt. Tells whether the file is whole."""
        tag = self._tag.read_text(encoding="utf-8") if self._tag.exists() else ""
        with _source(url, file.tell() if tag else 0) as (start, stream):
            if self._size is not None and stream.total not in (-1, self._size):
                raise InputError(
                    f"{url}: has {stream.total} bytes, {self._size} are expected; nothing was kept"
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
                _require_space(self.part, stream.total - done)
            with bar(None, f"download {self.part.stem}", None) as progress:
                progress.unit, progress.unit_scale = "B", True
                progress.total = stream.total if stream.total >= 0 else None
                progress.update(done)
                for chunk in stream.chunks:
                    file.write(chunk)
                    file.flush()
                    progress.update(len(chunk))
            # Without a length, the end of the stream is the only sign.
            return stream.total < 0 or file.tell() == stream.total


def _require_space(path: Path, size: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if size + RESERVE > free:
        raise AudiostyleError(
            f"{path.parent}: {size + RESERVE} bytes are needed, {free} are free; nothing was begun"
        )


@contextmanager
def _alone(file: IO[bytes], path: Path) -> Iterator[None]:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise AudiostyleError(f"{path}: another process is downloading this file") from None
    yield


def _source(url: str, start: int) -> AbstractContextManager[tuple[int, Stream]]:
    """What is read from byte `start` on, or from an earlier one: where, and the stream."""
    if scheme_of(url) in ("http", "https"):
        return _http(url, start)
    return _stored(url, start)


@contextmanager
def _stored(url: str, start: int) -> Iterator[tuple[int, Stream]]:
    with open_object(url, start) as stream:
        if start > stream.total:
            raise InputError(f"{url}: has {stream.total} bytes, but {start} were there before")
        yield start, stream


@contextmanager
def _http(url: str, start: int) -> Iterator[tuple[int, Stream]]:
    # Encodings would make byte ranges those of the compressed stream.
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with contextlib.ExitStack() as stack:
        try:
            answer = stack.enter_context(
                requests.get(url, headers=headers, stream=True, timeout=(10, 60))
            )
        except (requests.ConnectionError, requests.Timeout) as error:
            raise _BrokenError(f"{url}: no answer: {error}") from None
        # ValueError: a redirection to what is no address
        except (requests.RequestException, ValueError) as error:
            raise InputError(f"{url}: cannot be asked for: {error}") from None
        if url.startswith("https:") and not answer.url.startswith("https:"):
            host = host_of(answer.url)
            raise InputError(f"{url}: leads to http://{host}, which anybody on the way may change")
        total = _count(answer.headers.get("Content-Length", ""))
        if answer.status_code == 206:
            total = _total(answer)
        elif answer.status_code == 416:
            # The part is as long as the file, or longer than it is now.
            total = _total(answer)
        elif answer.status_code in _TEMPORARY:
            raise _BrokenError(f"{url}: the server answers {answer.status_code} {answer.reason}")
        elif answer.status_code != 200:
            raise InputError(f"{url}: the server answers {answer.status_code} {answer.reason}")
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
        raise _BrokenError(f"{url}: broke off: {error}") from None
