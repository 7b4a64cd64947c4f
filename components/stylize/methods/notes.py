"""One voice (method `notes`): a frame of the content is answered by the style's most like it.

Alike in note (time since the onset, time since the release), in pitch, and in the trained
network's activations: attention whose keys these are and whose values are the style's own frames,
moved in frequency to the content's pitch as a sampler plays one recording on several keys. The
answers' logarithms are averaged: the mean is what lies nearest to what cannot be known. Where the
content or the style is no single voice, the content keeps its spectrum and takes the envelope.

Nothing is optimized unless `iterations` is given; steps then descend the trained network's Gram
matrices, from here. What each part adds stands in docs/quality.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor
from torch.nn import functional

from audiostyle.network import TAPS
from audiostyle.spectrogram import filterbank
from components.stylize.methods.parts.equalizer import equalize
from components.stylize.methods.parts.method import FLOOR, Contents, Defaults, Style
from components.stylize.methods.parts.onsets import LONG, Notes, find_notes
from components.stylize.methods.parts.pitch import Pitch, track, voice_of
from components.stylize.methods.trained import Trained

# All chosen on the development pairs of benchmarks/quality, flat around these values.
# Widths of the kernels over pitch in semitones: for answers and for envelopes.
_PITCH, _WIDE_PITCH = 2.0, 8.0
_SOON = 0.03
_KEPT = 24  # style frames that answer
_TRUST = 0.85  # in the answer, where there is; the rest is the content's spectrum
_ENVELOPE_BANDS, _ENVELOPE_WIDTH = 40, 2.0  # mel bands, and the smoothing over them
_MOST = 3.5  # nepers, 30 dB: no envelope is moved by more
_DEPTH_DB = 75.0  # below the loudest cell there is nothing to average
_TAIL = 0.35  # s for which a note may sound on where the content is silent
_SILENT_DB = -60.0
_KEY_BANDS = 4  # the network's bands, pooled: where in the spectrum, not which key
_MOST_FRAMES = 640  # of a style that are kept: all of 15 s, every fourth of a minute
_CHUNK = 64  # frames answered at a time, for the sake of memory


@dataclass(frozen=True)
class Answers:
    """moved: logarithm of the style's frames at the content's pitch, [bins, frames].

    shaped: the content under the envelopes that were retrieved, linear, [bins, frames]. voice: how
    surely what answers is one voice, [frames]. apart: semitones by which what answers was moved,
    [frames].
    """

    moved: Tensor
    shaped: Tensor
    voice: Tensor
    apart: Tensor


class Attention(Trained):
    """Answers from the style's frames; `trained`'s terms for whoever asks for iterations."""

    defaults = Defaults(init="method", iterations=0, learning_rate=0.01)
    # Of the network's activations among the keys, and widths of the kernels over time, as natural
    # logarithms of seconds + 30 ms: for answers, and for envelopes, which many frames know.
    key_weights = (0.3, 1.0)
    time_widths = (0.3, 0.6)

    def style(self, magnitude: Tensor) -> Style:
        """Frames [frames, ...]: logarithms, notes, keys, envelopes; and `trained`'s Grams."""
        pitch = track(magnitude[None], self.spectrogram)
        notes = find_notes(magnitude.cpu(), pitch, 0, self.spectrogram)
        level = notes.level - notes.level.mean()
        summary = {
            "frames": (self._log(magnitude) - level.to(self.device)).T.contiguous(),
            "depth": magnitude.amax() * 10 ** (-_DEPTH_DB / 20),
            "level": magnitude.square().mean(),
            "power": magnitude.square().mean(1),
            "times": times_of(notes),
            "midi": notes.midi,
            "voice": voice_of(pitch, 0),
            "keys": self._keys(magnitude),
            "envelope": self._envelope(magnitude).T.contiguous(),
            "whole": _whole(notes),
            **self._more(magnitude, notes, pitch),
        }
        on_device = {name: value.to(self.device) for name, value in summary.items()}
        return {**super().style(magnitude), **_summary(on_device, magnitude.shape[1])}

    def _more(self, magnitude: Tensor, notes: Notes, pitch: Pitch) -> Style:
        """What a method that goes on from here keeps of a style."""
        return {}

    def start(self, contents: Contents, styles: Sequence[Style]) -> Tensor:
        """The answers, [batch, bins, frames]."""
        pitch = track(contents.magnitude, self.spectrogram)
        power = torch.stack([style["power"] for style in styles])
        equalized = equalize(contents.magnitude, contents.power, power, self.spectrogram)
        answers = []
        for item, style in enumerate(styles):
            magnitude = contents.magnitude[item]
            notes = find_notes(magnitude.cpu(), pitch, item, self.spectrogram)
            voice = voice_of(pitch, item)
            answers.append(self._mixed(magnitude, equalized[item], notes, voice, style))
        return torch.stack(answers)

    def _answers(self, magnitude: Tensor, notes: Notes, style: Style) -> "Answers":
        """Of one item; magnitude: [bins, frames]."""
        times, whole = times_of(notes).to(self.device), _whole(notes).to(self.device)
        apart = notes.midi.to(self.device)[:, None] - style["midi"] + _offset(whole, style["whole"])
        # Where notes die away by themselves, nothing tells when they were released.
        counted = times.new_tensor([1.0, 0.0 if max(whole[3], style["whole"][3]) else 1.0])
        later = ((times[:, None] - style["times"]).square() * counted).sum(2)
        unlike = _unlike(self._keys(magnitude), style["keys"])

        near, wide = (
            -0.5 * ((apart / pitch).square() + later / time**2) - key * unlike
            for pitch, time, key in zip(
                (_PITCH, _WIDE_PITCH), self.time_widths, self.key_weights, strict=True
            )
        )
        near = near + (style["voice"] + 1e-3).log()
        near = near.softmax(1)  # [frames, style frames]
        level = notes.level - notes.level.mean()
        answer = _moved(near, apart, style["frames"]) + level.to(self.device)

        change = (wide.softmax(1) @ style["envelope"]).T - self._envelope(magnitude)
        shaped = magnitude * self._curve(change.clamp(-_MOST, _MOST)).exp()
        return Answers(answer, shaped, near @ style["voice"], (near * apart.abs()).sum(1))

    def _mixed(
        self, magnitude: Tensor, equalized: Tensor, notes: Notes, voice: Tensor, style: Style
    ) -> Tensor:
        """One item; magnitude, equalized, output: [bins, frames]."""
        answers = self._answers(magnitude, notes, style)
        scale = (style["level"] / equalized.square().mean().clamp_min(1e-20)).sqrt()
        depth = style["depth"]
        content = 0.5 * ((equalized * scale + depth).log() + (answers.shaped + depth).log())

        trust = _TRUST * voice * answers.voice
        mixed = answers.moved * trust + content * (1 - trust)
        sound = (mixed.exp() - depth).clamp_min(0)
        return sound * self._gate(notes.loudness).to(self.device)

    def _log(self, magnitude: Tensor) -> Tensor:
        return (magnitude + magnitude.amax() * 10 ** (-_DEPTH_DB / 20)).log()

    def _keys(self, magnitude: Tensor) -> Tensor:
        """Activations of the style layers, each frame's [frames, n], sum of squares about one.

        Each is taken relative to its own mean and deviation over the recording, so that what
        remains of a timbre is how it changes.
        """
        taps = tuple(tap for tap in TAPS if tap in self.style_layers)
        keys = []
        for x in self.model.features(magnitude[None], taps).values():
            bands = min(_KEY_BANDS, x.shape[2])
            pooled = functional.adaptive_avg_pool2d(x, (bands, x.shape[3])).flatten(1, 2)
            key = functional.interpolate(
                pooled, magnitude.shape[1], mode="linear", align_corners=False
            )[0]
            key = key - key.mean(1, keepdim=True)
            deviation = key.square().mean(1, keepdim=True).sqrt()
            key = key / (deviation + 0.1 * deviation.mean() + 1e-6)
            keys.append(key / (len(key) * len(taps)) ** 0.5)
        return torch.cat(keys).T

    def _bank(self) -> Tensor:
        top = 0.45 * self.spectrogram.sample_rate
        bank = filterbank(self.spectrogram, "mel", _ENVELOPE_BANDS, 40.0, top)
        return bank.to(self.device)

    def _envelope(self, magnitude: Tensor) -> Tensor:
        """Smooth logarithm of the magnitude: [bands, frames]; of a style [frames, bands]."""
        depth = magnitude.amax() * 10 ** (-_DEPTH_DB / 20) + FLOOR
        bands = 0.5 * (self._bank() @ magnitude.square() + depth.square()).log()
        number = torch.arange(_ENVELOPE_BANDS, device=self.device)
        smooth = (-0.5 * ((number[:, None] - number) / _ENVELOPE_WIDTH).square()).softmax(1)
        return smooth @ bands

    def _curve(self, bands: Tensor) -> Tensor:
        """[bands, frames] to [bins, frames], held beyond the outer bands."""
        bank = self._bank()
        share = bank / bank.amax(1, keepdim=True)
        total = share.sum(0)
        curve = (share / total.clamp_min(1e-9)).T @ bands
        first, last = (total > 0.5).nonzero()[[0, -1], 0]
        curve[:first], curve[last + 1 :] = curve[first], curve[last]
        return curve

    def _gate(self, loudness: Tensor) -> Tensor:
        """One where the content sounds or has just sounded, zero where it is silent: [frames]."""
        hop = self.spectrogram.hop_length / self.spectrogram.sample_rate
        back = max(1, round(_TAIL / hop))
        padded = functional.pad(loudness[None, None], (back, 1), value=-200.0)
        recent = functional.max_pool1d(padded, back + 2, 1)[0, 0]
        return ((recent - _SILENT_DB) / 10 + 1).clamp(0, 1)


