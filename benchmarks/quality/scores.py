"""All that is measured of one transfer, by what its kind has: a target, words, beats, a texture."""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from librosa.onset import onset_detect
from numpy.typing import NDArray

from audiostyle.audio import Recording, Samples
from benchmarks import measures
from benchmarks.measures import RATE
from benchmarks.pairs import TruePair
from benchmarks.quality import note_posteriors
from benchmarks.quality.textures import Texture, texture, without_pauses
from components.reconstruct.measures.sounds import leveled

# Onsets less than so far apart are the same one.
_SAME_SECONDS = 0.05


@dataclass(frozen=True)
class Reference:
    """A pair, and what is computed of it once for all rows."""

    pair: TruePair

    @cached_property
    def path(self) -> NDArray[np.int_] | None:
        """Where each frame of a spoken content is in its target, [steps, 2]."""
        pair = self.pair
        if pair.target is None or pair.kind != "speech":
            return None
        return measures.alignment(pair.content, pair.target)

    @cached_property
    def apart(self) -> float:
        """Log-mel distance of the content to the target, dB."""
        assert self.pair.target is not None
        return measures.lsd(self.pair.content, self.pair.target, self.path)

    @cached_property
    def notes(self) -> dict[str, NDArray[np.float32]]:
        """Posteriors by role."""
        sounds = {"content": self.pair.content}
        if self.pair.target is not None:
            sounds["target"] = self.pair.target
        return {role: note_posteriors.posteriors(sound) for role, sound in sounds.items()}

    @cached_property
    def style(self) -> Texture:
        """Texture statistics of the style, which some data sets fill up with silence."""
        return texture(leveled(Recording(without_pauses(self.pair.style)[None], RATE)))


def scores(result: Samples, reference: Reference) -> dict[str, float]:
    """By name; a result as `measures.prepared` gives it."""
    pair = reference.pair
    values = {
        "timbre": measures.timbre(result, pair.style),
        "spread": measures.spread(result, pair.style),
        "chroma": measures.pitch(result, pair.content),
    }
    if pair.target is not None:
        values["lsd"] = measures.lsd(result, pair.target, reference.path)
        values["gain"] = measures.gain(values["lsd"], reference.apart)
    if pair.kind == "speech":
        values["estoi"] = measures.estoi(result, pair.content)
    elif note_posteriors.available():
        heard = note_posteriors.posteriors(result)
        values["kept"] = note_posteriors.distance(heard, reference.notes["content"])
        if pair.target is not None:
            values["notes"] = note_posteriors.distance(heard, reference.notes["target"])
    if pair.kind == "drums":
        values["onsets"] = onset_score(result, pair.content)
    if pair.kind == "fx":
        values["texture"] = texture(result).distance(reference.style)
    return values


def own_style(result: Samples, pair: TruePair) -> dict[str, float]:
    """What became of a content in its own style."""
    values = {"self": measures.lsd(result, pair.content)}
    if pair.kind == "speech":
        values["self_estoi"] = measures.estoi(result, pair.content)
    return values


def onset_score(result: Samples, content: Samples) -> float:
    """F1 of the onsets of a result to the content's."""
    times = [onset_detect(y=sound, sr=RATE, units="time") for sound in (result, content)]
    if not len(times[0]) or not len(times[1]):
        return float(len(times[0]) == len(times[1]))
    near = np.abs(times[0][:, None] - times[1]) <= _SAME_SECONDS
    precision, recall = near.any(1).mean(), near.any(0).mean()
    return float(2 * precision * recall / max(precision + recall, 1e-9))


@cache
def notices() -> tuple[str, ...]:
    """What cannot be measured here, and why."""
    missing = []
    if not note_posteriors.available():
        missing.append("notes: basic-pitch (pip install --no-deps) or onnxruntime is missing")
    if not measures.can_hear_words():
        missing.append("estoi: pystoi is missing")
    return tuple(missing)
