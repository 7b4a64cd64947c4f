"""The default keeps what it must, whatever it is given, and goes as far as it is asked to."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import RATE, noise, tone
from torch import Tensor

from audiostyle import network
from audiostyle.errors import InputError
from audiostyle.network import Classifier, NetworkConfig
from audiostyle.spectrogram import SpectrogramConfig, filterbank, magnitude
from benchmarks import measures
from benchmarks.quality import kinds
from benchmarks.quality.__main__ import sound_of, spectra_of
from components.stylize.config import StylizeConfig
from components.stylize.heard import lines_of
from components.stylize.methods.default import Blend
from components.stylize.methods.parts import recall
from components.stylize.methods.parts.bands import envelope
from components.stylize.methods.parts.pitch import track
from components.stylize.methods.parts.speech import speechness
from components.stylize.methods.parts.texture import evenness, noisiness, tone_and_rise
from components.stylize.transfer import transfer_pair

CONFIG = SpectrogramConfig()


@pytest.fixture(scope="module")
def model(classifier: Path) -> Classifier:
    return network.load(classifier)


def spectrum(sound: np.ndarray) -> Tensor:
    return magnitude(torch.from_numpy(sound.astype(np.float32)), CONFIG)


def stylized(model: Classifier, content: Tensor, style: Tensor, **settings: object) -> Tensor:
    return transfer_pair(model, content, style, StylizeConfig.parse(settings, "test")).magnitude


def bands(x: Tensor) -> Tensor:
    """Mel levels in dB, floored 60 dB below the loudest cell."""
    levels = 10 * (filterbank(CONFIG, "mel", 40, 40.0, 10000.0) @ x.square() + 1e-12).log10()
    return levels.clamp_min(float(levels.max()) - 60)


def apart(a: Tensor, b: Tensor) -> float:
    return float((bands(a) - bands(b)).square().mean().sqrt())


def chord() -> np.ndarray:
    tones = [tone(f, harmonics=8, level=0.1) for f in (220.0, 277.2, 329.6)]
    return np.asarray(np.sum(tones, 0))


def beats() -> np.ndarray:
    t = np.arange(RATE // 6) / RATE
    hit = noise(seconds=1 / 6)[: len(t)] * np.exp(-25 * t)
    kick = np.sin(2 * np.pi * 60 * t) * np.exp(-15 * t)
    sound = np.zeros(3 * RATE, np.float32)
    for number in range(16):
        at = number * 4000 + 500
        sound[at : at + len(t)] += 0.4 * (hit if number % 4 else kick)
    return sound


def melody(harmonics: int, decay: float) -> np.ndarray:
    keys = (60, 64, 67, 65, 62, 60)
    return np.concatenate(
        [
            tone(440 * 2 ** ((k - 69) / 12), seconds=0.5, harmonics=harmonics, decay=decay)
            for k in keys
        ]
    )


SOUNDS: dict[str, Callable[[], np.ndarray]] = {
    "melody": lambda: melody(9, 3.0),
    "chord": chord,
    "beats": beats,
    "noise": lambda: noise(seconds=3),
    "chord over beats": lambda: chord() + beats(),
}


@pytest.mark.parametrize("kind", SOUNDS)
def test_everything_in_its_own_style_stays_what_it_is(model: Classifier, kind: str) -> None:
    own = spectrum(SOUNDS[kind]())
    assert apart(stylized(model, own, own), own) < 2


@pytest.mark.parametrize("style", ["chord", "noise"])
def test_nothing_switches_under_a_held_chord(model: Classifier, style: str) -> None:
    """Over beats: no band jumps where neither the chord and the beats nor the style do."""
    content = spectrum(chord() + 0.3 * beats())
    result = bands(stylized(model, content, spectrum(SOUNDS[style]())))[:, 10:110]
    before = bands(content)[:, 10:110]
    heard = before > before.max() - 45
    steps = [x[:, 1:] - x[:, :-1] for x in (result, before)]
    # Where the content's own band is steady over a quarter of a second, so is the result's.
    around = torch.nn.functional.max_pool1d(steps[1].abs()[None], 11, 1, padding=5)[0]
    steady = heard[:, 1:] & heard[:, :-1] & (around < 2)
    assert int(steady.sum()) > 50
    assert float(steps[0].abs()[steady].max()) < 6


def test_beats_stay_where_they_are(model: Classifier) -> None:
    from benchmarks.quality.scores import onset_score

    own = spectrum(beats())
    other = spectrum(np.roll(beats(), 3000) * 0.5 + 0.02 * noise(seconds=3))
    result = stylized(model, own, other)
    sounds = [sound_of(x, torch.zeros(1), CONFIG, 3 * RATE) for x in (result, own)]
    assert onset_score(*sounds) > 0.9


@pytest.mark.parametrize("method", ["default", "notes", "trained"])
def test_strength_goes_from_the_content_to_the_style(model: Classifier, method: str) -> None:
    content, style = spectrum(melody(4, 0.0)), spectrum(melody(16, 5.0))
    settings: dict[str, object] = {"method": method}
    if method == "trained":
        settings["iterations"] = 20
    results = [
        stylized(model, content, style, **settings, strength=s) for s in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    assert apart(results[0], content) < 0.1
    away = [apart(x, content) for x in results]
    nearer = [apart(x, results[-1]) for x in results]
    assert away == sorted(away) and nearer == sorted(nearer, reverse=True)
    loud = [float(10 * x.square().sum().log10()) for x in results]
    assert max(loud) - min(loud) < 3


@pytest.mark.parametrize("strength", [-0.1, 1.1, "much"])
def test_a_strength_that_is_none_is_named(strength: object) -> None:
    with pytest.raises(InputError, match="strength"):
        StylizeConfig.parse({"strength": strength}, "test")


def test_transpose_moves_the_notes(model: Classifier) -> None:
    content, style = spectrum(melody(6, 0.0)), spectrum(melody(12, 2.0))
    plain = track(stylized(model, content, style)[None], CONFIG).midi[0]
    for semitones in (3, -5):
        higher = track(stylized(model, content, style, transpose=semitones)[None], CONFIG).midi[0]
        assert abs(float((higher - plain).median()) - semitones) < 0.3


def test_transpose_auto_goes_by_octaves_to_the_style(model: Classifier) -> None:
    bass = np.concatenate([tone(f, seconds=0.5, harmonics=6) for f in (55, 65.4, 73.4, 82.4)])
    flute = np.concatenate([tone(8 * f, seconds=0.5, harmonics=4) for f in (55, 65.4, 73.4, 82.4)])
    content, style = spectrum(bass), spectrum(flute)
    found = track(stylized(model, content, style, transpose="auto")[None], CONFIG).midi[0]
    own = track(content[None], CONFIG).midi[0]
    octaves = float((found - own).median()) / 12
    assert octaves >= 1.9 and abs(octaves - round(octaves)) < 0.05
    same = StylizeConfig.parse({"transpose": "auto"}, "test")
    alike = transfer_pair(model, content, content, same).magnitude
    assert apart(alike, content) < 2
    for bad in ("some", 99):
        with pytest.raises(InputError, match="transpose"):
            StylizeConfig.parse({"transpose": bad}, "test")


def test_speech_is_told_from_music() -> None:
    pairs, lacking = kinds.pairs_of("speech", "heldout", 4)
    if lacking:
        pytest.skip(lacking)
    for pair in pairs:
        assert sure_of_speech(spectrum(pair.content)) > 0.9
    sounds = [make() for make in SOUNDS.values()]
    for sound in (*sounds, siren(), siren(octaves=1.7, per_second=4)):
        assert sure_of_speech(spectrum(sound)) < 0.1


def siren(octaves: float = 0.6, per_second: float = 0.7) -> np.ndarray:
    t = np.arange(3 * RATE) / RATE
    pitch = 900 * 2 ** (octaves / 2 * np.sin(2 * np.pi * per_second * t))
    return np.sin(2 * np.pi * np.cumsum(pitch) / RATE)


def sure_of_speech(magnitude: torch.Tensor) -> float:
    course = torch.stack(tone_and_rise(magnitude, CONFIG))
    return float(speechness(magnitude, track(magnitude[None], CONFIG), 0, course, CONFIG))


def test_textures_are_told_from_notes_and_beats() -> None:
    course = {name: tone_and_rise(spectrum(make()), CONFIG) for name, make in SOUNDS.items()}
    sure = {name: float(noisiness(tone) * evenness(rise)) for name, (tone, rise) in course.items()}
    assert sure["noise"] > 0.9
    assert max(sure[name] for name in sure if name != "noise") < 0.25


@pytest.mark.parametrize(
    "kind, words",
    [
        ("melody", "one voice or instrument at a time"),
        ("chord", "chords, or several voices"),
        ("beats", "beats"),
        ("noise", "noise, a texture, or an effect"),
    ],
)
def test_what_was_heard_is_said_in_words(model: Classifier, kind: str, words: str) -> None:
    """And how sure, of content and style alike; what the result is made of adds up."""
    own, other = spectrum(SOUNDS[kind]()), spectrum(melody(12, 2.0))
    for content, style, number in ((own, other, 0), (other, own, 1)):
        heard = transfer_pair(model, content, style, StylizeConfig()).heard
        for role in ("content", "style", "result"):
            shares = [value for name, value in heard.items() if name.startswith(f"{role}.")]
            assert sum(shares) == pytest.approx(1, abs=1e-3) and min(shares) >= 0
        lines = lines_of(heard).split("\n")
        assert words in lines[number], lines
        assert [line.split(":")[0] for line in lines[:3]] == ["Content", "Style", "Result"]
    half = transfer_pair(model, own, other, StylizeConfig(strength=0.0)).heard
    assert "Result: 100 % the content as it is." in lines_of(half)
    assert lines_of({}) == ""


@pytest.mark.skipif(not measures.can_hear_words(), reason="needs pystoi")
def test_words_stay_when_the_voice_changes(model: Classifier) -> None:
    pairs, lacking = kinds.pairs_of("speech", "heldout", 2)
    if lacking:
        pytest.skip(lacking)
    for pair in pairs:
        parts = spectra_of(pair, CONFIG)
        result = stylized(model, parts.content, parts.style)
        heard = sound_of(result, parts.phase, CONFIG, len(pair.content))
        assert measures.estoi(heard, pair.content) > 0.65
        own = sound_of(
            stylized(model, parts.content, parts.content), parts.phase, CONFIG, len(pair.content)
        )
        assert measures.estoi(own, pair.content) > 0.9


def test_notes_stay_and_a_texture_sounds_between_them(model: Classifier) -> None:
    content, rain = spectrum(chord()), spectrum(noise(seconds=4))
    result = stylized(model, content, rain)
    level = [10 * x.square().mean(1).log10() for x in (content, result)]
    for frequency in (220.0, 277.2, 329.6):
        bin_ = round(frequency * 2048 / RATE)
        around = level[1][bin_ + 8 : bin_ + 12].mean()
        assert float(level[1][bin_ - 1 : bin_ + 2].max() - around) > 6
    high = slice(600, 1000)  # where the chord has next to nothing
    assert float((level[1] - level[0])[high].mean()) > 10


def barks() -> np.ndarray:
    """Four bursts of noise around 800 Hz, then silence, as some data sets have it."""
    random = np.random.default_rng(3)
    t = np.arange(RATE // 4) / RATE
    burst = random.normal(size=len(t)) * np.sin(2 * np.pi * (900 - 400 * t) * t) * np.exp(-9 * t)
    return np.concatenate([np.tile(np.pad(burst, (0, RATE // 10)), 4), np.zeros(3 * RATE)])


def test_an_effect_sounds_beside_notes_and_answers_beats(model: Classifier) -> None:
    """Its levels are taken, whatever silence its file ends with; a drum's hits stay hits."""
    style = spectrum(barks())
    sounding = bands(style[:, style.square().sum(0) > 1e-3 * style.square().sum(0).amax()])
    for kind in ("melody", "chord"):
        content = spectrum(SOUNDS[kind]())
        done = transfer_pair(model, content, style, StylizeConfig())
        assert done.heard["result.texture"] > 0.3
        before, after = (
            float((bands(x).mean(1) - sounding.mean(1)).abs().mean())
            for x in (content, done.magnitude)
        )
        assert after < 0.6 * before
    hits = transfer_pair(model, spectrum(beats()), style, StylizeConfig()).heard
    assert hits["result.texture"] < 0.1


