"""Waiting out a fault of storage: a server that is gone for a while, a disk that is full."""

import errno
import logging
import time
from collections.abc import Callable
from typing import TypeVar

from audiostyle.errors import AudiostyleError
from audiostyle.store import StoreUnavailableError

log = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds between two attempts: the first, and the most. Twice as long each time.
_FIRST, _MOST = 0.5, 15.0
# What may be over later: no space, a quota, a disk or network folder that does not answer.
_PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN)


def passes(error: BaseException) -> bool:
    """Whether an error is one of storage that may be over later."""
    return isinstance(error, StoreUnavailableError) or (
        isinstance(error, OSError) and error.errno in _PASSING
    )


class Pauses:
    """Seconds to wait before each next attempt, growing."""

    def __init__(self) -> None:
        self._next = _FIRST

    def next(self) -> float:
        """The next pause, in seconds."""
        pause, self._next = self._next, min(2 * self._next, _MOST)
        return pause


def patiently(
    request: Callable[[], T],
    seconds: float,
    name: str,
    *,
    lost: Callable[[], bool] = lambda: False,
) -> T:
    """The request's answer, asked for again for so many seconds while storage fails.

    name: what waits, for the log. lost: asked before each wait, whether someone else has given up.
    Raises the last error, an AudiostyleError that says how long was waited; others at once.
    """
    begun = time.monotonic()
    waits = Pauses()
    while True:
        try:
            return request()
        except (StoreUnavailableError, OSError) as error:
            if not passes(error):
                raise
            waited = time.monotonic() - begun
            if waited >= seconds or lost():
                kind = type(error) if isinstance(error, StoreUnavailableError) else AudiostyleError
                raise kind(f"{error}; waited {waited:.0f} s for it") from None
            log.warning("%s: %s; waiting for it", name, error)
            time.sleep(min(waits.next(), max(0.1, seconds - waited)))
