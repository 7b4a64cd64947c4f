"""The stage keeps everything outer of a recording, whatever its length, and says what is wrong."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import RATE, noise, tone
from test_audio import unusable

from audiostyle import audio, stylized_set
from audiostyle.errors import ArtifactError, AudioError, InputError
from audiostyle.spectrogram import SpectrogramConfig, stft
from components.reconstruct.config import ReconstructConfig
from components.reconstruct.reconstruct import reconstruct
from components.stylize.config import StylizeConfig
from components.stylize.pairs import Pair, read_pairs
from components.stylize.stylize import stylize

QUICK = StylizeConfig(iterations=5)
# Windows short enough that a few seconds take several.
SHORT = {"window_seconds": 3.0, "overlap_seconds": 1.2}


def loaded(folder: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Magnitude and phase of the only item."""
    made = stylized_set.read(folder)
    (item,) = made.items
    magnitude, phase = (torch.cat(parts, 2) for parts in zip(*made.blocks(item), strict=True))
    return magnitude, phase


def test_stage_writes_a_set(pairs: Path, classifier: Path, tmp_path: Path) -> None:
    assert stylize(read_pairs(pairs), classifier, tmp_path / "set", QUICK, "models:/x/1") == []
    made = stylized_set.read(tmp_path / "set")
    mono, stereo = made.items
    assert (mono.id, mono.channels, mono.sample_rate) == ("mono", 1, RATE)
    assert (stereo.id, stereo.channels, stereo.sample_rate) == ("stereo", 2, 44100)
    assert stereo.samples == round(1.234 * 44100)
    assert set(mono.sources) == {"content", "style", "target"}
    assert mono.settings["model"] == "models:/x/1"
    ((magnitude, _),) = made.blocks(stereo)
    # The stereo image stays: the right channel was a quarter of the left.
    assert (magnitude[1].norm() / magnitude[0].norm()).item() == pytest.approx(0.25, rel=0.02)
    # What went in is there to be heard, once where items share it.
    for role, name in (("content", "d.wav"), ("style", "b.flac")):
        assert made.audio_path(stereo, role).read_bytes() == (pairs.parent / name).read_bytes()
    assert made.audio_path(stereo, "style") == made.audio_path(mono, "style")
    assert {p.name for p in tmp_path.iterdir()} == {"set"}


@pytest.mark.parametrize("word", ["empty", "decoded", "silent", "short", "finite", "exist"])
@pytest.mark.parametrize("role", ["content", "style", "target"])
def test_unusable_recordings_are_named(
    word: str, role: str, classifier: Path, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "good.wav", tone(), RATE)
    bad = unusable(tmp_path / "bad")[word]
    paths = {r: bad if r == role else tmp_path / "good.wav" for r in ("content", "style", "target")}
    with pytest.raises(AudioError, match=word) as caught:
        stylize([Pair("x", **paths)], classifier, tmp_path / "set", QUICK)
    assert str(bad) in str(caught.value)
    assert not (tmp_path / "set").exists()


def test_other_artifacts_are_refused(pairs: Path, spectrograms: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="classifier' is needed"):
        stylize(read_pairs(pairs), spectrograms, tmp_path / "set", QUICK)


def test_an_item_that_breaks_does_not_break_the_others(
    pairs: Path, classifier: Path, tmp_path: Path
) -> None:
    config = StylizeConfig(method="trained", iterations=30, learning_rate=1e4)
    errors = stylize(read_pairs(pairs), classifier, tmp_path / "set", config)
    assert len(errors) == 2
    assert errors[0].startswith("mono: the loss is not finite at step")
    made = stylized_set.read(tmp_path / "set")
    assert [item.error for item in made.items] == errors
    for item in made.items:
        assert all(magnitude.isfinite().all() for magnitude, _ in made.blocks(item))


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_a_long_recording_is_its_windows(channels: int, classifier: Path, tmp_path: Path) -> None:
    """Without a step, what comes out of cutting, fading and spreading is the content itself."""
    whole = np.stack(
        [tone(220 * (1 + k), seconds=9.7, rate=32000, level=0.3 / (1 + k)) for k in range(channels)]
    ) + noise(seconds=9.7, rate=32000, level=0.01)
    soundfile.write(tmp_path / "c.wav", whole.T, 32000, subtype="FLOAT")
    soundfile.write(tmp_path / "s.wav", tone(300, seconds=1), RATE)
    config = StylizeConfig(method="trained", iterations=0, init="content", **SHORT)
    stylize([Pair("x", tmp_path / "c.wav", tmp_path / "s.wav")], classifier, tmp_path / "s", config)
    magnitude, phase = loaded(tmp_path / "s")
    heard = audio.resample(audio.Recording(whole.astype(np.float32), 32000), 22050)
    expected = stft(torch.from_numpy(heard.samples), SpectrogramConfig())
    assert magnitude.shape == expected.shape
    error = (torch.polar(magnitude, phase) - expected).norm() / expected.norm()
    assert error < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"method": "base", "iterations": 8}])
