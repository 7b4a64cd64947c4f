"""A result has the content's level and no click, whatever the content's edges and offsets are."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import noise, tone

from audiostyle import audio
from audiostyle.audio import Samples
from audiostyle.errors import AudioError
from audiostyle.spectrogram import SpectrogramConfig
from components.reconstruct.config import ReconstructConfig
from components.reconstruct.reconstruct import reconstruct
from components.stylize.config import StylizeConfig
from components.stylize.pairs import Pair
from components.stylize.spectra import examine, spectra
from components.stylize.stylize import stylize

RATE = 44100


def results(
    contents: Sequence[Samples], style: Samples, classifier: Path, folder: Path, rate: int = RATE
) -> list[Samples]:
    """Each content's result, [channels, n]; contents and style: [channels, n] or [n]."""
    soundfile.write(folder / "style.wav", style.T, RATE, subtype="FLOAT")
    pairs = []
    for number, content in enumerate(contents):
        soundfile.write(folder / f"{number}.wav", content.T, rate, subtype="FLOAT")
        pairs.append(Pair(str(number), folder / f"{number}.wav", folder / "style.wav"))
    stylize(pairs, classifier, folder / "stylized", StylizeConfig())
    config = ReconstructConfig(iterations=8, subtype="FLOAT")
    reconstruct(folder / "stylized", folder / "out", config, report=False)
    return [audio.read(folder / "out" / f"{pair.id}.wav").samples for pair in pairs]


def decibels(samples: Samples) -> float:
    return float(20 * np.log10(np.std(samples, dtype=np.float64)))


def bright() -> Samples:
    """A style with energy up to the top: whatever a content lacks is raised to it."""
    parts = [tone(f, rate=RATE, seconds=0.6, harmonics=40, decay=2) for f in (220, 330, 440, 550)]
    return np.concatenate(parts) + noise(seconds=2.4, rate=RATE, level=0.003)


