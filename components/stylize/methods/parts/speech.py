"""Speech: how surely a recording is speech, and the same words by another voice.

What is said lies in the formants, which stay with the content; who says it lies in the pitch, the
length of the vocal tract and the mean spectrum, which become the style's.
"""

from functools import lru_cache

import torch
from torch import Tensor

from audiostyle.spectrogram import SpectrogramConfig
from components.stylize.methods.parts.bands import curve, envelope
from components.stylize.methods.parts.pitch import Pitch, voice_of
from components.stylize.methods.parts.transposition import moved

_MOST_SEMITONES = 14.0
# Octaves by which formants lie higher where the voice is an octave higher: women's are a sixth
# higher than men's, and their voices nine semitones (Peterson and Barney 1952).
_TRACT = 0.25
_BREATH = 0.15  # strength of pitch of a frame that has none
# Where a voice has clear partials, and where its hiss covers them: moving that costs words.
_PARTIALS_HZ, _NOISE_HZ = 700.0, 1600.0
_TINY = 1e-6
_LOUD, _MATCH = 0.1, 0.4  # of frames that tell the pitch: relative level, strength
# Third-octave bands, the first at 150 Hz, as ESTOI has them; how far they are given back, in the
# lowest and above; by how much at most, nepers; and what is silence, relative to the loudest frame.
_FIRST_THIRD_HZ, _THIRDS, _LOW_THIRDS = 150.0, 15, 5
_ARTICULATION = (0.85, 1.0)
_MOST_ARTICULATION, _ARTICULATION_FLOOR = 2.2, 1e-6
# What sets speech apart, with the weights of a logistic regression on each of it and its square,
# in units of deviations. Fitted on 150 recordings of speech (speakers p225 and p226 of VCTK, and
# readers of eleven languages in Tux Paint's stamps) and 500 of everything else: the development
# side of the benchmark, animals, machines, and computed sirens and whistles.
_HEARD_DB, _VOICED = 30.0, 0.35
_GLIDE, _STEADY = 1.5, 0.12  # semitones a frame: less than a leap, more than a held note
_LOW, _HIGH = 14, 26  # bands, of 40: below are vowels, above consonants
_MEANS = (0.27, 0.35, 0.78, 0.25, 0.36, 1.11, 0.53)
_DEVIATIONS = (0.33, 0.32, 0.40, 0.18, 0.27, 0.76, 0.41)
_WEIGHTS = (1.69, -0.68, 1.81, 0.84, -2.06, 0.74, 1.60)
_SQUARE_WEIGHTS = (-0.49, -0.11, -0.52, -1.37, -2.24, -1.51, -0.64)
_OFFSET, _MOST_DEVIATIONS = 1.19, 3.0
# Of music and sirens the first is hardly reached; of speech mostly more than the second.
_UNSURE, _SURE = 0.55, 0.8


def speechness(
    magnitude: Tensor, pitch: Pitch, item: int, course: Tensor, config: SpectrogramConfig
) -> Tensor:
    """How surely a recording is speech, from 0 to 1, a scalar. magnitude: [bins, frames].

    By gliding pitch, by vowels and consonants in turn, and by how fast bands and partials move.
    course: see `texture.tone_and_rise`, [2].
    """
    level = 10 * magnitude.square().sum(0).clamp_min(1e-12).log10()
    loud = level > level.amax() - _HEARD_DB
    voiced = loud & (pitch.strength[item] > _VOICED)
    step = (pitch.midi[item][1:] - pitch.midi[item][:-1]).abs()
    step = step[voiced[1:] & voiced[:-1]]
    step = step[step < _GLIDE]
    glides = (step > _STEADY).float().mean() if len(step) > 3 else step.new_zeros(())
    bands = envelope(magnitude, config)
    tilt = (bands[_HIGH:].mean(0) - bands[:_LOW].mean(0))[loud]
    change = (bands[:, 1:] - bands[:, :-1]).abs().mean(0)[loud[1:]]
    if len(change) < 3:
        return step.new_zeros(())
    seen = torch.stack(
        [
            glides,
            voiced.sum() / loud.sum(),
            tilt.std(),
            change.std(),
            *course,
            voice_of(pitch, item)[loud].mean(),
        ]
    )
    seen = (seen - seen.new_tensor(_MEANS)) / seen.new_tensor(_DEVIATIONS)
    seen = seen.clamp(-_MOST_DEVIATIONS, _MOST_DEVIATIONS)
    logit = seen @ seen.new_tensor(_WEIGHTS) + seen.square() @ seen.new_tensor(_SQUARE_WEIGHTS)
    share = ((torch.sigmoid(logit + _OFFSET) - _UNSURE) / (_SURE - _UNSURE)).clamp(0, 1)
    return share.square() * (3 - 2 * share)


