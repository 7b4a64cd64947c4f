"""Folders for unfinished work, from which an interrupted process goes on: one process in each."""

import contextlib
import itertools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

log = logging.getLogger(__name__)

T = TypeVar("T")


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[Path]:
    """A folder for unfinished work that no other running process uses: this one, or `NAME-2`, ….

    Where two processes do the same at once, neither waits for the other, and neither goes on
    from, or removes, what the other writes. A process that was killed holds nothing: the next one
    gets its folder, and goes on there. The folder itself is made by whoever writes to it; an empty
    one, and its parent, are removed at the end.
    """
    try:
        with contextlib.ExitStack() as stack:
            for number in itertools.count(1):
                own = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
                try:
                    stack.enter_context(_locked(own))
                except Timeout:
                    continue
                break
            try:
                yield own
            finally:
                with contextlib.suppress(OSError):  # not empty: work to go on from
                    own.rmdir()
    finally:
        with contextlib.suppress(OSError):  # not empty: others' work
            folder.parent.rmdir()


def make_in(folder: Path, make: Callable[[], T]) -> T:
    """What `make` makes in a folder, which is made where it is missing.

    Again where another process, at its end, removes the folder before anything is in it. Raises
    OSError.
    """
    for _ in range(99):
        with contextlib.suppress(FileNotFoundError):
            folder.mkdir(parents=True, exist_ok=True)
            return make()
    folder.mkdir(parents=True, exist_ok=True)
    return make()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The right to a folder. Raises Timeout where another process has it."""
    path = folder.with_name(f".{folder.name}.lock")
    lock = FileLock(path, blocking=False, mode=0o664)
    try:
        make_in(folder.parent, lock.acquire)
    except Timeout:
        raise
    except (OSError, NotImplementedError) as error:
        # A volume without locks: one task has it to itself, as on a cluster. Where no folder can be
        # made, there is none to share: whoever has to write there gets the error.
        if folder.parent.is_dir():
            log.info("no lock for %s: %s", folder, error)
    try:
        yield
    finally:
        if lock.is_locked:
            path.unlink(missing_ok=True)
            lock.release()
