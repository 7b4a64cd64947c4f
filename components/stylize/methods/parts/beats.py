"""Beats: each onset is answered by the style's onsets that sound most like it, frame by frame.

Kick by kick and hat by hat, whatever they sound like: what is compared is how far each band rises
above its own mean in the first tenth of a second, in units of its own deviation.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from audiostyle.spectrogram import SpectrogramConfig, filterbank
from components.stylize.methods.parts.bands import depth_of
from components.stylize.methods.parts.onsets import Notes

_BANDS, _DEPTH_DB = 20, 60.0
_FRAMES = 5  # of an onset that are compared
_WEIGHT = 30.0
# Parts of the spectrum that are answered by themselves, and what a band outside one counts for.
_PARTS, _OTHERS = 6, 0.25
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
    bank = _bank(config).to(magnitude.device)
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


def replayed(content: Onsets, style: Onsets, logs: Tensor, config: SpectrogramConfig) -> Tensor:
    """Logarithm of the style's frames, as its onsets would answer the content's.

    Each part of the spectrum is answered by itself: what sounds like the kick in the bass need not
    have the same hat. logs: of the style's magnitudes, [frames, bins]. Output: [bins, content
    frames].
    """
    later = (content.times[:, None] - style.times) / _TIME_WIDTH
    near = -0.5 * later.square().clamp_max(100)
    ramps = _ramps(config).to(logs.device)
    answer = logs.new_zeros(logs.shape[1], len(content.times))
    for part, ramp in enumerate(ramps):
        emphasis = _emphasis(part).to(logs.device)
        heard, known = (
            (x.patterns.view(-1, _FRAMES, _BANDS) * emphasis).flatten(1) for x in (content, style)
        )
        apart = torch.cdist(heard, known).square() / heard.shape[1]
        weight = (near - _WEIGHT * apart).softmax(1)
        louder = content.levels - weight @ style.levels
        inside = ramp.nonzero()[:, 0]
        moved = (weight @ logs[:, inside]).T + _LEVEL * louder
        answer[inside] += ramp[inside, None] * moved
    return answer


def _emphasis(part: int) -> Tensor:
    """What each band counts for in a part of the spectrum, [bands]; mean square one."""
    band = torch.arange(_BANDS) + 0.5
    inside = (band >= part * _BANDS / _PARTS) & (band < (part + 1) * _BANDS / _PARTS)
    weight = torch.where(inside, 1.0, _OTHERS)
    return (weight / weight.mean()).sqrt()


@lru_cache(maxsize=4)
def _ramps(config: SpectrogramConfig) -> Tensor:
    """Where each part answers, from 0 to 1: [parts, bins]; they sum to one over parts."""
    bank = _bank(config)
    share = bank / bank.sum(0).clamp_min(1e-9)
    place = (share * (torch.arange(_BANDS)[:, None] + 0.5)).sum(0)
    inside = (bank.sum(0) > 0).nonzero()[:, 0]
    place[: inside[0]], place[inside[-1] + 1 :] = 0.5, _BANDS - 0.5
    center = (torch.arange(_PARTS) + 0.5) * _BANDS / _PARTS
    ramps = (1 - (place - center[:, None]).abs() * _PARTS / _BANDS).clamp(0, 1)
    return ramps / ramps.sum(0)


def _bank(config: SpectrogramConfig) -> Tensor:
    return filterbank(config, "mel", _BANDS, 40.0, 0.45 * config.sample_rate)


def log_of(magnitude: Tensor) -> Tensor:
    """[bins, frames] to what `replayed` takes, [frames, bins]."""
    return (magnitude + depth_of(magnitude)).log().T.contiguous()
