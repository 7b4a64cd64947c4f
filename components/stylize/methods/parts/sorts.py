"""What sort of sound a recording is, softly: speech, texture, beats, one voice, or several."""

import torch
from torch import Tensor

from audiostyle.spectrogram import SpectrogramConfig
from components.stylize.methods.parts.method import Heard
from components.stylize.methods.parts.pitch import Pitch, voice_of
from components.stylize.methods.parts.speech import speechness
from components.stylize.methods.parts.texture import evenness, noisiness

SORTS = ("speech", "texture", "beats", "voice", "voices")
SPEECH, TEXTURE, BEATS = 0, 1, 2
# The ways of the default, in its order, by what they make of a result.
_PARTS = ("content", "bands", "bands", "envelopes", "envelopes", "notes", "voices", "beats")
# Of `texture.tone_and_rise`, on the development side: beats have 0.2 to 0.46 and 2.8 to 3.8,
# voices and chords 0.55 to 0.87 and 0.3 to 2.0.
_TONE, _TONE_WIDTH, _RISE = 0.45, 0.15, 2.2


def sorts_of(
    magnitude: Tensor, pitch: Pitch, item: int, course: Tensor, config: SpectrogramConfig
) -> Tensor:
    """How surely a recording [bins, frames] is each of `SORTS`, [sorts], which sum to one.

    course: see `texture.tone_and_rise`.
    """
    tone, rise = course
    speech = speechness(magnitude, pitch, item, course, config)
    texture = noisiness(tone) * evenness(rise) * (1 - speech)
    left = 1 - speech - texture
    beats = left * ((_TONE - tone) / _TONE_WIDTH + rise - _RISE).clamp(0, 1)
    energy = magnitude.square().sum(0)
    voice = (voice_of(pitch, item) * energy).sum() / energy.sum().clamp_min(1e-20)
    return torch.stack(
        [speech, texture, beats, (left - beats) * voice, (left - beats) * (1 - voice)]
    )


def texture_share(content: Tensor, style: Tensor, style_course: Tensor) -> Tensor:
    """How much of the result is the style laid beside the content, from 0 to 1, a scalar.

    All of it where the style is a texture or an effect, unless its hits can answer beats.
    content, style: `sorts_of` each; style_course: see `texture.tone_and_rise`.
    """
    tone, rise = style_course
    answered = (1 - evenness(rise)) * (2 * content[BEATS]).clamp(0, 1)
    share: Tensor = noisiness(tone) * (1 - style[SPEECH]) * (1 - answered)
    return share


def heard_of(
    content: Tensor,
    style: Tensor,
    weights: Tensor,
    loudness: Tensor,
    shares: tuple[float, float],
) -> Heard:
    """For `components.stylize.heard`.

    content, style: `sorts_of` each. weights: of the ways, [ways, bands, frames]; loudness: of the
    frames that they count by. shares: `texture_share` and the strength.
    """
    laid, strength = shares
    share = (weights.mean(1) * loudness).sum(1) / loudness.sum().clamp_min(1e-20)
    parts = dict.fromkeys((*_PARTS, "speech", "texture"), 0.0)
    for name, value in zip(_PARTS, share.tolist(), strict=True):
        parts[name] += value
    noise, speech = float(content[TEXTURE]), float(content[SPEECH])
    _mix(parts, {"content": 0.5, "bands": 0.5}, noise)
    _mix(parts, {"speech": 1.0}, speech)
    _mix(parts, {"texture": 0.5, "bands": 0.5}, laid)
    _mix(parts, {"content": 1.0}, 1 - strength)
    sorts = {
        f"{role}.{name}": value
        for role, values in (("content", content), ("style", style))
        for name, value in zip(SORTS, values.tolist(), strict=True)
    }
    return {**sorts, **{f"result.{name}": value for name, value in parts.items()}}


def _mix(parts: dict[str, float], others: dict[str, float], share: float) -> None:
    for name in parts:
        parts[name] = (1 - share) * parts[name] + share * others.get(name, 0.0)
