"""Moving spectra in frequency, and how far a content is from where a style plays."""

from typing import Literal

import torch
from torch import Tensor

from audiostyle.spectrogram import SpectrogramConfig

# Fundamentals and the strong partials of voices and basses; above lies mere brightness.
_LOW_HZ, _HIGH_HZ = 40.0, 2000.0
_MOST_OCTAVES = 3


def moved(magnitude: Tensor, semitones: float) -> Tensor:
    """Spectra [bins, n], each stretched along the frequency axis, as by playing faster."""
    bins = len(magnitude)
    place = torch.arange(bins, device=magnitude.device) / 2 ** (semitones / 12)
    below = place.floor().clamp_max(bins - 2)
    between = (place - below).clamp(0, 1)[:, None]
    at = below.long()
    value = magnitude[at] * (1 - between) + magnitude[at + 1] * between
    return torch.where((place <= bins - 1)[:, None], value, 0.0)


def register(power: Tensor, config: SpectrogramConfig) -> Tensor:
    """Where a mean power spectrum [..., bins] has its weight, in octaves, [...]."""
    frequency = torch.arange(config.bins, device=power.device) * config.sample_rate / config.n_fft
    inside = (frequency >= _LOW_HZ) & (frequency <= min(_HIGH_HZ, config.sample_rate / 2))
    # The root, so that one loud note does not speak for all.
    weight = power[..., inside].sqrt()
    return (weight * frequency[inside].log2()).sum(-1) / weight.sum(-1).clamp_min(1e-12)


def semitones_to(own: Tensor, style: Tensor, asked: int | Literal["auto"]) -> int:
    """Semitones to move a content by. own, style: registers, in octaves.

    auto: by the octaves that bring it nearest to the style, so that keys stay what they are.
    """
    if asked != "auto":
        return asked
    octaves = round(float(style - own))
    return 12 * max(-_MOST_OCTAVES, min(_MOST_OCTAVES, octaves))
