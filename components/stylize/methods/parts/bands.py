"""Levels of mel bands: how they are taken, moved to a style's, and laid on a spectrum.

The safe ways from content to style: every cell keeps its fine structure, and only a smooth gain
over bands and frames changes.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from audiostyle.spectrogram import SpectrogramConfig, filterbank

BANDS = 40
SMOOTHING = 2.0  # over bands, of `Levels`
MOST = 3.5  # nepers, 30 dB: no band is raised or lowered by more
_DEPTH_DB = 75.0  # below the loudest cell there is nothing to level
# A band that hardly moves in one recording says little of how it moves in another.
_STEADY, _STRETCH = 0.1, 3.0
# Of the keys: so many bands, over one frame to either side, at half weight.
_KEY_BANDS, _KEY_DEPTH_DB, _AROUND = 20, 60.0, 2


def depth_of(magnitude: Tensor) -> Tensor:
    """The magnitude below which there is nothing: 75 dB under the loudest cell of [bins, n]."""
    return magnitude.amax() * 10 ** (-_DEPTH_DB / 20) + 1e-12


def envelope(magnitude: Tensor, config: SpectrogramConfig, smoothing: float = 1.0) -> Tensor:
    """Logarithm of the magnitude by band, smooth over bands. [bins, n] -> [BANDS, n], nepers."""
    bank = _bank(config, BANDS).to(magnitude.device)
    bands = 0.5 * (bank @ magnitude.square() + depth_of(magnitude).square()).log()
    if not smoothing:
        return bands
    number = torch.arange(BANDS, device=magnitude.device)
    return (-0.5 * ((number[:, None] - number) / smoothing).square()).softmax(1) @ bands


def curve(bands: Tensor, config: SpectrogramConfig) -> Tensor:
    """[BANDS, n] to [bins, n]: interpolated, held beyond the outer bands."""
    return _weights(config, BANDS).to(bands.device) @ bands


@dataclass(frozen=True)
class Levels:
    """What a recording's bands do. envelope: [BANDS, frames]; keys: [frames, n]."""

    envelope: Tensor
    keys: Tensor


def levels_of(magnitude: Tensor, config: SpectrogramConfig) -> Levels:
    """Of magnitudes [bins, frames]."""
    return Levels(envelope(magnitude, config, SMOOTHING), _keys(magnitude, config))


def mapped(own: Tensor, wanted: Tensor) -> Tensor:
    """Gain that gives bands the mean and deviation of others, [BANDS, frames] each and out."""
    ratio = wanted.std(1, keepdim=True, correction=0) / own.std(
        1, keepdim=True, correction=0
    ).clamp_min(_STEADY)
    ratio = ratio.clamp(1 / _STRETCH, _STRETCH)
    center = own.mean(1, keepdim=True)
    moved = wanted.mean(1, keepdim=True) + (own - center) * ratio
    return (moved - own).clamp(-MOST, MOST)


def unlike(content: Levels, style: Levels) -> Tensor:
    """How far the style's nearest frame is from each of the content's, [frames].

    By how far each band is above its own mean, in units of its own deviation.
    """
    apart = torch.cdist(content.keys, style.keys).square() / content.keys.shape[1]
    return apart.amin(1).sqrt()


def _keys(magnitude: Tensor, config: SpectrogramConfig) -> Tensor:
    depth = magnitude.amax() * 10 ** (-_KEY_DEPTH_DB / 20) + 1e-12
    bank = _bank(config, _KEY_BANDS).to(magnitude.device)
    bands = 0.5 * (bank @ magnitude.square() + depth.square()).log()
    deviation = bands.std(1, keepdim=True, correction=0)
    bands = (bands - bands.mean(1, keepdim=True)) / (deviation + 0.15)
    padded = functional.pad(bands[None], (_AROUND, _AROUND), mode="replicate")[0]
    frames = bands.shape[1]
    parts = [
        padded[:, at : at + frames] * (1.0 if at == _AROUND else 0.5)
        for at in range(2 * _AROUND + 1)
    ]
    return torch.cat(parts).T.contiguous()


@lru_cache(maxsize=16)
def _bank(config: SpectrogramConfig, bands: int) -> Tensor:
    return filterbank(config, "mel", bands, 40.0, 0.45 * config.sample_rate)


@lru_cache(maxsize=16)
def _weights(config: SpectrogramConfig, bands: int) -> Tensor:
    """[bins, bands], rows that sum to one."""
    bank = _bank(config, bands)
    share = bank / bank.amax(1, keepdim=True)
    total = share.sum(0)
    weights = (share / total.clamp_min(1e-9)).T
    first, last = (total > 0.5).nonzero()[[0, -1], 0]
    weights[:first], weights[last + 1 :] = weights[first], weights[last]
    return weights