def _summary(style: Style, frames: int) -> Style:
    """A long style's frames thinned out: neighbors tell little of each other's, notes much.

    What has a value a frame has it along the first axis, but for band levels.
    """
    if frames <= _MOST_FRAMES:
        return style
    some = torch.linspace(0, frames - 1, _MOST_FRAMES).round().long()
    return {
        name: value[:, some]
        if name == "bands.envelope"
        else value[some]
        if value.dim() and len(value) == frames and not name.startswith("texture")
        else value
        for name, value in style.items()
    }


def times_of(notes: Notes) -> Tensor:
    """Since the onset and since the release, as they are compared: [frames, 2]."""
    both = torch.stack([notes.since_onset, notes.since_release], 1).clamp_max(LONG)
    return (both.clamp_min(0) + _SOON).log() + both.clamp_max(0) / _SOON


def _whole(notes: Notes) -> Tensor:
    """Tuning, its sharpness, register, struck, octave_up."""
    return torch.tensor([*notes.tuning, notes.register, float(notes.struck), notes.octave_up])


def _offset(content: Tensor, style: Tensor) -> Tensor:
    """Semitones to add to what the content is above the style.

    Tuning is the instrument's: where both keep to keys, the style's is taken. Pipes of an octave
    below sound with an organ's key: where the match says as much of the octave above, the style
    answers in the content's register.
    """
    both = (content[1] > 0.8) & (style[1] > 0.8)
    tuning = torch.where(both, (style[0] - content[0] + 0.5) % 1 - 0.5, 0.0)
    above = content[2] - style[2]
    low_style = (above > 9) & (style[4] > 0.1)
    low_content = (above < -9) & (content[4] > 0.1)
    return tuning - 12.0 * low_style + 12.0 * low_content


