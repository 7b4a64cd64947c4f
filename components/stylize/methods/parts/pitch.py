"""The fundamental frequency of each frame, and how much of the sound it explains.

After Camacho and Harris 2008, 'A sawtooth waveform inspired pitch estimator for speech and music'
(SWIPE): the square root of the spectrum is compared with cosine lobes at the harmonics of each
candidate, whose valleys count against it; here with one window for all candidates, and with the
best path over time in place of independent frames (Viterbi).
"""

from dataclasses import dataclass
from functools import lru_cache
from math import log2

import torch
from torch import Tensor
from torch.nn import functional

from audiostyle.spectrogram import SpectrogramConfig

# Candidates: from the lowest string of a bass, 48 an octave, up to five and a half octaves above.
_LOWEST = 40.0
_PER_OCTAVE = 48
_CANDIDATES = 270
_HARMONICS = 8  # more tell nothing new, fewer mistake the octave
_TOP = 5000.0  # Hz
# Per semitone of movement from frame to frame, and at most, in units of the comparison, which is
# one for a perfect match: glides are cheap, and a new note costs as much from anywhere.
_MOVE, _LEAP = 0.05, 0.3
# Half width of a partial: of the window's main lobe, in bins, and of vibrato, as a share of the
# frequency.
_LOBE, _VIBRATO = 2.2, 0.006
# Over which it is judged whether there is one voice: a note, not a frame, is a chord.
_AROUND_SECONDS = 1.0
# Share of energy on the harmonics of one pitch, below which there is no single voice, and from
# which on there is: melodies have 0.73 to 0.99, chords 0.2 to 0.7. The lowest pitches would
# explain noise, too, whose clarity is nearly 0; that of melodies is 0.36 to 0.7.
_VOICES, _VOICE = 0.6, 0.75
_UNCLEAR, _CLEAR = 0.1, 0.25


@dataclass(frozen=True)
class Pitch:
    """Of each frame, all [batch, frames].

    midi: fundamental, MIDI key with fractions. strength: of the match, at most one. octave_up:
    what the candidate an octave higher would have had. Over a second around the frame, weighed by
    energy: clarity, the mean strength, near zero for noise; explained, the share of the energy
    that lies on the harmonics, near one for one voice, less for chords.
    """

    midi: Tensor
    strength: Tensor
    octave_up: Tensor
    clarity: Tensor
    explained: Tensor


def track(magnitude: Tensor, config: SpectrogramConfig) -> Pitch:
    """The pitch of one voice in magnitudes [batch, bins, frames], linear."""
    root = magnitude.sqrt()
    size = root.norm(dim=1, keepdim=True)
    # Frames 50 dB below the loudest match nothing well.
    match = _kernels(config).to(magnitude.device) @ (
        root / (size + 0.003 * size.amax(2, keepdim=True) + 1e-9)
    )  # [batch, candidates, frames]
    path = _best_path(match)
    at = path.clamp(1, _CANDIDATES - 2)[:, None]
    low, peak, high = (match.gather(1, at + step)[:, 0] for step in (-1, 0, 1))
    bend = low - 2 * peak + high
    # The vertex of the parabola through three candidates.
    offset = torch.where(bend < -1e-9, 0.5 * (low - high) / bend.clamp_max(-1e-9), 0.0)
    octaves = (at[:, 0] + offset.clamp(-0.5, 0.5)) / _PER_OCTAVE
    midi = 69 + 12 * (octaves + log2(_LOWEST / 440))
    above = (path + _PER_OCTAVE).clamp_max(_CANDIDATES - 1)
    strength = match.gather(1, path[:, None])[:, 0]
    power = magnitude.square()
    energy = power.sum(1)
    harmonic = (power * _on_partials(midi, config)).sum(1)
    total, clear, explained = (_near(x, config) for x in (energy, energy * strength, harmonic))
    total = total.clamp_min(1e-20)
    octave_up = match.gather(1, above[:, None])[:, 0]
    return Pitch(midi, strength, octave_up, clear / total, explained / total)


def voice_of(pitch: Pitch, item: int) -> Tensor:
    """How surely there is one voice, from 0 to 1: [frames]."""
    explained = (pitch.explained[item] - _VOICES) / (_VOICE - _VOICES)
    clear = (pitch.clarity[item] - _UNCLEAR) / (_CLEAR - _UNCLEAR)
    return explained.clamp(0, 1) * clear.clamp(0, 1)


@lru_cache(maxsize=8)
def _kernels(config: SpectrogramConfig) -> Tensor:
    """What the spectrum of each candidate would be, [candidates, bins]."""
    spacing = config.sample_rate / config.n_fft
    frequency = (torch.arange(config.bins) * spacing)[None]
    candidate = (_LOWEST * 2 ** (torch.arange(_CANDIDATES) / _PER_OCTAVE))[:, None]
    ratio = frequency / candidate
    lobes = torch.cos(2 * torch.pi * ratio)
    # Below the fundamental there is half a valley, and nothing below that.
    lobes = torch.where((ratio < 0.75) & (lobes < 0), 0.5 * lobes, lobes)
    known = (ratio >= 0.25) & (ratio.round() <= _HARMONICS) & (frequency < _TOP)
    lobes = torch.where(known, lobes / frequency.clamp_min(1), 0.0)
    size: Tensor = lobes.clamp_min(0).square().sum(1, keepdim=True).sqrt()
    return lobes / size.clamp_min(1e-9)


def _best_path(match: Tensor) -> Tensor:
    """The path with the most match less its moves. Input: [batch, candidates, frames]."""
    number = torch.arange(_CANDIDATES, device=match.device)
    semitones = (number[:, None] - number).abs() * 12 / _PER_OCTAVE
    cost = (_MOVE * semitones).clamp_max(_LEAP)
    score = match[:, :, 0]
    back = []
    for frame in range(1, match.shape[2]):
        best, came = (score[:, None] - cost).max(2)
        back.append(came)
        score = best + match[:, :, frame]
    path = [score.argmax(1)]
    for came in reversed(back):
        path.append(came.gather(1, path[-1][:, None])[:, 0])
    return torch.stack(path[::-1], 1)


def _on_partials(midi: Tensor, config: SpectrogramConfig) -> Tensor:
    """Which bins lie on harmonics. Input: [batch, frames]. Output: [batch, bins, frames]."""
    spacing = config.sample_rate / config.n_fft
    frequency = (torch.arange(config.bins, device=midi.device) * spacing)[:, None]
    fundamental = 440 * 2 ** ((midi - 69) / 12)[:, None]
    nearest = (frequency / fundamental).round().clamp_min(1) * fundamental
    return (frequency - nearest).abs() <= _LOBE * spacing + _VIBRATO * frequency


def _near(x: Tensor, config: SpectrogramConfig) -> Tensor:
    """Sum over the frames around each, under a Hann window. [batch, frames] in and out."""
    half = max(1, round(_AROUND_SECONDS / 2 * config.sample_rate / config.hop_length))
    fade = torch.hann_window(2 * half + 1, periodic=False, device=x.device)[1:-1]
    return functional.conv1d(x[:, None], fade[None, None], padding=half - 1)[:, 0]
