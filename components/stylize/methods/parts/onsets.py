"""Where in its note each frame is: since when it sounds, since when it is released, how loud.

Onsets are peaks of the spectral flux (Bello et al. 2005, 'A tutorial on onset detection in music
signals') or jumps of the pitch; a note is released where its level begins to fall faster than
strings and bars decay by themselves.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiostyle.spectrogram import SpectrogramConfig, filterbank
from components.stylize.methods.parts.pitch import Pitch

Array = NDArray[np.float64]

# Mean rise over 40 mel bands within two frames, dB, that makes an onset; a leap of the pitch by
# more than 0.6 semitones counts for as much. Chosen on the development pairs, as is what follows:
# of 900 onsets 96 % are detected, and of the detected ones 96 % are onsets.
_RISE, _LEAP = 4.0, 0.6
_QUIET = -45.0  # dB below the loudest frame: no note begins there
_APART = 0.08  # s
# A frame hears a note before it begins. The flux crosses 0.3 of its peak 1.8 hops of 512 samples
# before the onset (n_fft 2048), whether the attack is slow or not; the peak itself is late by up
# to 1.6 hops for slow attacks.
_CROSSING, _EARLY = 0.3, 0.042
_BEFORE = 0.037  # s before the onset in which frames belong to the new note
# dB a second over 70 ms, from which on a note is being released. A piano's lower strings lose 20.
_RELEASE = 108.0
_STRUCK = 0.15  # s: whoever releases half of the notes so early does not hold them at all
_MIDWAY = 0.3  # s before the first onset, from which on a recording is taken to begin in a note
# Frames with no onset before them in sight: held for long, or silent for long.
LONG = 3.0


@dataclass(frozen=True)
class Notes:
    """Frames of one recording, all [frames]; numbers for the whole of it.

    midi: pitch, vibrato included, where it is near the note's. since_onset, since_release: seconds,
    the first below zero just before an onset, the second zero while a note is held. level: of the
    note's loudest frame, nepers of magnitude; of the frame itself where no onset is in sight.
    loudness: of the frame, dB below the loudest.
    tuning: semitones off the keys, and how sharply so from 0 to 1. register: median pitch.
    struck: whether notes fade at once. octave_up: match of the octave above relative to its own.
    """

    midi: Tensor
    since_onset: Tensor
    since_release: Tensor
    level: Tensor
    loudness: Tensor
    tuning: tuple[float, float]
    register: float
    struck: bool
    octave_up: float


def find_notes(magnitude: Tensor, pitch: Pitch, item: int, config: SpectrogramConfig) -> Notes:
    """Notes of one item of a batch. magnitude: [bins, frames], linear, on the CPU."""
    hop = config.hop_length / config.sample_rate
    midi = pitch.midi[item].double().cpu().numpy()
    frames = len(midi)
    size = magnitude.square().sum(0).double().numpy() + 1e-9
    loudness = 10 * np.log10(size / size.max())
    begins, times = _onsets(magnitude, midi, loudness, config)
    of_note = np.full(frames, -1)
    number = np.arange(frames)
    since_onset = np.full(frames, LONG)
    for note, time in enumerate(times):
        new = number >= time - _BEFORE / hop
        since_onset[new] = (number[new] - time) * hop
        of_note[new] = note
    since_release = np.zeros(frames)
    held = _held(loudness, begins, hop)
    for note, frame in enumerate(held):
        if frame is not None:
            stop = begins[note + 1] if note + 1 < len(begins) else frames
            since_release[frame:stop] = np.arange(stop - frame) * hop
    early = of_note < 0
    since_release[early] = np.where(loudness[early] < _QUIET, LONG, 0.0)

    follow, whole, level = midi.copy(), midi.copy(), np.zeros(frames)
    for note in np.unique(of_note):
        mine = of_note == note
        heard = mine & (loudness > loudness[mine].max() - 20)
        whole[mine] = np.median(midi[heard])
        follow[mine] = np.where(np.abs(midi - whole) < 0.7, midi, whole)[mine]
        level[mine] = 0.5 * np.log(size[mine].max())
    if early.sum() * hop > _MIDWAY:
        # Nothing tells where in its note such a frame is, so it goes by its own loudness.
        level[early] = 0.5 * np.log(size[early].clip(size.max() * 10 ** (_QUIET / 10)))
    elif early.any() and not early.all():
        level[early] = level[~early][0]
    weight = 10 ** (loudness / 20)
    center = (weight * np.exp(2j * np.pi * whole)).sum() / weight.sum()
    struck = [
        frame is not None and (frame - begin) * hop < _STRUCK
        for begin, frame in zip(begins, held, strict=True)
    ]
    strength = pitch.strength[item].double().cpu().numpy()
    above = pitch.octave_up[item].double().cpu().numpy()
    return Notes(
        midi=torch.from_numpy(follow).float(),
        since_onset=torch.from_numpy(since_onset).float(),
        since_release=torch.from_numpy(since_release).float(),
        level=torch.from_numpy(level).float(),
        loudness=torch.from_numpy(loudness).float(),
        tuning=(float(np.angle(center)) / (2 * np.pi), float(np.abs(center))),
        register=float(np.median(follow[loudness > -25])),
        struck=bool(struck) and float(np.mean(struck)) > 0.5,
        octave_up=float((weight * above).sum() / max((weight * strength).sum(), 1e-9)),
    )


def _onsets(
    magnitude: Tensor, midi: Array, loudness: Array, config: SpectrogramConfig
) -> tuple[list[int], list[float]]:
    """The frames of onsets, and the times in frames at which the notes begin."""
    hop = config.hop_length / config.sample_rate
    power = filterbank(config, "mel", 40, 40.0, 0.45 * config.sample_rate) @ magnitude.square()
    bands = (10 * (power / (power.mean() + 1e-12) + 1e-5).log10()).double().numpy()
    frames = bands.shape[1]
    flux = np.zeros((2, frames))  # the rise within one hop and within two
    for row, step in enumerate((1, 2)):
        if frames > step:
            flux[row, step:] = np.maximum(bands[:, step:] - bands[:, :-step], 0).mean(0)
    score = flux[1].copy()
    score[1:] += _RISE * (np.abs(np.diff(midi)) > _LEAP)
    apart = max(1, round(_APART / hop))
    taken = np.zeros(frames, bool)
    for frame in np.argsort(-score, kind="stable"):
        if score[frame] < _RISE:
            break
        heard = loudness[max(0, frame - 1) : frame + 4].max() >= _QUIET
        if heard and not taken[max(0, frame - apart + 1) : frame + apart].any():
            taken[frame] = True
    begins = [int(frame) for frame in np.flatnonzero(taken)]
    early = _EARLY / hop
    return begins, [_crossing(flux[0], frame) + early for frame in begins]


def _crossing(flux: Array, frame: int) -> float:
    """Where, before its peak around a frame, the flux rises above a share of the peak."""
    first = max(frame - 3, 0)
    peak = first + int(np.argmax(flux[first : frame + 3]))
    base = float(flux[max(0, peak - 6) : peak + 1].min())
    bound = base + _CROSSING * (float(flux[peak]) - base)
    at = peak
    while at > 0 and flux[at - 1] > bound and peak - at < 8:
        at -= 1
    if at == 0:
        return 0.0
    return at - float((flux[at] - bound) / max(flux[at] - flux[at - 1], 1e-6))


def _held(loudness: Array, begins: list[int], hop: float) -> list[int | None]:
    """The frame from which on each note is released, where it is."""
    span = max(2, round(0.07 / hop))
    releases: list[int | None] = []
    for begin, stop in pairwise([*begins, len(loudness)]):
        released = None
        for frame in range(begin + 2, stop - 2):
            later = min(frame + span, stop - 1)
            if loudness[later] - loudness[frame] < -_RELEASE * hop * (later - frame):
                released = frame
                break
        releases.append(released)
    return releases
