"""Beats: each onset is answered by the style's onsets that sound most like it, frame by frame.

Kick by kick and hat by hat, whatever they sound like: what is compared is how far each band rises
above its own mean in the first tenth of a second, in units of its own deviation.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from audiostyle.spectrogram import SpectrogramConfig, filterbank
from components.stylize.methods.parts.bands import depth_of
from components.stylize.methods.parts.onsets import Notes

_BANDS, _DEPTH_DB = 20, 60.0
_FRAMES = 5  # of an onset that are compared
_WEIGHT = 10.0
_TIME_WIDTH = 0.1  # natural logarithm of seconds since the onset: decays are to line up
_SOON = 0.03
_LEVEL = 0.5  # of how much louder the content's onset is than its others


@dataclass(frozen=True)
class Onsets:
    """Of each frame, the onset that it belongs to. All [frames, ...].

    patterns: how its bands rise; times: since then, logarithm of seconds; levels: its loudest
    frame, nepers relative to the mean over onsets.
    """

    patterns: Tensor
    times: Tensor
    levels: Tensor

    def named(self) -> dict[str, Tensor]:
        """By name, as a style keeps them."""
        return {f"beats.{name}": getattr(self, name) for name in self.__annotations__}


def onsets_of(magnitude: Tensor, notes: Notes, config: SpectrogramConfig) -> Onsets:
    """Of magnitudes [bins, frames]; a frame before the first onset belongs to an onset at zero."""
    since = notes.since_onset.to(magnitude.device)
    frames = len(since)
    begins = torch.zeros(frames, dtype=torch.bool, device=magnitude.device)
    begins[0] = True
    begins[1:] = since[1:] < since[:-1]
    at = begins.nonzero()[:, 0]
    number = begins.long().cumsum(0) - 1
    bank = filterbank(config, "mel", _BANDS, 40.0, 0.45 * config.sample_rate).to(magnitude.device)
    floor = magnitude.amax() * 10 ** (-_DEPTH_DB / 20) + 1e-12
    levels = 0.5 * (bank @ magnitude.square() + floor.square()).log()
    deviation = levels.std(1, keepdim=True, correction=0)
    levels = (levels - levels.mean(1, keepdim=True)) / (deviation + 0.15)
    levels = functional.pad(levels[None], (0, _FRAMES), mode="replicate")[0]
    patterns = torch.cat([levels[:, at + step] for step in range(_FRAMES)]).T  # [onsets, n]
    energy = functional.pad(magnitude.square().sum(0)[None], (0, _FRAMES), mode="replicate")[0]
    loudest = torch.stack([energy[at + step] for step in range(4)]).amax(0)
    loud = 0.5 * loudest.clamp_min(1e-9).log()
    loud = (loud - loud.mean()).clamp(-3, 3)
    times = (since.clamp(0, 3) + _SOON).log()
    return Onsets(patterns[number].contiguous(), times, loud[number])


def replayed(content: Onsets, style: Onsets, logs: Tensor) -> Tensor:
    """Logarithm of the style's frames, as its onsets would answer the content's.

    logs: of the style's magnitudes, [frames, bins]. Output: [bins, content frames].
    """
    size = content.patterns.shape[1]
    apart = torch.cdist(content.patterns, style.patterns).square() / size
    later = (content.times[:, None] - style.times) / _TIME_WIDTH
    weight = (-_WEIGHT * apart - 0.5 * later.square().clamp_max(100)).softmax(1)
    louder = content.levels - weight @ style.levels
    return (weight @ logs).T + _LEVEL * louder


def log_of(magnitude: Tensor) -> Tensor:
    """[bins, frames] to what `replayed` takes, [frames, bins]."""
    return (magnitude + depth_of(magnitude)).log().T.contiguous()