def test_a_steady_tone_stays_steady_at_every_joint(
    settings: dict[str, object], classifier: Path, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "c.wav", tone(440, harmonics=6, seconds=9), RATE)
    notes = [tone(f, harmonics=20, seconds=0.5, decay=2) for f in (262, 330, 392, 523)]
    soundfile.write(tmp_path / "s.wav", np.concatenate(notes), RATE)
    config = StylizeConfig.parse({**SHORT, **settings}, "test")
    pair = Pair("x", tmp_path / "c.wav", tmp_path / "s.wav")
    stylize([pair], classifier, tmp_path / "set", config)
    reconstruct(tmp_path / "set", tmp_path / "out", ReconstructConfig(iterations=8))
    sound = audio.read(tmp_path / "out" / "x.wav").samples[0]
    # There are joints within a second of any place. Level of half seconds, the ends aside.
    halves = sound[RATE // 2 : -RATE // 2][: 8 * RATE].reshape(16, -1)
    levels = 10 * np.log10(np.square(halves).mean(1))
    assert np.ptp(levels) < 0.5


@pytest.mark.parametrize("init", ["method", "noise"])
def test_silence_stays_silent(init: str, classifier: Path, tmp_path: Path) -> None:
    sound = tone(440, harmonics=6, seconds=7)
    sound[2 * RATE : 5 * RATE] = 0
    soundfile.write(tmp_path / "c.wav", sound, RATE)
    soundfile.write(tmp_path / "s.wav", noise(), RATE)
    config = StylizeConfig.parse({**SHORT, "init": init, "iterations": 5}, "test")
    pair = Pair("x", tmp_path / "c.wav", tmp_path / "s.wav")
    stylize([pair], classifier, tmp_path / "set", config)
    reconstruct(tmp_path / "set", tmp_path / "out", ReconstructConfig(iterations=8))
    result = audio.read(tmp_path / "out" / "x.wav").samples[0]
    assert len(result) == len(sound)
    # Phase retrieval spreads a frame over its own length, a tenth of a second.
    assert np.abs(result[round(2.2 * RATE) : round(4.8 * RATE)]).max() < 10 ** (-60 / 20)
    assert np.abs(result[: 2 * RATE]).max() > 0.05


def test_many_channels_and_odd_lengths(classifier: Path, tmp_path: Path) -> None:
    left = tone(440, seconds=4.0, rate=48000, harmonics=4)[: 4 * 48000 - 77]
    # The second channel is the first turned over: in a mix they would cancel.
    sound = np.stack([left, -left, 0.5 * left, 0 * left])
    soundfile.write(tmp_path / "c.wav", sound.T, 48000, subtype="FLOAT")
    soundfile.write(tmp_path / "s.wav", noise(seconds=1), RATE)
    pair = Pair("x", tmp_path / "c.wav", tmp_path / "s.wav")
    config = StylizeConfig.parse({**SHORT, "iterations": 5}, "test")
    stylize([pair], classifier, tmp_path / "set", config)
    reconstruct(
        tmp_path / "set", tmp_path / "out", ReconstructConfig(iterations=8, subtype="FLOAT")
    )
    result = audio.read(tmp_path / "out" / "x.wav")
    assert result.sample_rate == 48000
    assert result.samples.shape == sound.shape
    rms = np.sqrt(np.square(result.samples).mean(1))
    np.testing.assert_allclose(rms[1:] / rms[0], [1, 0.5, 0], atol=0.03)


@pytest.mark.parametrize(
    "values, words",
    [
        ({"method": "best"}, "method"),
        ({"iterations": -1}, "iterations"),
        ({"overlap_seconds": 8, "window_seconds": 10}, "overlap_seconds"),
        ({"optimizer": "sgd"}, "optimizer"),
    ],
)
def test_settings_that_are_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        StylizeConfig.parse(values, "test")
