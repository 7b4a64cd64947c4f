"""What the default's networks are fitted on: pairs of the development side, and variations of them.

Further phrases of TimGM6mb's instruments, the same of FluidR3, many more instruments of FluidR3 and
MuseScore's font, ensembles, drums, recorded notes, and pairs whose pitch and spectrum are changed.
No instrument of the held-out side plays here. The pairs come in two halves, of different fonts,
kits and recordings, so that one network can be fitted on what another, trained on the other half,
says of recordings that it does not know.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from audiostyle.audio import Samples
from benchmarks.measures import RATE
from benchmarks.pairs import TruePair, example_module, font, true_pair
from benchmarks.quality import kinds, playing
from benchmarks.quality.ensembles import ensembles
from benchmarks.quality.synthetic import synthetic

# Debian's musescore-general-soundfont-small.
MUSESCORE = Path("/usr/share/sounds/sf3/MuseScore_General_Lite.sf3")
_VALIDATION = 8
_SIDE = "development"
# Variations: semitones at most, and deviation of a curve's waves over nine octaves, dB.
_SEMITONES, _WAVES_DB = 4.0, 2.5


@dataclass(frozen=True)
class Fitting:
    """A pair to fit on. half: 0, 1, or None for one that is for validation alone."""

    pair: TruePair
    half: int | None


def fitting_pairs() -> Iterator[Fitting]:
    """All of them, those for validation first."""
    public = [p for kind in ("starnet", "starmix") for p in kinds.pairs_of(kind, _SIDE, 16)[0]]
    yield from (Fitting(pair, None) for pair in public)
    fluid = example_module("catalogue").FLUIDR3
    sets = [
        kinds.pairs_of("voice", _SIDE, 16)[0],
        playing.chords(_SIDE, 28),
        playing.duet(_SIDE, 28),
        playing.drums(_SIDE, 48),
        playing.real(_SIDE, 28),
        ensembles(_SIDE, 48),
    ]
    yield from (Fitting(pair, None) for pairs in sets for pair in pairs[:_VALIDATION])
    training = [
        *(Fitting(p, int(p.kind == "real")) for pairs in sets for p in pairs[_VALIDATION:]),
        *(Fitting(pair, 0) for pair in playing.melodies(_SIDE, 12)),
        *(Fitting(pair, 1) for pair in playing.melodies(_SIDE, 48, fluid)[24:]),
        *(Fitting(pair, 1) for pair in playing.chords(_SIDE, 64, fluid)[48:]),
        *(Fitting(pair, 1) for pair in playing.duet(_SIDE, 56, fluid)[40:]),
        *(Fitting(pair, 1) for pair in ensembles(_SIDE, 36, fluid, reverb=True)),
        *(Fitting(pair, 1) for pair in synthetic(30, playing.random_phrase)),
        *(Fitting(pair, 1) for pair in playing.drums("further", 64)),
    ]
    yield from training
    for number, fitting in enumerate(training):
        yield Fitting(varied(fitting.pair, number), fitting.half)
    for half, path in enumerate((MUSESCORE, fluid.path)):
        yield from (Fitting(pair, half) for pair in _further(path, half))


def varied(pair: TruePair, seed: int) -> TruePair:
    """A pair at another pitch and speed, its content and its style each under another curve."""
    random = np.random.default_rng(seed)
    speed = 2 ** (random.uniform(-_SEMITONES, _SEMITONES) / 12)
    one, two = _curve(random), _curve(random)
    assert pair.target is not None
    sounds = [
        playing.ready(_filtered(soxr.resample(sound, RATE, RATE * speed), curve))
        for sound, curve in ((pair.content, one), (pair.style, two), (pair.target, two))
    ]
    return true_pair(pair.id, sounds, pair.kind)


def _further(path: Path, number: int) -> list[TruePair]:
    """Many instruments of another font, not the same phrases for each `number`; none without it."""
    if not path.exists():
        print(f"{path} is missing: its instruments are left out", flush=True)
        return []
    sounds = replace(font(), name=path.stem, path=path)
    sets = (
        (playing.melodies, 60),
        (playing.chords, 40),
        (playing.duet, 40),
        (partial(ensembles, reverb=number == 0), 60),
    )
    return [
        pair
        for play, count in sets
        for pair in play("further", (number + 1) * count, sounds)[number * count :]
    ]


def _curve(random: np.random.Generator) -> Callable[[Any], Any]:
    """A smooth level over frequency, from Hz to dB."""
    waves = list(
        zip(
            random.normal(0, _WAVES_DB, 3),
            random.integers(1, 5, 3),
            random.uniform(0, 2 * np.pi, 3),
            strict=True,
        )
    )
    tilt = random.normal(0, _WAVES_DB)

    def level(hertz: Any) -> Any:
        place = np.log2(np.maximum(hertz, 30) / 30) / 9.5
        return 2 * tilt * (place - 0.5) + sum(
            depth * np.cos(np.pi * count * place + phase) for depth, count, phase in waves
        )

    return level


def _filtered(sound: Samples, curve: Callable[[Any], Any]) -> Samples:
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE)
    spectrum = np.fft.rfft(sound) * 10 ** (curve(hertz) / 20)
    return np.fft.irfft(spectrum, len(sound)).astype(np.float32)
