"""The default: several ways from content to style, each trusted as far as it has proved itself.

One voice is answered note by note (`notes.py`), several at once by a decomposition
(`parts/voices.py`), anything by what its bands do (`parts/bands.py`) or by an equalizer; speech
keeps its words (`parts/speech.py`). What a passage is decides softly, band by band and frame by
frame (`parts/mixing.py`): the ways' logarithms are averaged, and where none is sure the content
stays.

Nothing is optimized unless `iterations` is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from audiostyle.spectrogram import SpectrogramConfig
from components.stylize.methods.notes import Attention, times_of
from components.stylize.methods.parts import bands, beats, mixing, recall, voices
from components.stylize.methods.parts.bands import Levels
from components.stylize.methods.parts.equalizer import equalize
from components.stylize.methods.parts.method import Contents, Heard, Style
from components.stylize.methods.parts.mixing import Mixture
from components.stylize.methods.parts.onsets import Notes, find_notes
from components.stylize.methods.parts.pitch import Pitch, track, voice_of
from components.stylize.methods.parts.sorts import (
    SPEECH,
    TEXTURE,
    heard_of,
    sorts_of,
    texture_share,
)
from components.stylize.methods.parts.speech import articulated, median_pitch, spoken
from components.stylize.methods.parts.texture import (
    noisiness,
    texture_of,
    textured,
    tone_and_rise,
    without_pauses,
)
from components.stylize.methods.parts.transposition import register

WAYS = ("content", "equalizer", "map", "recall", "envelope", "notes", "voices", "beats")


@dataclass(frozen=True)
class Ways:
    """What each way makes of one content, and what tells how far to trust it.

    logs: [ways, bins, frames], at the content's level. features: [features, bands, frames].
    depth: what was added to magnitudes before their logarithm, a scalar. gate: what keeps silence
    silent, from 0 to 1, [frames]. course: see `texture.tone_and_rise`, [2].
    """

    logs: Tensor
    features: Tensor
    depth: Tensor
    gate: Tensor
    course: Tensor


class Blend(Attention):
    """See the module."""

    own_strength = True

    @property
    def strength(self) -> float:
        """How far to go from the content to the style, from 0 to 1."""
        return self.config.strength

    @property
    def recall_network(self) -> recall.Network:
        """Whose keys recall the style's levels."""
        return recall.trained(self.device)

    def _more(self, magnitude: Tensor, notes: Notes, pitch: Pitch) -> Style:
        """The bands' levels, the atoms of voices, the onsets."""
        times = times_of(notes)[:, 0].to(self.device)
        levels = bands.levels_of(magnitude, self.spectrogram)
        atoms = voices.atoms_of(magnitude, times, self.spectrogram)
        course = torch.stack(tone_and_rise(magnitude, self.spectrogram))
        sorts = sorts_of(magnitude, pitch, 0, course, self.spectrogram)
        seen, recalled = recall.seen_of(magnitude, times, pitch, 0, self.spectrogram, style=True)
        sounding = without_pauses(magnitude)
        sounding_course = torch.stack(tone_and_rise(sounding, self.spectrogram))
        noise = float(noisiness(sounding_course[0]))
        laid = texture_of(sounding, self.spectrogram) if noise else {}
        return {
            "bands.envelope": levels.envelope,
            "recall.keys": self.recall_network(seen),
            "recall.levels": recalled,
            "bands.keys": levels.keys,
            **{f"voices.{name}": value for name, value in atoms.items()},
            **beats.onsets_of(magnitude, notes, self.spectrogram).named(),
            "beats.logs": beats.log_of(magnitude),
            "speech.pitch": median_pitch(magnitude, pitch, 0),
            "course": course,
            "texture.course": sounding_course,
            "sorts": sorts,
            **{f"texture.{name}": value for name, value in laid.items()},
        }

    def start(self, contents: Contents, styles: Sequence[Style]) -> Tensor:
        """The blend, [batch, bins, frames]."""
        return self.begun(contents, styles)[0]

    def begun(self, contents: Contents, styles: Sequence[Style]) -> tuple[Tensor, Sequence[Heard]]:
        """The blend, [batch, bins, frames], and what was heard."""
        pitch = track(contents.magnitude, self.spectrogram)
        blends, heard = [], []
        for item, (ways, style) in enumerate(
            zip(self.ways(contents, styles, pitch), styles, strict=True)
        ):
            magnitude = contents.magnitude[item]
            sorts = sorts_of(magnitude, pitch, item, ways.course, self.spectrogram)
            speech, noise = sorts[SPEECH], sorts[TEXTURE]
            mixture = self.trust(ways)
            result = (blended(ways, mixture, self.spectrogram) + ways.depth).log()
            # Noise has no notes to answer: it keeps its course under the style's spectrum.
            result = torch.lerp(result, ways.logs[:2].mean(0), noise)
            if float(speech):
                said = self._said(magnitude, pitch, item, style)
                result = speech * (said + ways.depth).log() + (1 - speech) * result
            laid = texture_share(sorts, style["sorts"], style["texture.course"])
            if float(laid):
                texture = {name: style[f"texture.{name}"] for name in ("frames", "keys")}
                answer = textured(magnitude, texture, self.spectrogram) * ways.gate
                result = torch.lerp(result, (answer + ways.depth).log(), laid)
            result = self.strength * result + (1 - self.strength) * ways.logs[0]
            blends.append((result.exp() - ways.depth).clamp_min(0))
            loudness = magnitude.square().sum(0)
            shares = (float(laid), self.strength)
            heard.append(heard_of(sorts, style["sorts"], mixture.weights, loudness, shares))
        return torch.stack(blends), heard

    def _said(self, magnitude: Tensor, pitch: Pitch, item: int, style: Style) -> Tensor:
        """Speech as the style's voice would say it, [bins, frames]."""
        higher = style["speech.pitch"] - median_pitch(magnitude, pitch, item)
        semitones = float(higher * style["sorts"][SPEECH] * self.strength)
        said = spoken(magnitude, pitch.strength[item], semitones, self.spectrogram)
        said = articulated(said, magnitude, self.spectrogram)
        own = bands.envelope(said, self.spectrogram, bands.SMOOTHING)
        gain = bands.mapped(own, style["bands.envelope"])
        said = said * bands.curve(gain, self.spectrogram).exp()
        result: Tensor = said * (magnitude.norm() / said.norm().clamp_min(1e-12))
        return result

    def ways(self, contents: Contents, styles: Sequence[Style], pitch: Pitch) -> list[Ways]:
        """All ways of each item."""
        power = torch.stack([style["power"] for style in styles])
        equalized = equalize(contents.magnitude, contents.power, power, self.spectrogram)
        items = []
        for item, style in enumerate(styles):
            magnitude = contents.magnitude[item]
            notes = find_notes(magnitude.cpu(), pitch, item, self.spectrogram)
            times = times_of(notes)[:, 0].to(self.device)
            answers = self._answers(magnitude, notes, style)
            atoms = {name: style[f"voices.{name}"] for name in ("atoms", "sounds", "times")}
            several, fit = voices.voiced(magnitude, times, atoms, self.spectrogram)
            own = bands.levels_of(magnitude, self.spectrogram)
            own_register = register(contents.power[item], self.spectrogram)
            wanted = Levels(style["bands.envelope"], style["bands.keys"])
            heard = beats.onsets_of(magnitude, notes, self.spectrogram)
            answers_of = beats.Onsets(
                *(style[f"beats.{name}"] for name in ("patterns", "times", "levels"))
            )
            replayed = beats.replayed(heard, answers_of, style["beats.logs"], self.spectrogram)
            seen, levels = recall.seen_of(
                magnitude, times, pitch, item, self.spectrogram, style=False
            )
            recalled = recall.recalled(
                self.recall_network(seen), style["recall.keys"], style["recall.levels"]
            )
            gains = [
                bands.mapped(own.envelope, wanted.envelope),
                (recalled - levels.T).clamp(-bands.MOST, bands.MOST),
            ]
            course = torch.stack(tone_and_rise(magnitude, self.spectrogram))
            magnitudes = [
                magnitude,
                equalized[item],
                *(magnitude * bands.curve(gain, self.spectrogram).exp() for gain in gains),
                answers.shaped,
                (answers.moved.exp() - style["depth"]).clamp_min(0),
                several,
                (replayed.exp() - style["depth"]).clamp_min(0),
            ]
            depth = bands.depth_of(magnitude)
            magnitudes = [x * (magnitude.norm() / x.norm().clamp_min(1e-12)) for x in magnitudes]
            logs = torch.stack([(x + depth).log() for x in magnitudes])
            known = {
                "voice": voice_of(pitch, item),
                "answer": answers.voice,
                "clarity": pitch.clarity[item],
                "explained": pitch.explained[item],
                "fit": fit,
                "time": times,
                "loudness": notes.loudness.to(self.device) / 20,
                "style voice": style["voice"].mean().expand_as(fit),
                "struck": style["whole"][3].expand_as(fit),
                # How far each way reaches beyond what the style shows.
                "unlike": bands.unlike(own, wanted),
                "moved": answers.apart.clamp_max(24) / 12,
                "register": (style["register"] - own_register).abs().clamp_max(36) / 12,
                "tone": course[0].expand_as(fit),
                "rise": course[1].expand_as(fit),
                "style tone": style["course"][0].expand_as(fit),
                "style rise": style["course"][1].expand_as(fit),
            }
            features = self._features(magnitudes, own, wanted, known)
            gate = self._gate(notes.loudness).to(self.device)
            items.append(Ways(logs, features, depth, gate, course))
        return items

    def _features(
        self, magnitudes: list[Tensor], own: Levels, wanted: Levels, known: dict[str, Tensor]
    ) -> Tensor:
        """[features, bands, frames]."""
        content = magnitudes[0]
        heard = [bands.envelope(x, self.spectrogram) for x in magnitudes]
        shape = heard[0].shape
        changes = [x - heard[0] for x in heard[1:]]
        position = torch.linspace(-1, 1, shape[0], device=content.device)[:, None].expand(shape)
        several = torch.stack(changes)
        per_band = [
            own.envelope.std(1, keepdim=True, correction=0),
            wanted.envelope.std(1, keepdim=True, correction=0),
            own.envelope.amax(1, keepdim=True) - own.envelope.amax(),
            wanted.envelope.amax(1, keepdim=True) - wanted.envelope.amax(),
            wanted.envelope.mean(1, keepdim=True) - wanted.envelope.amax(),
        ]
        return torch.stack(
            [
                *changes,
                *(x.abs() for x in changes),
                several.std(0, correction=0),
                heard[0] - heard[0].amax(),
                position,
                position.square(),
                *(x.expand(shape) for x in per_band),
                *(x.expand(shape) for x in known.values()),
            ]
        )

    def trust(self, ways: Ways) -> Mixture:
        """How far each way is trusted."""
        return mixing.mixture(mixing.fitted(self.device), ways.features)


def blended(ways: Ways, mixture: Mixture, config: SpectrogramConfig) -> Tensor:
    """The ways' average as a mixture says, at the content's level, [bins, frames]."""
    logs = torch.zeros_like(ways.logs[0])
    for log, weight in zip(ways.logs, mixture.weights, strict=True):
        logs += log * bands.curve(weight, config)
    above = (logs.exp() - ways.depth).clamp_min(0)
    return above * ways.gate * bands.curve(mixture.gain, config).exp()


METHOD = Blend
