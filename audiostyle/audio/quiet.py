"""C libraries that write to the terminal, kept quiet: libmpg123's notes name no file."""

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_calls = 0
_saved: int | None = None


def _stream() -> ctypes.c_void_p | None:
    """The C library's variable `stderr`; None where it has none of that name."""
    for name in ("stderr", "__stderrp"):
        try:
            return ctypes.c_void_p.in_dll(ctypes.CDLL(None), name)
        except (ValueError, OSError, TypeError):
            continue
    return None


def _nowhere() -> int | None:
    """A C stream to /dev/null, open for the life of the process."""
    try:
        library = ctypes.CDLL(None)
        library.fopen.restype = ctypes.c_void_p
        handle: int | None = library.fopen(os.devnull.encode(), b"w")
        return handle
    except (OSError, AttributeError, TypeError):
        return None


_STREAM, _NOWHERE = _stream(), _nowhere()


@contextmanager
def quiet() -> Iterator[None]:
    """What C code writes to stderr meanwhile is dropped; what Python writes is not."""
    global _calls, _saved
    if _STREAM is None or _NOWHERE is None:
        yield
        return
    with _lock:
        _calls += 1
        if _calls == 1:
            _saved, _STREAM.value = _STREAM.value, _NOWHERE
    try:
        yield
    finally:
        with _lock:
            _calls -= 1
            if not _calls:
                _STREAM.value = _saved
