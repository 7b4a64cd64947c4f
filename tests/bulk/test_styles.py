"""A style of several recordings: each counts as much as it should, in one pair and in bulk."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bulk_jobs import bulk, results, write_csv
from conftest import RATE, noise, tone
from seaweedfs import BUCKET, SeaweedFS

from audiostyle import audio
from audiostyle.audio import Samples
from audiostyle.errors import AudioError, InputError
from audiostyle.store import open_store
from components.stylize.medley import LONGEST, write_medley
from components.stylize.medley import RATE as MEDLEY_RATE
from pipeline.styles import MOST, named_style, style_of


def wav(path: Path, samples: Samples, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples.T, rate)
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a content, styles, a folder of them, and a data set."""
    monkeypatch.chdir(tmp_path)
    wav(tmp_path / "content.wav", tone(seconds=1))
    wav(tmp_path / "low.wav", tone(200, seconds=4, level=0.01))
    wav(tmp_path / "high=0.7.wav", tone(3000, seconds=9, level=0.5))
    for label in ("reed", "bell"):
        for number in range(3):
            wav(tmp_path / "data" / label / f"{number}.wav", tone(300 + number, seconds=0.5))
    return tmp_path


def share_above(samples: Samples, hertz: float, rate: int) -> float:
    """Share of the energy above a frequency."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    frequency = np.fft.rfftfreq(samples.shape[-1], 1 / rate)
    return float(power[..., frequency > hertz].sum() / power.sum())


@pytest.mark.parametrize("shares", [(1, 1), (3, 1), (0.1, 0.9)])
def test_each_recording_counts_by_its_share(here: Path, shares: tuple[float, float]) -> None:
    """Whatever its level, length, rate and number of channels."""
    stereo = np.stack([tone(3000, seconds=30, rate=48000, level=0.5)] * 2)
    stereo[1] *= -1
    high = wav(here / "stereo.wav", stereo, 48000)  # whose mean is silence
    write_medley([here / "low.wav", high], shares, here / "m.flac")
    medley = audio.read(here / "m.flac")
    wanted = shares[1] / sum(shares)
    assert share_above(medley.samples, 1000, medley.sample_rate) == pytest.approx(wanted, abs=0.03)
    assert 12 <= medley.seconds <= LONGEST


def test_a_medley_is_the_same_every_time_and_bounded(here: Path) -> None:
    long = wav(here / "long.wav", noise(seconds=100))
    for name in ("a.flac", "b.flac"):
        write_medley([long, long, long], (1, 1, 1), here / name)
    assert (here / "a.flac").read_bytes() == (here / "b.flac").read_bytes()
    assert audio.read(here / "a.flac").seconds == pytest.approx(LONGEST, abs=0.1)
    assert audio.read(here / "a.flac").sample_rate == MEDLEY_RATE


def test_a_bad_recording_of_several_is_named(here: Path) -> None:
    wav(here / "silent.wav", np.zeros(RATE, np.float32))
    with pytest.raises(AudioError, match=r"silent\.wav"):
        write_medley([here / "low.wav", here / "silent.wav"], (1, 1), here / "m.flac")
    assert not (here / "m.flac").exists()


def test_what_people_call_a_style(here: Path) -> None:
    assert style_of(["low.wav"], []).places == (Path("low.wav"),)
    assert style_of(["high=0.7.wav", "low.wav"], [1, 3]).shares == (0.25, 0.75)
    reed = style_of(["class:reed@data"], [])
    assert reed.places == tuple(Path("data/reed") / f"{n}.wav" for n in range(3))
    both = style_of(["data/reed", "low.wav"], [])  # a folder counts as one of two
    assert both.shares == pytest.approx((1 / 6, 1 / 6, 1 / 6, 1 / 2))
    for number in range(3 * MOST):
        wav(here / "many" / f"{number:03d}.wav", tone(seconds=0.2))
    many = style_of(["many"], []).places
    assert len(many) == MOST and many[0].name == "000.wav" and many[-1].name > "050.wav"  # type: ignore[union-attr]
    # A name with the sign that ends it, and one in the form in which a Mac has names of folders.
    for label in ("a@b", "Bl\u00e4ser"):
        wav(here / "data" / label / "x.wav", tone(seconds=0.5))
    for label in ("a@b", "Bl\u00e4ser", "Bla\u0308ser"):
        (place,) = style_of([f"class:{label}@data"], []).places
        assert str(place).endswith("/x.wav"), label
    beside = style_of(["class:bell@data", "low.wav"], [], here / "m.csv").places
    assert beside[0] == here / "data/bell/0.wav" and beside[-1] == here / "low.wav"


@pytest.mark.parametrize(
    "texts, shares, words",
    [
        (["low.wav", "content.wav"], "0.7", "shares: has 1 numbers for 2 styles"),
        (["low.wav"], "0", r"shares: must be numbers from 0.000001 to 1000000.* \(got '0'\)"),
        (["low.wav"], "nan", "shares: must be numbers from"),
        (["low.wav"], "much", "shares: must be numbers from"),
        (["low.wav"] * 2, "1e308,1e308", "shares: must be numbers from"),
        (["low.wav"] * 2, "1e-320,1", "shares: must be numbers from"),
        (["low.wav"], "1_0", "shares: must be numbers from"),
        (["low.wav"], "1e999", "shares: must be numbers from"),
        (["low.wav"] * 21, "", "style: has 21 recordings; 1 to 20"),
        (["class:flute@data"], "", "has no class 'flute'; there are bell, reed"),
        (["class:@data"], "", "must be class:NAME@DATA"),
        (["class:reed"], "", "must be class:NAME@DATA"),
        (["class:reed@nowhere"], "", "nowhere does not exist"),
        (["class:reed@s3://bucket/data"], "", "on this machine"),
        (["data"], "", "no recordings directly in it"),
        (["http://host/a.wav"], "", "s3://bucket/key is needed"),
        (["s3:/bucket/a.wav"], "", "s3://bucket/key is needed"),
        (["class:reed@now@here"], "", "now@here does not exist"),
    ],
)
def test_what_is_no_style(here: Path, texts: list[str], shares: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        named_style(texts, shares)


@pytest.mark.slow
@pytest.mark.usefixtures("warm_workers")
def test_one_pair_and_bulk_jobs_take_the_same(here: Path, clips: Path, classifier: Path) -> None:
    """The same sound; given again, a job has nothing to do, until a recording changes."""
    how = ("--model", classifier, "--config", clips / "fast.yaml")
    styles = ("--style", "high=0.7.wav", "--shares", "3,1")
    one = bulk("stylize", "content.wav", "low.wav", *styles, "-o", "one.wav", *how)
    assert one.exit_code == 0, one.stderr
    single = bulk("stylize", "content.wav", "--style", "low.wav", "-o", "single.wav", *how)
    assert single.exit_code == 0, single.stderr
    row = {"id": "x", "content": "content.wav", "style": "low.wav", "style_2": "high=0.7.wav"}
    rows = [{**row, "shares": "3,1"}, {"id": "y", "content": "content.wav"}]
    rows[1] |= {"style": "class:reed@data"}
    manifest = write_csv(here / "m.csv", rows)
    job = ("stylize", "--manifest", manifest, "--out", "out", "--report", "2", *how)
    for done in ("2 done now", "0 done now"):
        result = bulk(*job)
        assert result.exit_code == 0 and done in result.stdout, result.output
    found = results(here / "out")
    assert [Path(x).name for x in found["x"]["inputs"]["style"]["places"]] == [
        "low.wav",
        "high=0.7.wav",
    ]
    sounds = [audio.read(here / name).samples for name in ("one.wav", "out/x.wav", "single.wav")]
    assert np.array_equal(sounds[0], sounds[1]) and not np.array_equal(sounds[0], sounds[2])
    wav(here / "data/reed/1.wav", tone(999, seconds=0.5))
    assert "1 done before, 1 done now" in bulk(*job).stdout
    crossed = bulk(
        *("stylize", "--contents", "c*.wav", "--style", "data/bell", "--out", "crossed"),
        *("--dry-run", *how),
    )
    assert crossed.exit_code == 0 and "1 to do" in crossed.stdout, crossed.output


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"style_2": "nowhere.wav"}, "style nowhere.wav: does not exist"),
        ({"style_2": "s3://bucket"}, "names no object"),
        ({"style_2": "low.wav", "shares": "1"}, "shares: has 1 numbers for 2 styles"),
        ({"style": "class:flute@data"}, "there are bell, reed"),
        ({"style": ""}, "style is empty"),
        ({"style": "", "style_2": "low.wav"}, "style is empty"),
        ({"style_2": "silent.wav"}, "silent.wav"),
        ({"style_21": "low.wav"}, "style_21: is an unknown column"),
        ({"style_2": "out/x.wav"}, "outputs would replace recordings"),
    ],
)
def test_bad_styles_in_a_manifest(
    here: Path, classifier: Path, changes: dict[str, str], words: str
) -> None:
    wav(here / "silent.wav", np.zeros(RATE, np.float32))
    wav(here / "out/x.wav", tone(seconds=0.5))
    row = {"id": "x", "content": "content.wav", "style": "low.wav", **changes}
    (here / "m.jsonl").write_text(json.dumps(row) + "\n")
    before = sorted(here.rglob("*"))
    result = bulk("stylize", "--manifest", "m.jsonl", "--out", "out", "--model", classifier)
    assert result.exit_code == 2 and words in result.stderr.replace(f"{here}/", ""), result.stderr
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("content.wav", "low.wav", "--style", "one.wav", "-o", "one.wav"), "one.wav: does not"),
        (("content.wav", "data/reed", "-o", "data/reed/2.wav"), "is the style"),
        (("content.wav", "-o", "one.wav"), "give CONTENT STYLE -o"),
        (("--manifest", "m.csv", "--out", "out", "--shares", "1"), "give CONTENT STYLE -o"),
        (("--manifest", "m.csv", "--out", "out", "--style", "low.wav"), "give CONTENT STYLE -o"),
        (("content.wav", "low.wav", "-o", "one.wav", "--contents", "*"), "no option of a manif"),
    ],
)
def test_mistakes_on_the_command_line(here: Path, arguments: tuple[str, ...], words: str) -> None:
    result = bulk("stylize", *arguments)
    assert result.exit_code == 2 and words in result.stderr
    assert not (here / "one.wav").exists()


def test_styles_in_a_bucket(here: Path, seaweedfs: SeaweedFS) -> None:
    store = open_store(f"s3://{BUCKET}/styles")
    for key in ("a/1.wav", "a/2.wav", "a/deeper/3.wav", "a/notes.txt"):
        store.put_file(key, here / "low.wav")
    style = style_of([f"{store.uri}/a/"], [])
    assert style.places == (f"{store.uri}/a/1.wav", f"{store.uri}/a/2.wav")
    with pytest.raises(InputError, match="no recordings directly under"):
        style_of([f"{store.uri}/b/"], [])
