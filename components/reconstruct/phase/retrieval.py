"""From magnitudes to sound: Griffin-Lim, plain and fast, for a batch, for any length.

The default is the fast variant from integrated phases. Measured on 3-second recordings (22,050 Hz,
n_fft 2048, hop 512, Hann; `python -m benchmarks.phase` prints the curve): 32 iterations of it are
more consistent than 500 plain ones from random phases, which is what the style transfer papers run.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from audiostyle.errors import InputError
from components.reconstruct.phase.frames import FrameTransform, window_values
from components.reconstruct.phase.input import (
    check_length,
    check_magnitude,
    equal_blocks,
    like,
    real_tensor,
    settings,
)
from components.reconstruct.phase.windows import retrieve

Array = TypeVar("Array", np.ndarray, Tensor)
Init = Literal["auto", "random", "pghi", "phase"]

# Frames finished at a time. With 32 iterations a window carries 99 more on either side, a fifth of
# extra work; its arrays take 60 MB.
_WINDOW_FRAMES = 1024


def griffin_lim(
    magnitude: Array,
    *,
    n_iter: int = 32,
    hop_length: int = 512,
    n_fft: int = 2048,
    window: str | Array = "hann",
    momentum: float = 0.99,
    init: Init = "auto",
    phase: Array | None = None,
    length: int | None = None,
    seed: int = 0,
) -> Array:
    """Sound whose short-time Fourier transform has nearly these magnitudes.

    Magnitudes are as `np.abs(librosa.stft(y, n_fft=n_fft, hop_length=hop_length))` gives them:
    frames are centered, the signal zero-padded. Computed in float32, where a tensor lives; beyond
    input and output the memory does not grow with the length. The same seed gives the same sound.

    Parameters
    ----------
    magnitude : np.ndarray or torch.Tensor [shape=(..., 1 + n_fft // 2, frames)]
        linear, finite, not negative, in any unit

    n_iter : int >= 0
        iterations. More than 32 buy little: the benchmark prints what.

    hop_length : int, from 1 to n_fft // 2
        samples from frame to frame

    n_fft : int >= 2
        samples in a frame

    window : str or array [shape=(n_fft,)]
        "hann", "hamming", "blackman" (periodic), or its values

    momentum : float, from 0 to 1
        0 is Griffin-Lim [1]_, 0.99 fast Griffin-Lim [2]_. 1.05 is worse than 0.99 and 1.1 diverges:
        measured, as in [2]_.

    init : "auto", "random", "pghi" or "phase"
        where phases start: drawn from `seed`, integrated from the magnitudes [3]_, or at `phase`.
        "auto" is "pghi", and where `phase` is given, the better of both for each clip: the one
        with the lower spectral convergence after 4 iterations (of its first 1024 frames that are
        not all silent).

    phase : array of the shape of magnitude, or None
        radians; of a style transfer's content, say

    length : int or None
        samples to return, such that they have so many frames: from hop_length * (frames - 1), the
        default, to hop_length * frames - 1

    seed : int
        of random phases, which "pghi" uses too, where it is nearly silent

    Returns
    -------
    samples : np.ndarray or torch.Tensor, float32 [shape=(..., length)]
        silence, exactly, for a clip that is all zero

    Raises
    ------
    InputError
        with the name, the place and the value of what cannot be used

    Notes
    -----
    .. [1] Griffin and Lim, "Signal estimation from modified short-time Fourier transform",
           IEEE TASSP 32(2), 1984.
    .. [2] Perraudin, Balazs and Søndergaard, "A fast Griffin-Lim algorithm", WASPAA 2013.
    .. [3] Prusa, Balazs and Søndergaard, "A noniterative method for reconstruction of phase from
           STFT magnitude", IEEE/ACM TASLP 25(5), 2017.

    Examples
    --------
    >>> tone = np.sin(np.arange(22050) * 0.1).astype(np.float32)
    >>> frames = np.lib.stride_tricks.sliding_window_view(np.pad(tone, 1024), 2048)[::512]
    >>> magnitude = np.abs(np.fft.rfft(frames * np.hanning(2049)[:-1])).T
    >>> griffin_lim(magnitude, length=22050).shape
    (22050,)
    """
    whole = real_tensor("magnitude", magnitude, 2)
    angles = None if phase is None else real_tensor("phase", phase, 2).to(whole.device)
    if angles is not None and angles.shape != whole.shape:
        raise InputError(f"phase: has shape {tuple(angles.shape)}, magnitude {tuple(whole.shape)}")
    retrieval = settings(
        n_iter=n_iter,
        hop_length=hop_length,
        n_fft=n_fft,
        window=window,
        momentum=momentum,
        init=init,
        has_phase=phase is not None,
        seed=seed,
        window_frames=_WINDOW_FRAMES,
    )
    check_magnitude(whole, n_fft)
    frames = whole.shape[-1]
    if length is None:
        length = hop_length * (frames - 1)
    check_length(length, frames, hop_length)

    def parts() -> Iterator[tuple[Tensor, Tensor | None]]:
        for start in range(0, frames, _WINDOW_FRAMES):
            part = slice(start, start + _WINDOW_FRAMES)
            yield whole[..., part], None if angles is None else angles[..., part]

    leading = whole.shape[:-2]
    samples = torch.empty(leading.numel(), length, device=whole.device)
    done = 0
    with torch.no_grad():
        for out in retrieve(equal_blocks(parts(), retrieval), retrieval, lambda _: length):
            samples[:, done : done + out.shape[1]] = out
            done += out.shape[1]
    result: Array = like(samples.reshape(*leading, length), magnitude)
    return result


def stream(
    blocks: Iterable[Array | tuple[Array, Array]],
    *,
    n_iter: int = 32,
    hop_length: int = 512,
    n_fft: int = 2048,
    window: str | Array = "hann",
    momentum: float = 0.99,
    init: Init = "auto",
    length: int | None = None,
    seed: int = 0,
    block_frames: int = _WINDOW_FRAMES,
) -> Iterator[Array]:
    """`griffin_lim` of a spectrogram that arrives in blocks: the same sound, in constant memory.

    blocks: magnitudes [..., 1 + n_fft // 2, any number of frames], in order, or pairs of magnitudes
        and phases, which init="phase" needs and "auto" uses. How they are cut changes nothing.
    block_frames: frames that are finished at a time. Fewer take less memory and, for the sake of
        the frames around them, more time. Results depend on it only where phases are integrated,
        in blocks of so many frames.
    The other arguments, and what is raised, are those of `griffin_lim`; `length` is checked when
    the blocks have ended.
    Yields samples to be joined in order, of the kind of the first block, float32 [..., any number].
    """
    waiting = iter(blocks)
    first = next(waiting, None)
    if first is None:
        raise InputError("blocks: there is none")
    model, *rest = first if isinstance(first, tuple) else (first,)
    retrieval = settings(
        n_iter=n_iter,
        hop_length=hop_length,
        n_fft=n_fft,
        window=window,
        momentum=momentum,
        init=init,
        has_phase=bool(rest),
        seed=seed,
        window_frames=block_frames,
    )
    leading = real_tensor("magnitude", model, 2).shape[:-2]

    def parts() -> Iterator[tuple[Tensor, Tensor | None]]:
        for block in chain([first], waiting):
            magnitude, *phase = block if isinstance(block, tuple) else (block,)
            angles = real_tensor("phase", phase[0], 2) if phase else None
            yield real_tensor("magnitude", magnitude, 2), angles

    def checked(frames: int) -> int:
        samples = hop_length * (frames - 1) if length is None else length
        check_length(samples, frames, hop_length)
        return samples

    samples = retrieve(equal_blocks(parts(), retrieval), retrieval, checked)
    while True:
        with torch.no_grad():  # not around the yield: the caller's own gradients go on
            out = next(samples, None)
        if out is None:
            return
        yield like(out.reshape(*leading, -1) if leading.numel() else out, model)


def spectral_convergence(
    magnitude: Array,
    samples: Array,
    *,
    hop_length: int = 512,
    n_fft: int = 2048,
    window: str | Array = "hann",
) -> Array:
    """How far a sound's magnitudes are from wanted ones S: 20 log10(|| |STFT| - S || / ||S||) dB.

    magnitude: [..., 1 + n_fft // 2, frames], as for `griffin_lim`.
    samples: [..., n] of the same kind, with 1 + n // hop_length = frames.
    Returns float32 [...], -inf where they are equal, all zero included.
    Raises InputError for shapes or values that do not fit.
    """
    whole = real_tensor("magnitude", magnitude, 2)
    sound = real_tensor("samples", samples, 1).to(whole.device)
    check_magnitude(whole, n_fft)
    frames = whole.shape[-1]
    if sound.shape[:-1] != whole.shape[:-2]:
        raise InputError(
            f"samples: has shape {tuple(sound.shape)}, magnitude {tuple(whole.shape)}: "
            "all but the last, and the last two, must be the same"
        )
    length = sound.shape[-1]
    check_length(length, frames, hop_length)
    transform = FrameTransform(
        n_fft=n_fft,
        hop_length=hop_length,
        window=window_values(window, n_fft),
        length=length,
        device=whole.device,
    )
    wanted = whole.reshape(-1, *whole.shape[-2:])
    padded = transform.pad(sound.reshape(-1, length).float())
    difference = torch.zeros(len(wanted), dtype=torch.float64, device=whole.device)
    size = torch.zeros_like(difference)
    for start in range(0, frames, _WINDOW_FRAMES):  # constant memory here, too
        part = wanted[..., start : start + _WINDOW_FRAMES].transpose(1, 2)
        begin = start * hop_length
        stop = begin + (part.shape[1] - 1) * hop_length + n_fft
        reached = transform.analyze(padded[:, begin:stop]).abs()
        difference += (reached - part).square().sum((1, 2), dtype=torch.float64)
        size += part.square().sum((1, 2), dtype=torch.float64)
    ratio = torch.where(difference == 0, 0.0, difference / size)
    result: Array = like((10 * ratio.log10()).float().reshape(whole.shape[:-2]), magnitude)
    return result
