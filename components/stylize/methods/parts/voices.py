"""Several voices at once: the content's notes out of the style's frames, moved to every pitch.

A non-negative decomposition (Lee and Seung 1999; 'audio mosaicing' after Driedger, Prätzlich and
Müller 2015, 'Let it bee'): the content's spectrum is a sum of style frames that are moved in
frequency. Both are whitened first, since it is the partials that must match, and not the timbre
that is to change; the answer is the sum of the frames as they are.
"""

from math import ceil

import torch
from torch import Tensor

from audiostyle.spectrogram import SpectrogramConfig
from components.stylize.methods.parts.bands import curve, envelope
from components.stylize.methods.parts.transposition import moved

_SMOOTHING = 3.0  # of the envelope that whitens, in bands
_FRAMES = 40  # of a style; more find nothing better
_SHIFTS = range(-7, 8)  # semitones
_TOP_HZ = 4300.0  # above, partials of the voices are too dense to tell them apart
_STEPS = 12
_ATOMS = 8  # at most in a frame
_TIME_WIDTH = 0.3  # natural logarithm of seconds since the onset
_HEARD_DB = 40.0  # below the loudest frame, none is taken
_TINY = 1e-9


def atoms_of(magnitude: Tensor, times: Tensor, config: SpectrogramConfig) -> dict[str, Tensor]:
    """What a style's frames can sound: spectra moved to every pitch.

    magnitude: [bins, frames]; times: [frames]. Output: `atoms` [bins', n], whitened and of length
    one; `sounds` [bins, n], the same frames as they are; `times` [n].
    """
    level = magnitude.square().sum(0).sqrt()
    heard = (level >= level.max() * 10 ** (-_HEARD_DB / 20)).nonzero()[:, 0]
    some = torch.linspace(0, len(heard) - 1, min(_FRAMES, len(heard))).round().long()
    taken = heard[some.to(heard.device)]
    white = _whitened(magnitude, config)[:, taken]
    top = _top(config)
    atoms = torch.cat([moved(white, shift)[:top] for shift in _SHIFTS], 1)
    size = atoms.norm(dim=0).clamp_min(_TINY)
    sounds = torch.cat([moved(magnitude[:, taken], shift) for shift in _SHIFTS], 1)
    return {
        "atoms": atoms / size,
        "sounds": sounds / size,
        "times": times[taken].repeat(len(_SHIFTS)),
    }


def voiced(
    magnitude: Tensor, times: Tensor, atoms: dict[str, Tensor], config: SpectrogramConfig
) -> tuple[Tensor, Tensor]:
    """The content out of the style's atoms, [bins, frames], each frame as loud as the content's.

    And how well the atoms fit, from 0 to 1, [frames].
    """
    dictionary = atoms["atoms"]
    wanted = _whitened(magnitude, config)[: len(dictionary)]
    wanted = wanted / wanted.norm(dim=0).clamp_min(_TINY)
    later = (atoms["times"][:, None] - times.to(wanted.device)) / _TIME_WIDTH
    weights = (dictionary.T @ wanted).square() * ((-0.5 * later.square()).exp() + 1e-3)
    total = dictionary.sum(0)[:, None].clamp_min(_TINY)
    for _ in range(_STEPS):
        # Multiplicative steps that lower the Kullback-Leibler divergence.
        weights = (
            weights * (dictionary.T @ (wanted / (dictionary @ weights).clamp_min(1e-6))) / total
        )
    most = weights.topk(min(_ATOMS, len(weights)), 0).values[-1]
    weights = torch.where(weights >= most, weights, 0.0)
    built = dictionary @ weights
    fit = (built * wanted).sum(0) / built.norm(dim=0).clamp_min(_TINY)
    answer = atoms["sounds"] @ weights
    loud = magnitude.square().sum(0) / answer.square().sum(0).clamp_min(1e-12)
    return answer * loud.clamp_max(1e8).sqrt(), fit


def _whitened(magnitude: Tensor, config: SpectrogramConfig) -> Tensor:
    return magnitude / curve(envelope(magnitude, config, _SMOOTHING), config).exp()


def _top(config: SpectrogramConfig) -> int:
    return min(config.bins, ceil(_TOP_HZ * config.n_fft / config.sample_rate))
