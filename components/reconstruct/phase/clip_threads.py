"""One clip a thread: how a CPU's cores share a batch.

Splitting each operation over the cores instead, as torch does by itself, ends every one of its
hundreds of operations a clip in a barrier. On two cores that other programs use too, a core that
waits there spins: 16 iterations of 8 clips took 1.5 to 3 times as long as with a thread a clip,
which also keeps a clip in its core's own cache. A single clip takes one core for the same reason.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

import torch

_R = TypeVar("_R")


class ForEachClip(Protocol):
    """Calls a function with 0 ... clips - 1 and returns the results in that order."""

    def __call__(self, function: Callable[[int], _R], clips: int, /) -> list[_R]:
        """The results; an exception of one call is raised here."""


def _in_turn(function: Callable[[int], _R], clips: int, /) -> list[_R]:
    return [function(i) for i in range(clips)]


def _take_one_core() -> None:
    torch.get_num_threads()  # torch gives a new thread its count late, over what it was set to
    torch.set_num_threads(1)


@contextmanager
def clip_threads(clips: int) -> Iterator[ForEachClip]:
    """As many threads as torch may use, but not more than clips.

    clips: how many will be computed at a time.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        yield _in_turn
        return
    with ThreadPoolExecutor(max(1, min(threads, clips)), "clip", _take_one_core) as pool:

        def in_threads(function: Callable[[int], _R], clips: int, /) -> list[_R]:
            return list(pool.map(function, range(clips)))

        try:
            yield in_threads
        finally:
            torch.set_num_threads(threads)  # what threads that start from now on will get
