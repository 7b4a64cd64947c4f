"""How much of a computation is complete, for whoever watches it.

Code that takes long reports its own share, from 0 to 1, and whoever calls it says which portion of
the whole that is. Without a watcher nothing happens.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

Watcher = Callable[[float], object]


@dataclass(frozen=True)
class _Portion:
    """What is reported to a watcher lies between two shares of the whole."""

    watcher: Watcher
    begin: float
    end: float

    def share(self, own: float) -> float:
        return self.begin + (self.end - self.begin) * min(max(own, 0.0), 1.0)


_current: ContextVar[_Portion | None] = ContextVar("completion", default=None)


@contextmanager
def watching(watcher: Watcher | None) -> Iterator[None]:
    """Let a function hear of the share, from 0 to 1, of what is computed meanwhile in this thread.

    What it raises ends the computation there.

    >>> with watching(lambda share: print(f"{share:.0%}")):
    ...     with portion(0.5, 1):
    ...         report(1, 2)
    75%
    """
    token = _current.set(_Portion(watcher, 0.0, 1.0) if watcher else None)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def portion(begin: float, end: float) -> Iterator[None]:
    """What is reported meanwhile is the part from `begin` to `end` of what would be reported."""
    outer = _current.get()
    inner = outer and _Portion(outer.watcher, outer.share(begin), outer.share(end))
    token = _current.set(inner)
    try:
        yield
    finally:
        _current.reset(token)


def is_watched() -> bool:
    """Whether somebody hears of it."""
    return _current.get() is not None


def report(done: float, total: float) -> None:
    """Say how much is done; raises what the watcher raises."""
    if (current := _current.get()) is not None:
        current.watcher(current.share(done / max(total, 1e-9)))