def test_what_is_recalled_is_within_what_the_style_shows(model: Classifier) -> None:
    """And a recording recalls itself better than its mean levels say."""
    method = Blend(StylizeConfig(), model)
    content = spectrum(melody(12, 2.0))
    for kind, make in SOUNDS.items():
        style = spectrum(make())
        levels = {}
        for role, of_style in (("content", False), ("style", True)):
            sound = style if of_style or kind == "melody" else content
            pitch = track(sound[None], CONFIG)
            times = torch.zeros(sound.shape[1])
            seen, _ = recall.seen_of(sound, times, pitch, 0, CONFIG, style=of_style)
            levels[role] = method.recall_network(seen)
        own = recall.levels_of(envelope(style, CONFIG))
        answer = recall.recalled(levels["content"], levels["style"], own).T
        assert bool((answer <= own.amax(0) + 1e-4).all() and (answer >= own.amin(0) - 1e-4).all())
        if kind == "melody":
            assert float((answer - own).square().mean()) < 0.5 * float(own.var(0).mean())


@pytest.mark.parametrize(
    "config",
    [
        SpectrogramConfig(),
        SpectrogramConfig(sample_rate=4000, n_fft=256, hop_length=64),
        SpectrogramConfig(sample_rate=48000, n_fft=4096, hop_length=1024),
        SpectrogramConfig(sample_rate=16000, n_fft=64, hop_length=32),
    ],
    ids=lambda config: str(config.n_fft),
)
def test_the_shortest_recordings_and_other_spectrograms(config: SpectrogramConfig) -> None:
    random = torch.Generator().manual_seed(0)
    network_config = NetworkConfig(bands=8, f_max=0.45 * config.sample_rate)
    model = Classifier(network_config, config, ["a", "b"]).eval()
    for frames in (1, 2, 9):
        content = torch.rand(config.bins, frames, generator=random)
        for length in (1, 30, 900):
            style = torch.rand(config.bins, length, generator=random)
            result = stylized(model, content, style, strength=0.7, transpose="auto")
            assert result.shape == content.shape and bool(result.isfinite().all())
