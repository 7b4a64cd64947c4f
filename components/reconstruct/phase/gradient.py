"""A starting phase from magnitudes alone: phase-gradient heap integration.

For a Gaussian window the phase's partial derivatives are derivatives of the log magnitude, and for
others nearly so. They are integrated from the loudest cell outwards, along ridges and around
silence [Prusa, Balazs, Søndergaard, "A noniterative method for reconstruction of phase from STFT
magnitude", IEEE/ACM TASLP 25(5), 2017].

Two things differ from the paper. The heap is a bucket queue, which needs no comparisons: cells
within `_STEP` of each other leave it in any order [Yatziv, Bartesaghi, Sapiro, "O(N) implementation
of the fast marching algorithm", J. Comput. Phys. 212(2), 2006]. And integration may go on from a
known frame, so that a long recording is integrated in blocks.

The loop is compiled when it is first called (3 s). Nothing of it is cached on disk: numba's cache
holds pickles and wants a writable folder, a container's is read-only.
"""

import math

import numba
import numpy as np
import torch
from torch import Tensor

# Width of a bucket in nepers (0.05 = 0.43 dB). On 16 clips of 3 s, after 32 fast iterations: 0.05
# reaches -26.4 dB, an exact heap -26.2, 0.3 only -25.8.
_STEP = 0.05

# Cells this far below the loudest of their block keep random phase: 1e-3 reaches -26.4 dB, 1e-6
# -26.3 in more time, 1e-2 -26.3 in less.
_FLOOR = 1e-3

_SMALLEST = 1e-30  # for the logarithm of zeros; all of them lie below the floor


def time_frequency_ratio(window: Tensor) -> float:
    """The Gaussian nearest to a window, as gamma of exp(-pi t^2 / gamma) with t in samples.

    window: float64 [n]. For Hann it is 0.249 n^2, where Prusa's tables have 0.25645 n^2; from 0.235
        to 0.27 the sound after 20 iterations differs by 0.3 dB, in no order.
    Nearest means the largest cosine between the two, searched to 1e-4 of gamma.
    """
    n = len(window)
    t = torch.arange(n, dtype=torch.float64) - n // 2
    # Logarithms of gamma / n^2: far narrower and far wider than any window in use.
    low, high = math.log(0.01), math.log(2.0)
    golden = (math.sqrt(5) - 1) / 2

    def cosine(log_ratio: float) -> float:
        gaussian = torch.exp(-math.pi * t.square() / (math.exp(log_ratio) * n * n))
        return float(window @ gaussian / gaussian.norm())

    while high - low > 1e-4:
        left, right = high - golden * (high - low), low + golden * (high - low)
        if cosine(left) < cosine(right):
            low = left
        else:
            high = right
    return math.exp((low + high) / 2) * n * n


def integrate(
    magnitude: Tensor, noise: Tensor, *, gamma: float, hop_length: int, n_fft: int, known: int = 0
) -> Tensor:
    """Phases of one clip, as `librosa.stft` counts them: time zero at the start of each frame.

    magnitude: float32 [frames, bins] on CPU.
    noise: float32 [frames, bins], radians: the phases of cells too quiet to integrate, and of the
        first `known` frames, from which integration goes on.
    gamma: of the window, see `time_frequency_ratio`. hop_length, n_fft: in samples.
    Returns float32 [frames, bins] in radians, not wrapped.
    """
    log = magnitude.clamp_min(_SMALLEST).log_()
    # Radians from a frame to the next, and from a bin to the next, by the log magnitude's slopes.
    slope = gamma / (hop_length * n_fft)
    per_frame = _central_difference(log, dim=1).mul_(1 / slope)
    # To it a bin's own advance in a hop; whole turns are taken off while that is exact.
    advance = torch.arange(log.shape[1], dtype=torch.float64) * (hop_length / n_fft) % 1.0
    per_frame.add_((2 * math.pi * advance).float())
    # A window's center lies n_fft / 2 after time zero: half a turn back from bin to bin.
    per_bin = _central_difference(log, dim=0).mul_(-slope).sub_(math.pi)
    phase = noise.clone()
    buckets = int(-math.log(_FLOOR) / _STEP) + 1
    cells = log.numel()
    _spread(
        log.reshape(-1).numpy(),
        per_frame.reshape(-1).numpy(),
        per_bin.reshape(-1).numpy(),
        phase.view(-1).numpy(),
        np.full((2, buckets), -1, np.int32),
        np.empty((2, cells), np.int32),
        np.empty(cells, np.int16),
        np.zeros(cells, np.bool_),
        log.shape[1],
        known,
        float(log.max()),
        _STEP,
    )
    return phase


