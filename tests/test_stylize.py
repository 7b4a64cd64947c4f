"""Style transfer moves towards the style, keeps what it must, and explains what it cannot do."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import RATE, noise, tone
from test_audio import unusable

from audiostyle import audio, network, stylized_set
from audiostyle.errors import ArtifactError, AudioError, AudiostyleError, InputError
from audiostyle.network import Classifier
from audiostyle.spectrogram import magnitude
from components.stylize.equaliser import equalise
from components.stylize.pairs import Pair, read_pairs
from components.stylize.stylize import stylize
from components.stylize.transfer import StylizeConfig, gram, transfer

QUICK = StylizeConfig(iterations=20)


@pytest.fixture(scope="module")
def model(classifier: Path) -> Classifier:
    return network.load(classifier)


def spectrum(model: Classifier, samples: np.ndarray) -> torch.Tensor:
    return magnitude(torch.from_numpy(samples), model.spectrogram)


FREE = {"init": "content", "style_weight": 10, "learning_rate": 0.05}


def test_equaliser_moves_the_mean_spectrum_and_no_note(model: Classifier) -> None:
    low, high = tone(330, harmonics=3), tone(330, harmonics=20)
    content, style = spectrum(model, low), spectrum(model, high)
    moved = equalise(content, style * 100, model.spectrogram)
    assert moved.shape == content.shape
    # In every frame each partial stays the loudest bin of its surroundings.
    assert int(moved.mean(1).argmax()) == int(content.mean(1).argmax())
    centroid = [
        float((x.mean(1) * torch.arange(len(x))).sum() / x.sum(0).mean())
        for x in (content, moved, style)
    ]
    assert centroid[0] < centroid[1] <= centroid[2] * 1.05
    # Its own spectrum changes nothing, at whatever level.
    same = equalise(content, content * 7, model.spectrogram)
    torch.testing.assert_close(same, content, rtol=1e-4, atol=1e-4)
    ratio = moved / content.clamp_min(1e-9)
    assert ratio.max() < 10 ** (45 / 20)


@pytest.mark.parametrize("init", ["equalised", "content", "noise"])
def test_losses_fall(model: Classifier, init: str) -> None:
    content = spectrum(model, tone(440, harmonics=8))
    style = spectrum(model, noise(seconds=2))
    config = StylizeConfig.parse({**FREE, "iterations": 60, "init": init}, "test")
    done = transfer(model, content, style, config)
    assert done.magnitude.shape == content.shape
    assert (done.magnitude >= 0).all()
    assert done.magnitude.isfinite().all()
    assert {len(v) for v in done.losses.values()} == {60}
    assert done.losses["total"][-1] < 0.8 * done.losses["total"][0]


def test_style_weight_pulls_to_the_style(model: Classifier) -> None:
    content = spectrum(model, tone(440, harmonics=8))
    style = spectrum(model, noise())
    low, high = (
        transfer(
            model,
            content,
            style,
            StylizeConfig(iterations=60, style_weight=w, init="content", learning_rate=0.05),
        ).losses
        for w in (0.01, 100.0)
    )
    assert high["style"][-1] < low["style"][-1]
    assert high["content"][-1] > low["content"][-1]


def test_content_as_its_own_style_stays(model: Classifier) -> None:
    content = spectrum(model, tone(440, harmonics=8, decay=1))
    done = transfer(model, content, content, QUICK)
    assert done.losses["total"][0] < 1e-3
    difference = (done.magnitude - content).norm() / content.norm()
    assert difference < 0.1


def test_same_seed_same_result(model: Classifier) -> None:
    content, style = spectrum(model, tone()), spectrum(model, noise())
    config = StylizeConfig(iterations=5, init="noise")
    a, b = (transfer(model, content, style, config).magnitude for _ in range(2))
    assert torch.equal(a, b)
    other = transfer(model, content, style, config.model_copy(update={"seed": 1})).magnitude
    assert not torch.equal(a, other)


def test_a_loss_that_is_not_finite_is_named(model: Classifier) -> None:
    content, style = spectrum(model, tone()), spectrum(model, noise())
    config = StylizeConfig(iterations=10, learning_rate=1e4, init="content")
    with pytest.raises(AudiostyleError, match=r"pair-7.*not finite at step"):
        transfer(model, content, style, config, "pair-7")


def test_gram_is_the_mean_outer_product() -> None:
    x = torch.randn(2, 3, 5, 7)
    expected = sum(
        x[:, :, b, t, None] * x[:, None, :, b, t] for b in range(5) for t in range(7)
    ) / torch.tensor(35.0)
    torch.testing.assert_close(gram(x), expected)
    torch.testing.assert_close(gram(torch.cat([x, x], 3)), gram(x))


def test_stage_writes_a_set(pairs: Path, classifier: Path, tmp_path: Path) -> None:
    stylize(read_pairs(pairs), classifier, tmp_path / "set", QUICK, "models:/x/1")
    made = stylized_set.read(tmp_path / "set")
    mono, stereo = made.items
    assert (mono.id, mono.channels, mono.sample_rate) == ("mono", 1, RATE)
    assert (stereo.id, stereo.channels, stereo.sample_rate) == ("stereo", 2, 44100)
    assert stereo.samples == round(1.234 * 44100)
    assert set(mono.sources) == {"content", "style", "target"}
    assert mono.settings["model"] == "models:/x/1"
    left, right = made.load(stereo)[0]
    # The stereo image stays: the right channel was a quarter of the left.
    assert (right.norm() / left.norm()).item() == pytest.approx(0.25, rel=0.02)
    heard = audio.read(made.audio_path(stereo, "content"))
    np.testing.assert_allclose(
        heard.samples, audio.read(pairs.parent / "d.wav").samples, atol=2 / 2**15
    )


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


def test_manifest_names_every_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(
        "id,content,style\n"
        "good,a.wav,b.wav\n"
        "../up,a.wav,b.wav\n"
        "good,a.wav,b.wav\n"
        ",a.wav,b.wav\n"
        "late,a.wav\n"
        "more,a.wav,b.wav,c.wav,d.wav\n"
    )
    with pytest.raises(InputError) as caught:
        read_pairs(path)
    text = str(caught.value)
    assert str(path) in text
    for words in (
        "5 bad rows",
        "line 3: id '../up' is not a safe file name",
        "line 4: id 'good' stands in line 2 already",
        "line 5: id is empty",
        "line 6: style is empty",
        "line 7: has more fields",
    ):
        assert words in text


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "lacks the column id, content, style"),
        (b"id,content\nx,a.wav\n", "lacks the column style"),
        (b"id,content,style,colour\n", "unknown column 'colour'"),
        (b"id,content,style\n", "has no rows"),
        (b"id,content,style\n\xff\xfe,a,b\n", "not a CSV file in UTF-8"),
    ],
)
def test_manifests_that_are_refused(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_pairs(path)
    assert str(path) in str(caught.value)


def test_manifest_paths_are_relative_to_it(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("﻿id,content,style,target\na,x/1.wav,/abs/2.wav,\n")
    assert read_pairs(path) == [Pair("a", tmp_path / "x/1.wav", Path("/abs/2.wav"))]
    with pytest.raises(InputError, match="cannot be read"):
        read_pairs(tmp_path / "nowhere.csv")