def median_pitch(magnitude: Tensor, pitch: Pitch, item: int) -> Tensor:
    """MIDI key that a voice keeps to, a scalar. magnitude: [bins, frames]."""
    level = magnitude.square().sum(0).sqrt()
    loud = level > _LOUD * level.max()
    sure = loud & (pitch.strength[item] > _MATCH)
    return pitch.midi[item][sure if int(sure.sum()) >= 5 else loud].median()


def spoken(
    magnitude: Tensor, strength: Tensor, semitones: float, config: SpectrogramConfig
) -> Tensor:
    """A voice moved in pitch, under its own formants. [bins, frames] in and out.

    strength: of each frame's pitch, [frames]. Consonants and what lies above the voice's partials
    are noise, which has no pitch to move.
    """
    semitones = max(-_MOST_SEMITONES, min(_MOST_SEMITONES, semitones))
    formants = curve(envelope(magnitude, config), config)
    fine = magnitude / formants.exp()
    raised = moved(fine, semitones)
    floor = formants.amin()
    tract = moved(formants - floor, _TRACT * semitones) + floor
    if semitones < 0:  # what would be empty at the top keeps the content's
        top = int(len(fine) * 2 ** (semitones / 12))
        raised[top:] = fine[top:]
        top = int(len(fine) * 2 ** (_TRACT * semitones / 12)) - 1
        tract[top:] = formants[top:]
    voiced = ((strength - _BREATH) / (_MATCH - _BREATH)).clamp(0, 1)
    hertz = torch.arange(len(fine), device=fine.device) * config.sample_rate / config.n_fft
    low = ((_NOISE_HZ - hertz) / (_NOISE_HZ - _PARTIALS_HZ)).clamp(0, 1)
    share = low[:, None] * voiced
    fine_structure = torch.lerp(fine.clamp_min(_TINY).log(), raised.clamp_min(_TINY).log(), share)
    return fine_structure.exp() * tract.exp()


def articulated(voice: Tensor, content: Tensor, config: SpectrogramConfig) -> Tensor:
    """A moved voice whose third-octave bands do more of what the content's do, [bins, frames].

    Words lie in how these bands move together (ESTOI, Jensen and Taal 2016); where a voice is
    moved, its partials fall into others of them. Less is given back in the bass, where the bands
    are narrower than partials are apart.
    """
    inside = _third_octaves(config).to(voice.device)
    floor = content.square().sum(0).amax() * _ARTICULATION_FLOOR
    own, wanted = (inside @ x.square() + floor for x in (voice, content))
    gain = (0.5 * (wanted / own).log()).clamp(-_MOST_ARTICULATION, _MOST_ARTICULATION)
    low = torch.arange(len(gain), device=gain.device) < _LOW_THIRDS
    gain = gain * torch.where(low, *_ARTICULATION)[:, None]
    return voice * (inside.T @ gain).exp()


@lru_cache(maxsize=4)
def _third_octaves(config: SpectrogramConfig) -> Tensor:
    """Which bins each band has, [bands, bins]; the outer ones have all beyond them."""
    hertz = torch.arange(config.bins) * config.sample_rate / config.n_fft
    number = (3 * (hertz.clamp_min(1) / _FIRST_THIRD_HZ).log2()).round().clamp(0, _THIRDS - 1)
    return (number == torch.arange(_THIRDS)[:, None]).float()
