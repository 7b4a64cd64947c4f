"""The default method comes near to the truth, and breaks nothing where there are no notes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import RATE, noise, tone
from torch import Tensor

from audiostyle import network
from audiostyle.network import Classifier
from audiostyle.spectrogram import SpectrogramConfig, magnitude
from benchmarks import measures, pairs
from components.reconstruct.phase.retrieval import griffin_lim
from components.stylize.config import StylizeConfig
from components.stylize.methods.parts.equalizer import equalize
from components.stylize.methods.parts.onsets import find_notes
from components.stylize.methods.parts.pitch import track
from components.stylize.transfer import transfer_pair

CONFIG = SpectrogramConfig()


@pytest.fixture(scope="module")
def model(classifier: Path) -> Classifier:
    return network.load(classifier)


def spectrum(*sounds: np.ndarray) -> Tensor:
    """Of sounds one after another, [bins, frames]."""
    return magnitude(torch.from_numpy(np.concatenate(sounds)), CONFIG)


def default(model: Classifier, content: Tensor, style: Tensor) -> Tensor:
    return transfer_pair(model, content, style, StylizeConfig()).magnitude


def melody(keys: list[int], harmonics: int, decay: float) -> np.ndarray:
    """Half a second a note, nothing between them."""
    return np.concatenate(
        [
            tone(440 * 2 ** ((key - 69) / 12), seconds=0.5, harmonics=harmonics, decay=decay)
            for key in keys
        ]
    )


def decibels(x: Tensor) -> float:
    return float(10 * x.square().mean().log10())


def mel_difference(a: Tensor, b: Tensor) -> float:
    """RMS, dB, floored 60 dB below a's loudest cell."""
    from audiostyle.spectrogram import filterbank

    bank = filterbank(CONFIG, "mel", 80, 40.0, 10000.0)
    first, second = (10 * (bank @ x.square() + 1e-12).log10() for x in (a, b))
    floor = first.max() - 60
    difference = first.clamp_min(floor) - second.clamp_min(floor)
    return float(difference.square().mean().sqrt())


def test_nearer_to_the_truth_than_an_equalizer(model: Classifier) -> None:
    gains = []
    for pair in pairs.read(pairs.BUNDLED):
        assert pair.target is not None
        content, style = spectrum(pair.content), spectrum(pair.style)
        power = [x.square().mean(1)[None] for x in (content, style)]
        results = {
            "default": default(model, content, style),
            "equalizer": equalize(content[None], power[0], power[1], CONFIG)[0],
        }
        worst = measures.lsd(pair.content, pair.target)
        gains.append(
            {
                name: measures.gain(measures.lsd(_sound(result), pair.target), worst)
                for name, result in results.items()
            }
        )
    mean = {name: float(np.mean([gain[name] for gain in gains])) for name in gains[0]}
    assert mean["default"] > 0.35
    assert mean["default"] > mean["equalizer"] + 0.15


def _sound(result: Tensor) -> np.ndarray:
    from audiostyle.audio import Recording

    samples = griffin_lim(result, length=3 * RATE).numpy()
    return measures.prepared(Recording(samples[None], RATE))


def test_a_recording_in_its_own_style_stays_what_it_is(model: Classifier) -> None:
    for keys, harmonics, decay in (([60, 64, 67, 72, 65, 60], 8, 0.0), ([55, 62, 57], 5, 6.0)):
        own = spectrum(melody(keys, harmonics, decay))
        assert mel_difference(own, default(model, own, own)) < 4  # instruments are 10 to 13 apart


def test_pitches_stay_and_partials_become_the_styles(model: Classifier) -> None:
    """Even partials are missing in the style, as in a clarinet: so they are in the result."""
    t = np.arange(RATE) / RATE

    def odd(frequency: float) -> np.ndarray:
        partials = [np.sin(2 * np.pi * frequency * k * t) / k for k in (1, 3, 5, 7)]
        return np.asarray(0.2 * np.sum(partials, 0), np.float32)

    content = spectrum(tone(300, seconds=2, harmonics=8))
    style = spectrum(*(odd(frequency) for frequency in (262.0, 330.0, 349.0)))
    result = default(model, content, style)[:, 20:60].square().mean(1)
    partial = [
        float(result[round(300 * k * 2048 / RATE) + torch.arange(-2, 3)].sum())
        for k in (1, 2, 3, 4)
    ]
    assert partial[1] < 0.05 * partial[0]
    assert partial[3] < 0.5 * partial[2]
    assert partial[2] > 0.002 * partial[0]


def test_silence_stays_silent(model: Classifier) -> None:
    rest = np.zeros(2 * RATE, np.float32)
    content = spectrum(tone(seconds=1, harmonics=6), rest, tone(seconds=1, harmonics=6))
    style = spectrum(noise(seconds=3) + tone(300, seconds=3, harmonics=9))
    result = default(model, content, style)
    frames = round(RATE / 512)
    silent, heard = result[:, 2 * frames : 3 * frames - 8], result[:, 8 : frames - 8]
    assert decibels(silent + 1e-12) < decibels(heard) - 60


@pytest.mark.parametrize("kind", ["noise", "chord", "click", "short"])
def test_what_has_no_pitch_keeps_its_shape_over_time(model: Classifier, kind: str) -> None:
    fade = np.linspace(0, 1, 3 * RATE, dtype=np.float32)
    click = np.zeros(3 * RATE, np.float32)
    click[RATE] = 0.5
    chord = sum(tone(f, harmonics=5, level=0.1) for f in (261.6, 329.6, 392.0, 220.0))
    content = {
        "noise": noise() * fade,
        "chord": chord * fade,
        "click": click,
        "short": tone(seconds=0.1, harmonics=4),
    }[kind]
    before = spectrum(content)
    result = default(model, before, spectrum(melody([60, 67, 64], 8, 3.0)))
    assert result.shape == before.shape and bool(result.isfinite().all())
    if kind in ("noise", "chord"):
        loudness = [x.square().sum(0).clamp_min(1e-9).log() for x in (before, result)]
        assert float(torch.corrcoef(torch.stack(loudness))[0, 1]) > 0.7


def test_pitch_and_notes_are_found() -> None:
    keys = [60, 67, 64, 62, 72, 55]
    sound = spectrum(melody(keys, 8, 2.0))
    pitch = track(sound[None], CONFIG)
    notes = find_notes(sound, pitch, 0, CONFIG)
    hop = 512 / RATE
    for number, key in enumerate(keys):
        middle = round((0.5 * number + 0.25) / hop)
        assert abs(float(notes.midi[middle]) - key) < 0.3
        if number:
            assert abs(float(notes.since_onset[middle]) - (middle * hop - 0.5 * number)) < 0.05
    assert float(pitch.explained.mean()) > 0.9
    assert float(pitch.clarity.mean()) > 0.4
    hiss = track(spectrum(noise())[None], CONFIG)
    assert float(hiss.clarity.mean()) < 0.1


@pytest.mark.skipif(not pairs.can_play(), reason="needs fluidsynth, mido and TimGM6mb")
def test_no_held_out_pair_plays_a_sample_of_a_development_pair() -> None:
    assert not set(pairs.DEVELOPMENT) & set(pairs.HELD_OUT)
    assert not pairs.samples("development") & pairs.samples("heldout")
