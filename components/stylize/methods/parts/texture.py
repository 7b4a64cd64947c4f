"""Textures: rain, machines, fire. They sound wherever the content's notes leave room.

There is nothing in a texture that answers a note. Stretches of it are laid end to end, each where
the content's bands do most what the stretch's do, and averaged with the equalized content: more of
the texture towards the treble and between the content's partials, so that its notes stay.
"""

import torch
from torch import Tensor
from torch.nn import functional

from audiostyle.spectrogram import SpectrogramConfig
from components.stylize.methods.parts.bands import depth_of, envelope

_APART = 4  # frames of 2048 samples 512 apart, after which noise is new
_HEARD_DB = 30.0
# Likeness of the fine structure over that time: of rain and fire at most the first, of chords and
# melodies at least the second.
_NOISE, _TONE = 0.30, 0.45
# Nepers by which all bands rise within two frames, in one frame of twenty: rain, sea and machines
# stay below the first, beats are above the second.
_SMOOTH, _BEATS = 0.8, 1.3
_GRAIN = 12  # frames from stretch to stretch; each is twice as long, and faded
_MOST_FRAMES = 860  # 20 s of a texture tell enough of it
_AGAIN = 0.3  # what it costs to use the same stretch once more
# Share of the texture in the mean, below the first and above the second frequency, Hz; and how
# much less of it there is on the content's partials.
_LOW, _HIGH, _LOW_HZ, _HIGH_HZ = 0.4, 1.0, 500.0, 2000.0
_ON_PARTIALS = 0.6
_WIDE, _LONG = 41, 5  # bins and frames that a partial is compared with, and lasts


def tone_and_rise(magnitude: Tensor, config: SpectrogramConfig) -> tuple[Tensor, Tensor]:
    """How alike a recording's fine structure stays, and how fast its bands rise; scalars.

    The first is near one for tones and near zero for noise; the second, nepers within two frames,
    is large for beats. Both are those of a tone that begins slowly where a recording is too short.
    """
    level = 10 * magnitude.square().sum(0).clamp_min(1e-12).log10()
    loud = level > level.amax() - _HEARD_DB
    if magnitude.shape[1] <= 2 * _APART or int(loud.sum()) <= 2 * _APART:
        return level.new_ones(()), level.new_ones(())
    fine = _fine((magnitude + depth_of(magnitude)).log())
    fine = fine / fine.norm(dim=0).clamp_min(1e-9)
    both = loud[_APART:] & loud[:-_APART]
    alike = (fine[:, _APART:] * fine[:, :-_APART]).sum(0)[both].mean().nan_to_num(1.0)
    bands = envelope(magnitude, config)
    rise = (bands[:, 2:] - bands[:, :-2]).clamp_min(0).mean(0).quantile(0.95)
    return alike, rise


def textureness(tone: Tensor, rise: Tensor) -> Tensor:
    """How surely a recording has neither tones nor beats, from 0 to 1. See `tone_and_rise`."""
    noise = ((_TONE - tone) / (_TONE - _NOISE)).clamp(0, 1)
    even = ((_BEATS - rise) / (_BEATS - _SMOOTH)).clamp(0, 1)
    sure: Tensor = noise * even
    return sure


def texture_of(magnitude: Tensor, config: SpectrogramConfig) -> dict[str, Tensor]:
    """What a style's stretches are laid from: logarithms [frames, bins], band levels [frames, n].

    magnitude: [bins, frames]; the first frames of a long one.
    """
    some = magnitude[:, :_MOST_FRAMES]
    while some.shape[1] <= 2 * _GRAIN:
        some = torch.cat([some, some.flip(1)], 1)
    return {"logs": (some + depth_of(some)).log().T.contiguous(), "keys": _keys(some, config)}


def textured(
    content: Tensor, equalized: Tensor, texture: dict[str, Tensor], config: SpectrogramConfig
) -> Tensor:
    """Logarithm of the content as a texture sounds it, [bins, frames]; the others linear."""
    laid = _laid(_keys(content, config), texture)
    laid = laid - 0.5 * (2 * laid).exp().mean().log()  # at the equalized content's level
    level = equalized.square().mean().clamp_min(1e-20).sqrt()
    laid = laid + level.log()
    floor = depth_of(equalized).log()
    base = torch.logaddexp(equalized.clamp_min(1e-12).log(), floor)
    hertz = torch.arange(config.bins, device=content.device) * config.sample_rate / config.n_fft
    octaves = (hertz.clamp_min(1) / _LOW_HZ).log2() / torch.tensor(_HIGH_HZ / _LOW_HZ).log2()
    share = _LOW + (_HIGH - _LOW) * octaves.clamp(0, 1)
    share = share[:, None] * (1 - _ON_PARTIALS * _partials(content))
    return torch.lerp(base, torch.maximum(laid, floor), share)


def _laid(keys: Tensor, texture: dict[str, Tensor]) -> Tensor:
    """Stretches of the style's logarithms under the content's keys, [bins, frames]."""
    logs = texture["logs"]
    frames, places = len(keys), len(logs) - 2 * _GRAIN
    apart = torch.cdist(keys, texture["keys"]).square() / keys.shape[1]
    fade = torch.hann_window(2 * _GRAIN + 2, device=logs.device)[1:-1]
    laid = logs.new_zeros(frames, logs.shape[1])
    total = logs.new_zeros(frames)
    again = logs.new_zeros(len(logs))
    for start in range(-_GRAIN, frames, _GRAIN):
        first, stop = max(start, 0), min(start + 2 * _GRAIN, frames)
        cost = again[:places].clone()
        for frame in range(first, stop):
            step = frame - start
            cost += apart[frame, step : step + places] / (stop - first)
        at = int(cost.argmin())
        again[max(0, at - _GRAIN) : at + _GRAIN] += _AGAIN
        part = slice(first - start, stop - start)
        laid[first:stop] += fade[part, None] * logs[at + first - start : at + stop - start]
        total[first:stop] += fade[part]
    return (laid / total[:, None]).T


def _partials(content: Tensor) -> Tensor:
    """Where the content has partials that last, from 0 to 1, [bins, frames]."""
    edge = _LONG // 2
    logs = (content + depth_of(content)).log()
    steady = functional.avg_pool1d(
        functional.pad(logs[None], (edge, edge), mode="replicate"), _LONG, 1
    )[0]
    return (_fine(steady) - 0.3).clamp(0, 1)


def _keys(magnitude: Tensor, config: SpectrogramConfig) -> Tensor:
    """How far each band is above its mean, in units of its deviation, [frames, bands]."""
    bands = envelope(magnitude, config, 0)
    deviation = bands.std(1, keepdim=True, correction=0)
    return ((bands - bands.mean(1, keepdim=True)) / (deviation + 0.15)).T.contiguous()


def _fine(logs: Tensor) -> Tensor:
    """What a spectrum [bins, n] has above its surroundings."""
    edge = _WIDE // 2
    around = functional.avg_pool1d(
        functional.pad(logs.T[None], (edge, edge), mode="replicate"), _WIDE, 1
    )[0].T
    return logs - around
