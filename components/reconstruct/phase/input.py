"""What phase retrieval accepts: arrays and settings, checked, in the shape that it computes in."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiostyle.errors import InputError
from components.reconstruct.phase.frames import window_values
from components.reconstruct.phase.start import Start
from components.reconstruct.phase.windows import Retrieval


def real_tensor(name: str, array: object, dimensions: int) -> Tensor:
    """A real array as a tensor that shares its memory, [..., at least `dimensions`]."""
    if not isinstance(array, np.ndarray | Tensor):
        raise InputError(
            f"{name}: {type(array).__name__} is neither a numpy array nor a torch tensor"
        )
    tensor = array.detach() if isinstance(array, Tensor) else _from_numpy(name, array)
    if tensor.is_complex():
        raise InputError(f"{name}: is complex ({tensor.dtype}); real numbers are wanted")
    if tensor.dim() < dimensions:
        raise InputError(f"{name}: has {tensor.dim()} dimensions, at least {dimensions} are wanted")
    return tensor


def _from_numpy(name: str, array: np.ndarray) -> Tensor:
    if array.dtype.kind not in "fiubc":
        raise InputError(f"{name}: is an array of {array.dtype}, not of numbers")
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()  # torch has neither read-only nor reversed arrays
    return torch.from_numpy(array)


def like(result: Tensor, model: object) -> Any:
    """The result as numpy array where the model is one."""
    return result.numpy() if isinstance(model, np.ndarray) else result


def check_magnitude(magnitude: Tensor, n_fft: int, first_frame: int = 0) -> None:
    """Raises InputError for shape or values; `first_frame` is added to the index that it names."""
    bins, frames = magnitude.shape[-2:]
    if bins != 1 + n_fft // 2:
        raise InputError(
            f"magnitude: has {bins} bins in shape {tuple(magnitude.shape)}, "
            f"n_fft={n_fft} asks for {1 + n_fft // 2}: [..., bins, frames]"
        )
    if frames == 0:
        raise InputError(f"magnitude: has no frames, shape {tuple(magnitude.shape)}")
    _check_values("magnitude", magnitude, 0.0, first_frame)


def _check_values(name: str, values: Tensor, least: float, first_frame: int = 0) -> None:
    if values.numel() == 0:
        return
    low, high = values.aminmax()  # one pass, and NaN goes through it
    if bool(low >= least) and bool(high < torch.inf):
        return
    bad = ~(values.isfinite() & (values >= least))
    index = bad.nonzero()[0].tolist()
    value = values[tuple(index)].item()
    index[-1] += first_frame
    wanted = "finite" if least == -torch.inf else "finite and not negative"
    raise InputError(f"{name}: {index} is {value}, all must be {wanted}")


def check_length(length: int, frames: int, hop_length: int) -> None:
    """Raises InputError where so many samples do not have so many frames."""
    low, high = hop_length * (frames - 1), hop_length * frames - 1
    if not isinstance(length, int | np.integer):
        raise InputError(f"length: {length!r} is not an integer")
    if not low <= length <= high:
        raise InputError(f"length: {length} samples; {frames} frames mean {low} to {high}")


def settings(
    *,
    n_iter: int,
    hop_length: int,
    n_fft: int,
    window: object,
    momentum: float,
    init: str,
    has_phase: bool,
    seed: int,
    window_frames: int,
) -> Retrieval:
    """The arguments of `phase.griffin_lim`, checked. Raises InputError with name and value."""
    for name, value, least in (
        ("n_fft", n_fft, 2),
        ("n_iter", n_iter, 0),
        ("seed", seed, 0),
        ("block_frames", window_frames, 1),
    ):
        if not isinstance(value, int | np.integer) or value < least:
            raise InputError(f"{name}: {value!r} is not an integer from {least}")
    if not isinstance(hop_length, int | np.integer) or not 1 <= hop_length <= n_fft // 2:
        raise InputError(f"hop_length: {hop_length!r} is not an integer from 1 to {n_fft // 2}")
    if not isinstance(momentum, int | float | np.number) or not 0 <= momentum <= 1:  # NaN too
        raise InputError(f"momentum: {momentum!r} is not from 0 to 1")
    starts: dict[str, tuple[Start, ...]] = {
        "auto": ("pghi", "phase") if has_phase else ("pghi",),
        "random": ("random",),
        "pghi": ("pghi",),
        "phase": ("phase",),
    }
    if init not in starts:
        raise InputError(f"init: {init!r} is not one of {', '.join(starts)}")
    if init == "phase" and not has_phase:
        raise InputError("phase: None, but init='phase' begins from it")
    return Retrieval(
        n_iter=int(n_iter),
        hop_length=int(hop_length),
        n_fft=int(n_fft),
        window=window_values(window, n_fft),
        momentum=float(momentum),
        starts=starts[init],
        seed=int(seed),
        window_frames=int(window_frames),
    )


def equal_blocks(
    parts: Iterable[tuple[Tensor, Tensor | None]], retrieval: Retrieval
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Parts of any number of frames -> checked float32 [clips, window_frames, bins], the last less.

    parts: magnitudes and phases [..., bins, frames], all of the same leading shape.
    """
    size = retrieval.window_frames
    waiting: list[tuple[Tensor, Tensor | None]] = []
    leading: tuple[int, ...] | None = None
    read = 0
    for magnitude, phase in parts:
        check_magnitude(magnitude, retrieval.n_fft, read)
        if leading not in (None, tuple(magnitude.shape[:-2])):
            raise InputError(
                f"magnitude: shape {tuple(magnitude.shape)} after blocks of {leading} clips"
            )
        leading = tuple(magnitude.shape[:-2])
        if "phase" not in retrieval.starts:
            phase = None
        elif phase is None:
            raise InputError(f"phase: missing from the block at frame {read}")
        else:
            if phase.shape != magnitude.shape:
                raise InputError(
                    f"phase: has shape {tuple(phase.shape)}, magnitude {tuple(magnitude.shape)}"
                )
            _check_values("phase", phase, -torch.inf, read)
        read += magnitude.shape[-1]
        waiting.append((_frames_first(magnitude), None if phase is None else _frames_first(phase)))
        held = sum(part.shape[1] for part, _ in waiting)
        if held >= size:
            joined, angles = _join(waiting)
            for start in range(0, held - held % size, size):
                block = slice(start, start + size)
                yield joined[:, block], None if angles is None else angles[:, block]
            rest = slice(held - held % size, held)
            waiting = []
            if held % size:
                waiting = [(joined[:, rest], None if angles is None else angles[:, rest])]
    if waiting:
        yield _join(waiting)
    elif read == 0:
        raise InputError("magnitude: no block of it came")


def _frames_first(array: Tensor) -> Tensor:
    """[..., bins, frames] -> float32 [clips, frames, bins], contiguous, as the FFT wants it."""
    bins, frames = array.shape[-2:]
    clips = array.shape[:-2].numel()
    return array.reshape(clips, bins, frames).transpose(1, 2).float().contiguous()


def _join(parts: list[tuple[Tensor, Tensor | None]]) -> tuple[Tensor, Tensor | None]:
    if len(parts) == 1:
        return parts[0]
    phases = [phase for _, phase in parts if phase is not None]
    return torch.cat([part for part, _ in parts], dim=1), torch.cat(
        phases, dim=1
    ) if phases else None
