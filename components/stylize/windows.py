"""How a long recording is cut into windows, and put together again without a seam."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from audiostyle.spectrogram import SpectrogramConfig
from components.stylize.config import StylizeConfig


@dataclass(frozen=True)
class Windows:
    """Windows of `frames` frames that begin at `starts` and cover `total` frames.

    Neighbors overlap. A single window may be longer than what it covers.
    """

    total: int
    frames: int
    starts: tuple[int, ...]
    overlap: int

    def ramp(self, number: int) -> Tensor:
        """Weight of each frame of a window, before all that cover a frame are made to sum to one.

        It rises and falls over the middle third of the overlap: the frames nearest to an edge,
        which convolutions saw without their neighbors, do not count. Output: [frames].
        """
        inside = torch.arange(self.frames) + 0.5
        third = self.overlap / 3
        rise = inside / third - 1 if number else torch.ones(self.frames)
        last = number == len(self.starts) - 1
        fall = torch.ones(self.frames) if last else (self.frames - inside) / third - 1
        return torch.minimum(rise, fall).clamp(0.0, 1.0)


def cut(total: int, *, clip: int, longest: int, overlap: int) -> Windows:
    """Windows over `total` frames, none much longer than `longest`, evenly spread.

    Their lengths are few, so that windows of many recordings can be worked on as one batch:
    `clip` times a power of 2 ** (1/8), at most 9 % more than is needed.
    """
    if total <= longest:
        return Windows(total, _size(total, clip), (0,), overlap)
    count = math.ceil((total - overlap) / (longest - overlap))
    frames = min(total, _size(math.ceil((total + (count - 1) * overlap) / count), clip))
    starts = tuple(round(k * (total - frames) / (count - 1)) for k in range(count))
    return Windows(total, frames, starts, overlap)


def windows_over(total: int, spectrogram: SpectrogramConfig, config: StylizeConfig) -> Windows:
    """Windows over a recording of so many frames, as the settings ask for them."""
    frames_a_second = spectrogram.sample_rate / spectrogram.hop_length
    return cut(
        total,
        clip=spectrogram.clip_frames,
        longest=round(config.window_seconds * frames_a_second),
        overlap=round(config.overlap_seconds * frames_a_second),
    )


def _size(frames: int, clip: int) -> int:
    step = math.ceil(8 * math.log2(frames / clip) - 1e-9)
    return max(frames, round(clip * 2 ** (step / 8)))


def faded(windows: Windows, load: Callable[[int], Tensor], first: int, stop: int) -> Tensor:
    """Frames from `first` to `stop` of the whole, cross-faded from the windows' magnitudes.

    load: from a window's number to [bins, windows.frames]. Output: [bins, stop - first].
    Magnitudes add up without canceling, so linear weights keep a steady sound steady.
    """
    mixed: Tensor | None = None
    weight = torch.zeros(stop - first)
    for number, start in enumerate(windows.starts):
        low, high = max(first, start), min(stop, start + windows.frames)
        if low >= high:
            continue
        magnitude = load(number)[:, low - start : high - start]
        ramp = windows.ramp(number)[low - start : high - start]
        if mixed is None:
            mixed = magnitude.new_zeros(len(magnitude), stop - first)
        mixed[:, low - first : high - first] += magnitude * ramp
        weight[low - first : high - first] += ramp
    assert mixed is not None  # noqa: S101, the windows cover the whole
    return mixed / weight
