"""Whether two sets of recordings hold the same one, whole or in part."""

import numpy as np
from numpy.typing import NDArray

# Samples in a row. Unrelated recordings do not agree on 32 16-bit values that vary.
WINDOW = 32
LEAST_DISTINCT = 16  # distinct values in a window that may testify: leaves out silence
CHUNK = 1 << 22  # windows hashed at a time, to bound the memory


def shared_runs(a: NDArray[np.int16], b: NDArray[np.int16]) -> int:
    """How many of ``a``'s windows (one every ``WINDOW`` samples) occur anywhere in ``b``.

    Every common run of 2 * WINDOW - 1 samples holds such a window, whatever its alignment.
    Exact up to collisions of a 64-bit hash.
    """
    windows = a[: len(a) // WINDOW * WINDOW].reshape(-1, WINDOW)
    distinct = 1 + (np.diff(np.sort(windows, axis=1), axis=1) != 0).sum(axis=1)
    wanted = np.unique(_hashes(windows[distinct >= LEAST_DISTINCT].reshape(-1), WINDOW))
    # A bitmap of the upper 24 bits drops nearly all windows of b before the exact look-up.
    seen = np.zeros(1 << 24, dtype=bool)
    seen[(wanted >> np.uint64(40)).astype(np.int64)] = True
    shared: list[NDArray[np.uint64]] = []
    for start in range(0, len(b) - WINDOW + 1, CHUNK):
        hashes = _hashes(b[start : start + CHUNK + WINDOW - 1], 1)
        hashes = hashes[seen[(hashes >> np.uint64(40)).astype(np.int64)]]
        shared.append(np.intersect1d(hashes, wanted))
    return len(np.unique(np.concatenate(shared))) if shared else 0


def _hashes(x: NDArray[np.int16], step: int) -> NDArray[np.uint64]:
    """Multiply-add hashes modulo 2**64 of the windows of ``x`` that start every ``step``."""
    keys = np.random.default_rng(0).integers(0, 1 << 63, WINDOW, dtype=np.uint64) * 2 + 1
    count = (len(x) - WINDOW) // step + 1
    if count < 1:
        return np.zeros(0, dtype=np.uint64)
    wide = x.astype(np.int64).view(np.uint64)
    total = np.zeros(count, dtype=np.uint64)
    for offset, key in enumerate(keys):
        total += wide[offset : offset + (count - 1) * step + 1 : step] * key
    return total
