"""The stage turns spectrograms into recordings that are the content's in every outer respect."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import RATE, tone

from audiostyle import artifacts, audio, stylized_set
from audiostyle.errors import ArtifactError, InputError
from components.reconstruct import measures
from components.reconstruct.config import ReconstructConfig
from components.reconstruct.measures.registry import measured
from components.reconstruct.measures.sounds import leveled
from components.reconstruct.measures.target_distance import lsd
from components.reconstruct.peaks import Peaks
from components.reconstruct.reconstruct import publish, reconstruct
from components.reconstruct.report.excerpt import write_excerpt
from components.reconstruct.sound import PEAK
from components.stylize.config import StylizeConfig
from components.stylize.pairs import Pair, read_pairs
from components.stylize.stylize import stylize


@pytest.fixture(scope="module")
def stylized(pairs: Path, classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stylized") / "set"
    # Without any weight on style the spectrogram stays the content's: what comes out is known.
    config = StylizeConfig(method="trained", iterations=1, style_weight=0, init="content")
    stylize(read_pairs(pairs), classifier, out, config)
    return out


QUICK = ReconstructConfig(iterations=16)


@pytest.mark.parametrize(
    "changes", [{}, {"format": "flac", "subtype": "PCM_24"}, {"subtype": "FLOAT"}]
)
def test_outputs_are_the_contents_in_every_outer_respect(
    stylized: Path, pairs: Path, changes: dict[str, str], tmp_path: Path
) -> None:
    config = ReconstructConfig.parse({"iterations": 16, **changes}, "test")
    reconstruct(stylized, tmp_path / "out", config)
    for name, content in (("mono", "a.wav"), ("stereo", "d.wav")):
        path = tmp_path / "out" / f"{name}.{config.format}"
        assert soundfile.info(path).subtype == config.subtype
        result, before = audio.read(path), audio.read(pairs.parent / content)
        assert result.samples.shape == before.samples.shape
        assert result.sample_rate == before.sample_rate
        assert np.abs(result.samples).max() <= 1
        rms = [np.sqrt(np.mean(np.square(x.samples))) for x in (result, before)]
        assert rms[0] == pytest.approx(rms[1], rel=0.02)
        assert lsd(leveled(result), leveled(before)) < 3  # dB: heard as the same


@pytest.mark.parametrize("form", ["wav", "flac"])
def test_rate_and_channels_as_asked_and_tags(stylized: Path, form: str, tmp_path: Path) -> None:
    config = ReconstructConfig.parse(
        {"iterations": 4, "sample_rate": 32000, "channels": "mono", "format": form}, "test"
    )
    reconstruct(stylized, tmp_path / "out", config)
    with soundfile.SoundFile(tmp_path / "out" / f"stereo.{form}") as file:
        assert (file.samplerate, file.channels) == (32000, 1)
        assert file.frames == pytest.approx(1.234 * 32000, abs=1)
        assert file.title == "d.wav in the style of b.flac"
        assert "seed: 0" in file.comment
        # libsndfile adds its own name to the software's.
        assert file.software.startswith("audiostyle ")


def test_same_input_same_bytes(stylized: Path, tmp_path: Path) -> None:
    for name in "ab":
        reconstruct(stylized, tmp_path / name, QUICK)
    digests = {artifacts.opening(tmp_path / n, artifacts.AUDIO_SET).digest for n in "ab"}
    assert len(digests) == 1


def test_page_and_figures(stylized: Path, classifier: Path, tmp_path: Path) -> None:
    registration = {"name": "m", "version": "3", "verdict": "promote", "reason": "first version"}
    figures = reconstruct(stylized, tmp_path / "out", QUICK, classifier, registration)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "first version" in page
    assert {"test accuracy", "chance"} <= set(figures)
    rows = {r["id"]: r for r in artifacts.read_table(tmp_path / "out" / "items.jsonl")}
    assert "gain" in rows["mono"]
    assert "gain" not in rows["stereo"]  # it has no target
    # A copy of the content has no gain, up to what phase retrieval does.
    assert rows["mono"]["gain"] == pytest.approx(0, abs=0.15)


def test_the_excerpt_leaves_large_recordings_out(stylized: Path, tmp_path: Path) -> None:
    reconstruct(stylized, tmp_path / "set", QUICK)
    sizes = {f"sounds/{p.name}": p.stat().st_size for p in (tmp_path / "set").glob("*.wav")}
    assert len(sizes) == 2
    for most, names in (
        (20_000_000, set(sizes)),
        (min(sizes.values()), {min(sizes, key=lambda name: sizes[name])}),
        (0, set()),
    ):
        write_excerpt(tmp_path / "set", tmp_path / "excerpt", most)
        opened = artifacts.opening(tmp_path / "excerpt", artifacts.REPORT_EXCERPT)
        assert set(opened.manifest.files) == {"report.html", *names}
        page = opened.path("report.html").read_text()
        assert ("<audio" in page) == (most > max(sizes.values()))


def test_measures_of_copies(pairs: Path, tmp_path: Path) -> None:
    content, target = (pairs.parent / f"{name}.wav" for name in "ac")
    sources = {"content": content, "target": target}
    assert measured(content, sources)["gain"] == pytest.approx(0)
    assert measured(target, sources)["gain"] == pytest.approx(1)
    samples, rate = soundfile.read(content)
    soundfile.write(tmp_path / "louder.wav", samples * 3, rate, subtype="FLOAT")
    louder = measured(tmp_path / "louder.wav", {"content": target, "target": content})
    assert louder["log-mel distance of the result to the target (dB)"] == pytest.approx(0, abs=1e-3)
    assert measured(content, {"content": content}) == {
        "pitch likeness to the content": pytest.approx(1)
    }


def test_a_pair_of_a_recording_with_itself_has_no_share(
    pairs: Path, classifier: Path, tmp_path: Path
) -> None:
    content = pairs.parent / "a.wav"
    config = StylizeConfig(method="trained", iterations=1, init="content")
    pair = Pair("same", content, content, content)
    stylize([pair], classifier, tmp_path / "set", config)
    reconstruct(tmp_path / "set", tmp_path / "out", QUICK)
    (row,) = artifacts.read_table(tmp_path / "out" / "items.jsonl")
    assert row["log-mel distance of the content to the target (dB)"] == 0
    assert row["timbre distance of the content to the style"] == 0
    assert not {"gain", "timbre gain"} & row.keys()
    assert (tmp_path / "out" / "report.html").is_file()


MEASURE = '''
"""A toy: how long the result is."""


def measure(sounds):
    return {"seconds": len(sounds.result) / 22050}
'''


def test_a_measure_is_one_file(
    stylized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "toy_measure.py").write_text(MEASURE)
    monkeypatch.setattr(measures, "__path__", [*measures.__path__, str(tmp_path / "more")])
    reconstruct(stylized, tmp_path / "out", QUICK)
    rows = {r["id"]: r for r in artifacts.read_table(tmp_path / "out" / "items.jsonl")}
    assert rows["stereo"]["seconds"] == pytest.approx(1.234, abs=1e-3)
    assert "seconds" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize("pop", [0.0, 5.0])
def test_a_pop_does_not_turn_the_rest_down(pop: float) -> None:
    sound = tone(seconds=3, level=0.5)[None].copy()
    sound[0, 30000:30003] += pop
    peaks = Peaks(RATE)
    parts = list(peaks.through(np.array_split(sound, 7, 1)))
    lowered = PEAK / max(peaks.common(), PEAK)
    result = np.concatenate(list(peaks.limited(parts, lowered, PEAK)), 1)
    assert lowered == 1
    assert np.abs(result).max() <= PEAK
    far = np.abs(np.arange(sound.shape[1]) - 30000) > 0.015 * RATE
    np.testing.assert_array_equal(result[0, far], sound[0, far])


def test_a_sound_that_is_too_loud_throughout_is_turned_down() -> None:
    sound = tone(seconds=3, level=2.0)[None]
    peaks = Peaks(RATE)
    parts = list(peaks.through(np.array_split(sound, 7, 1)))
    lowered = PEAK / max(peaks.common(), PEAK)
    result = np.concatenate(list(peaks.limited(parts, lowered, PEAK)), 1)
    np.testing.assert_allclose(result, sound * PEAK / 2, rtol=1e-3)


def test_what_cannot_be_written_is_refused_first(stylized: Path, tmp_path: Path) -> None:
    config = ReconstructConfig(format="flac", subtype="FLOAT")
    with pytest.raises(InputError, match=r"\.flac holds"):
        reconstruct(stylized, tmp_path / "out", config)
    assert not list(tmp_path.iterdir())


def test_damaged_input_is_named(stylized: Path, classifier: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="stylized-set' is needed"):
        reconstruct(classifier, tmp_path / "out", QUICK)
    item = stylized_set.read(stylized).items[0]
    path = stylized / "items" / f"{item.id}-00000.safetensors"
    before = path.read_bytes()
    try:
        path.write_bytes(before[:-1])
        with pytest.raises(ArtifactError, match=rf"{item.id}-00000\.safetensors: is damaged"):
            reconstruct(stylized, tmp_path / "out", QUICK)
    finally:
        path.write_bytes(before)


def test_publish_leaves_other_files_alone(stylized: Path, tmp_path: Path) -> None:
    reconstruct(stylized, tmp_path / "made", QUICK)
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    publish(tmp_path / "made", out)
    assert {"mine.txt", "mono.wav", "stereo.wav", "report.html"} <= {p.name for p in out.iterdir()}
    publish(tmp_path / "made", tmp_path, {"mono.wav": "one.wav"})
    assert (tmp_path / "one.wav").read_bytes() == (out / "mono.wav").read_bytes()
