"""Textures and effects as style: rain, machines, barks. They sound under and beside the content.

Little in such a style answers a note. The style's recording is laid beside the content, in pieces
of which each begins where its bands do most what the content's do. The content keeps its partials
under the levels that the bands of these pieces have, and the pieces themselves are added: both
more towards the treble, so that notes stay where they are heard best.
"""

import torch
from torch import Tensor
from torch.nn import functional

from audiostyle.spectrogram import SpectrogramConfig
from components.stylize.methods.parts.bands import curve, depth_of, envelope

_APART = 4  # frames of 2048 samples 512 apart, after which noise is new
_HEARD_DB = 30.0
# Likeness of the fine structure over that time: of noises and most cries less than the first, of
# melodies, chords, and most bands with drums more than the second.
_NOISE, _TONE = 0.36, 0.46
# Nepers by which all bands rise within two frames, in one frame of twenty: rain, sea and machines
# stay below the first, beats are above the second.
_SMOOTH, _BEATS = 0.8, 1.3
_WIDE = 41  # bins that the fine structure is compared with
_SILENCE_DB = 50.0  # below the loudest frame there is a pause, which is no part of a texture
_MOST_FRAMES = 860  # 20 s of a texture tell enough of it
_PIECE, _FADE = 129, 8  # frames of a piece, 3 s, and of its beginning
_AGAIN = 0.3  # what it costs to use the same frame once more
# Shares below the first and above the second frequency, Hz: of the way, in logarithms, from the
# content's band levels to those of the piece, and of the piece that is added.
_LOW_HZ, _HIGH_HZ = 450.0, 1700.0
_LEVELS, _ADDED = (0.6, 0.95), (0.15, 1.1)
_MOST = 3.0  # nepers, by which no band is raised or lowered more, before the share


def tone_and_rise(magnitude: Tensor, config: SpectrogramConfig) -> tuple[Tensor, Tensor]:
    """How alike a recording's fine structure stays, and how fast its bands rise; scalars.

    The first is near one for tones and near zero for noise; the second, nepers within two frames,
    is large for beats. Both are those of a tone that begins slowly where a recording is too short;
    where nothing sounds for as long as that, as in clicks, the first is zero.
    """
    level = 10 * magnitude.square().sum(0).clamp_min(1e-12).log10()
    loud = level > level.amax() - _HEARD_DB
    if magnitude.shape[1] <= 2 * _APART or int(loud.sum()) <= 2 * _APART:
        return level.new_ones(()), level.new_ones(())
    fine = _fine((magnitude + depth_of(magnitude)).log())
    fine = fine / fine.norm(dim=0).clamp_min(1e-9)
    both = loud[_APART:] & loud[:-_APART]
    alike = (fine[:, _APART:] * fine[:, :-_APART]).sum(0)[both].mean().nan_to_num(0.0)
    bands = envelope(magnitude, config)
    rise = (bands[:, 2:] - bands[:, :-2]).clamp_min(0).mean(0).quantile(0.95)
    return alike, rise


def noisiness(tone: Tensor) -> Tensor:
    """How surely a recording has no tones, from 0 to 1. See `tone_and_rise`."""
    return ((_TONE - tone) / (_TONE - _NOISE)).clamp(0, 1)


def evenness(rise: Tensor) -> Tensor:
    """How surely a recording has no beats, from 0 to 1. See `tone_and_rise`."""
    return ((_BEATS - rise) / (_BEATS - _SMOOTH)).clamp(0, 1)


def texture_of(magnitude: Tensor, config: SpectrogramConfig) -> dict[str, Tensor]:
    """What a style's pieces are taken from: magnitudes [frames, bins], their keys [frames, n].

    magnitude: [bins, frames], without pauses; of a long one, the first frames.
    """
    some = magnitude[:, :_MOST_FRAMES]
    return {"frames": some.T.contiguous(), "keys": _keys(some, config)}


def without_pauses(magnitude: Tensor) -> Tensor:
    """The frames that sound, [bins, n]: some data sets fill their recordings up with silence."""
    level = 10 * magnitude.square().sum(0).clamp_min(1e-12).log10()
    return magnitude[:, level > level.amax() - _SILENCE_DB]


def textured(content: Tensor, texture: dict[str, Tensor], config: SpectrogramConfig) -> Tensor:
    """The content as a texture sounds it, at the content's level. [bins, frames] in and out."""
    size = content.norm().clamp_min(1e-12)
    pieces = _laid(_keys(content, config), texture)
    pieces = pieces * (size / pieces.norm().clamp_min(1e-12))
    hertz = torch.arange(config.bins, device=content.device) * config.sample_rate / config.n_fft
    octaves = (hertz.clamp_min(1) / _LOW_HZ).log2() / torch.tensor(_HIGH_HZ / _LOW_HZ).log2()
    treble = octaves.clamp(0, 1)[:, None]
    levels, added = (low + (high - low) * treble for low, high in (_LEVELS, _ADDED))
    gain = (envelope(pieces, config) - envelope(content, config)).clamp(-_MOST, _MOST)
    answer = content * (levels * curve(gain, config)).exp()
    answer = answer * (size / answer.norm().clamp_min(1e-12))
    both = (answer.square() + (added * pieces).square()).sqrt()
    result: Tensor = both * (size / both.norm().clamp_min(1e-12))
    return result


def _laid(keys: Tensor, texture: dict[str, Tensor]) -> Tensor:
    """Pieces of the style's magnitudes under the content's keys, [bins, frames].

    Each piece goes round the style's recording from where it fits best.
    """
    frames, count = texture["frames"], len(texture["frames"])
    total = len(keys)
    apart = torch.cdist(keys, texture["keys"]).square() / keys.shape[1]
    rising = torch.linspace(0, 1, _FADE + 2, device=keys.device)[1:-1]
    laid = frames.new_zeros(total, frames.shape[1])
    weights = frames.new_zeros(total, 1)
    used = frames.new_zeros(count)
    starts = torch.arange(count, device=keys.device)[:, None]
    for start in range(0, total, _PIECE):
        first, stop = max(0, start - _FADE), min(total, start + _PIECE)
        steps = torch.arange(stop - first, device=keys.device)
        places = (starts + steps) % count  # [count, steps]
        cost = apart[first + steps, places].mean(1) + _AGAIN * used[places].mean(1)
        chosen = places[cost.argmin()]
        used.index_add_(0, chosen, torch.ones_like(chosen, dtype=used.dtype))
        fade = torch.ones(stop - first, device=keys.device)
        if first:
            fade[:_FADE] = rising[: len(fade)]
        if stop < total:
            fade[-_FADE:] = torch.minimum(fade[-_FADE:], rising.flip(0))
        laid[first:stop] += fade[:, None] * frames[chosen].square()
        weights[first:stop] += fade[:, None]
    return (laid / weights).sqrt().T


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