def _central_difference(values: Tensor, *, dim: int) -> Tensor:
    """Half the difference of both neighbors; at a border, the difference to the one there is."""
    out = torch.zeros_like(values)
    last = values.shape[dim] - 1
    if last == 0:
        return out
    inner = out.narrow(dim, 1, last - 1)
    torch.sub(values.narrow(dim, 2, last - 1), values.narrow(dim, 0, last - 1), out=inner)
    inner.mul_(0.5)
    for to, upper in ((0, 1), (last, last)):
        edge = values.narrow(dim, upper, 1) - values.narrow(dim, upper - 1, 1)
        out.narrow(dim, to, 1).copy_(edge)
    return out


@numba.njit(nogil=True, fastmath=True)
def _spread(
    log: np.ndarray,
    per_frame: np.ndarray,
    per_bin: np.ndarray,
    phase: np.ndarray,
    first: np.ndarray,
    following: np.ndarray,
    bucket: np.ndarray,
    settled: np.ndarray,
    bins: int,
    known: int,
    top: float,
    step: float,
) -> None:
    """Integrate outwards from the loudest cells. All [frames * bins]; `phase` is overwritten.

    first: -1, [2, buckets]; following: [2, frames * bins]; bucket, settled: False. These are room
    to work in, and come from outside, as arrays in one dimension do: numba then compiles this in
    half of the time.
    """
    n = len(log)
    buckets = first.shape[1]
    # Each bucket is a linked list through its cells: `waiting` holds cells whose phase is set but
    # not handed on, `seeds` all audible ones: there a new start is taken when nothing waits.
    waiting, seeds = first[0], first[1]
    after, next_seed = following[0], following[1]
    loudest = buckets
    for i in range(n):
        b = int((top - log[i]) / step)
        if b >= buckets:
            settled[i] = True
            continue
        bucket[i] = b
        if i < known * bins:
            settled[i] = True
            after[i], waiting[b] = waiting[b], i
            loudest = min(loudest, b)
        else:
            next_seed[i], seeds[b] = seeds[b], i
    for s in range(-1, buckets):  # -1: first, what the known frames reach
        seed = seeds[s] if s >= 0 else -1
        while True:
            if seed >= 0 and not settled[seed]:
                settled[seed] = True
                phase[seed] = 0.0
                after[seed], waiting[s] = -1, seed
                loudest = s
            while loudest < buckets:
                i = waiting[loudest]
                if i < 0:
                    loudest += 1
                    continue
                waiting[loudest] = after[i]
                bin_of_i = i % bins
                for direction in range(4):
                    if direction == 0:
                        j = i + bins
                        if j >= n or settled[j]:
                            continue
                        phase[j] = phase[i] + 0.5 * (per_frame[i] + per_frame[j])
                    elif direction == 1:
                        j = i - bins
                        if j < 0 or settled[j]:
                            continue
                        phase[j] = phase[i] - 0.5 * (per_frame[i] + per_frame[j])
                    elif direction == 2:
                        j = i + 1
                        if bin_of_i == bins - 1 or settled[j]:
                            continue
                        phase[j] = phase[i] + 0.5 * (per_bin[i] + per_bin[j])
                    else:
                        j = i - 1
                        if bin_of_i == 0 or settled[j]:
                            continue
                        phase[j] = phase[i] - 0.5 * (per_bin[i] + per_bin[j])
                    settled[j] = True
                    b = bucket[j]
                    after[j], waiting[b] = waiting[b], j
                    loudest = min(loudest, b)
            if seed < 0:
                break
            seed = next_seed[seed]