def _unlike(content: Tensor, style: Tensor) -> Tensor:
    """Squared distances of keys, [frames, style frames]."""
    inner = content @ style.T
    squares = content.square().sum(1)[:, None] + style.square().sum(1)
    return (squares - 2 * inner).clamp_min(0)


def _moved(near: Tensor, apart: Tensor, frames: Tensor) -> Tensor:
    """The weighed mean of style frames, each moved in frequency by so many semitones.

    near, apart: [content frames, style frames]; frames: [style frames, bins]. Output: [bins,
    content frames].
    """
    bins = frames.shape[1]
    flat = frames.flatten()
    weight, chosen = near.topk(min(_KEPT, near.shape[1]), 1)
    weight = weight / weight.sum(1, keepdim=True)
    stretch = (apart.gather(1, chosen) * (-log(2) / 12)).exp()  # [frames, kept]
    number = torch.arange(bins, device=frames.device)
    parts = []
    for first in range(0, len(near), _CHUNK):
        part = slice(first, first + _CHUNK)
        place = number * stretch[part, :, None]
        below = place.floor().clamp_max(bins - 2)
        between = (place - below).clamp(0, 1)
        at = below.long() + chosen[part, :, None] * bins
        value = flat[at] * (1 - between) + flat[at + 1] * between
        parts.append((weight[part, :, None] * value).sum(1))
    return torch.cat(parts).T


METHOD = Attention