def steady() -> dict[str, np.ndarray]:
    """Contents with next to nothing above their partials."""
    t = np.arange(3 * RATE) / RATE
    partials = ((261.6, 1), (329.6, 2), (392.0, 3))
    chord: np.ndarray = 0.25 * np.sum([np.sin(2 * np.pi * f * t) / k for f, k in partials], 0)
    faded = chord.copy()
    ramp = np.linspace(0, 1, RATE // 20)
    faded[: len(ramp)] *= ramp
    faded[-len(ramp) :] *= ramp[::-1]
    popped = faded.copy()
    popped[RATE : RATE + 3] += 0.3
    kicks = {
        f"kick drum of {seconds} s": 0.8
        * np.sin(2 * np.pi * (60 + 120 * np.exp(-k * 30)) * k)
        * np.exp(-k * 5 / seconds)
        for seconds in (0.1, 0.2, 0.4)
        for k in [np.arange(round(seconds * RATE)) / RATE]
    }
    return {
        "chord": chord,
        "faded chord": faded,
        "chord with a pop": popped,
        "tone": 0.3 * np.sin(2 * np.pi * 440 * t),
        "high tone": 0.3 * np.sin(2 * np.pi * 1000 * t),
        "bass": 0.3 * np.sin(2 * np.pi * 55 * t),
        **kicks,
        "0.093 s": tone(440, rate=RATE, seconds=0.0935, harmonics=4),
        "0.15 s": tone(440, rate=RATE, seconds=0.15, harmonics=4),
    }


def test_steady_sounds_cut_at_full_level(classifier: Path, tmp_path: Path) -> None:
    contents = steady()
    made = results(list(contents.values()), bright(), classifier, tmp_path)
    edge = int(0.015 * RATE)
    for (name, content), (result,) in zip(contents.items(), made, strict=True):
        assert decibels(result) == pytest.approx(decibels(content), abs=0.1), name
        if len(content) > RATE and "pop" not in name:
            inside = slice(2 * edge, -2 * edge)
            assert decibels(result[inside]) == pytest.approx(decibels(content[inside]), abs=0.5)
            loudest = np.abs(result[inside]).max()
            assert np.abs(result).max() < 2.5 * max(loudest, np.abs(content).max()), name


def spectrum(samples: Samples) -> Samples:
    """Share of the energy in 24 bands, dB."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 2048)[::512]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(2048)))).mean(0)
    edges = np.geomspace(4, 1024, 25).astype(int)
    bands = np.add.reduceat(power, edges)[:-1]
    return np.asarray(10 * np.log10(bands / bands.sum() + 1e-9), np.float32)


def distance(a: Samples, b: Samples) -> float:
    return float(np.sqrt(np.mean((spectrum(a) - spectrum(b)) ** 2)))


def test_a_style_whose_channels_cancel_is_heard(classifier: Path, tmp_path: Path) -> None:
    content = np.concatenate([tone(f, rate=RATE, seconds=0.5, decay=2) for f in (262, 330, 392)])
    made = []
    for name, style in (("mono", bright()), ("opposite", np.stack([bright(), -bright()]))):
        (tmp_path / name).mkdir()
        made += results([content], style, classifier, tmp_path / name)
    np.testing.assert_allclose(made[0], made[1], atol=1e-3)


@pytest.mark.parametrize("offset", [0.05, 0.1])
def test_an_offset_changes_nothing_that_is_heard(
    offset: float, classifier: Path, tmp_path: Path
) -> None:
    notes = [tone(f, rate=RATE, seconds=0.5, harmonics=6, decay=2) for f in (262, 330, 392)]
    content = 0.2 * np.concatenate(notes)
    style = bright()
    plain, moved = results([content, content + offset], style, classifier, tmp_path)
    assert decibels(moved) == pytest.approx(decibels(plain), abs=0.2)
    assert distance(plain[0], moved[0]) < 1
    (tmp_path / "style").mkdir()
    (other,) = results([content], style * 0.3 + offset, classifier, tmp_path / "style")
    assert distance(plain[0], other[0]) < 1


def test_a_constant_is_silent_as_content_and_as_style(classifier: Path, tmp_path: Path) -> None:
    constant = np.full(3 * RATE, 0.01, np.float32)
    with pytest.raises(AudioError, match=r"0\.wav: is silent"):
        results([constant], bright(), classifier, tmp_path)
    with pytest.raises(AudioError, match=r"style\.wav: is silent"):
        results([bright()], constant, classifier, tmp_path)


def test_a_mono_result_of_opposite_channels_is_heard(classifier: Path, tmp_path: Path) -> None:
    left = bright()
    soundfile.write(tmp_path / "a.wav", np.stack([left, -left], 1), RATE)
    stylize(
        [Pair("x", tmp_path / "a.wav", tmp_path / "a.wav")],
        classifier,
        tmp_path / "stylized",
        StylizeConfig(),
    )
    config = ReconstructConfig(iterations=8, channels="mono", subtype="FLOAT")
    reconstruct(tmp_path / "stylized", tmp_path / "out", config, report=False)
    result = audio.read(tmp_path / "out" / "x.wav").samples
    assert decibels(result) == pytest.approx(decibels(left), abs=1)


def test_channels_computed_in_turn_are_those_computed_together(
    classifier: Path, tmp_path: Path
) -> None:
    one = bright()
    scale = np.linspace(1, 0.2, 19)[:, None].astype(np.float32)
    many, alone = results([one * scale, one], bright(), classifier, tmp_path)
    assert many.shape == (19, len(one))
    factor = many[:, 5000:6000] @ alone[0, 5000:6000] / np.square(alone[0, 5000:6000]).sum()
    np.testing.assert_allclose(factor / factor[0], scale[:, 0], rtol=1e-3)


def test_a_content_that_changes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    for before, after in ((2, 3), (3, 2)):
        soundfile.write(path, tone(seconds=before), 22050)
        source = examine(path, SpectrogramConfig())
        soundfile.write(path, tone(seconds=after), 22050)
        with pytest.raises(AudioError, match=r"a\.wav: changed while it was read"):
            list(spectra(source, SpectrogramConfig()))
