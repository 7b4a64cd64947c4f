"""The report folder: what is written, what is refused, whether the pictures show the physics."""

import base64
import hashlib
import io
import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
from PIL import Image

from audiostyle.audio import Recording
from audiostyle.charts import confusion, line_chart
from audiostyle.errors import ArtifactError, AudioError, InputError
from components.reconstruct.report import spectrogram_images
from components.reconstruct.report.item_view import pair_up
from components.reconstruct.report.loudness import MOST_DB, gains, integrated
from components.reconstruct.report.page import (
    Item,
    Training,
    embedded_html,
    headline_metrics,
    write_report,
)
from components.reconstruct.report.single_file import single_file
from components.reconstruct.report.text import flatten, number

RATE = 16_000
EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(2)> '&"

TRAINING = Training(
    history=[
        {
            "epoch": e,
            "train_loss": 2 / e,
            "validation_loss": 3 / e,
            "validation_accuracy": 1 - 1 / e,
        }
        for e in range(1, 6)
    ],
    class_names=["flute", "organ", EVIL],
    confusion=[[8, 2, 0], [1, 9, 0], [3, 3, 4]],
    accuracy={"test accuracy": 0.7, "chance": 1 / 3},
    verdict={"verdict": "promote", "reason": "better than the champion", "champion": 0.65},
    model={"name": "ear", "version": "7"},
)


def tone(hertz: float, seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate).astype(np.float32)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "tone.wav"
    path.parent.mkdir()
    soundfile.write(path, 0.5 * tone(440), RATE)
    return path


class Page(HTMLParser):
    """Elements of a page as (tag, attributes)."""

    def __init__(self, path_or_text: Path | str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.words: list[str] = []
        text = path_or_text.read_text() if isinstance(path_or_text, Path) else path_or_text
        self.feed(text)

    def handle_starttag(self, tag: Any, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data
        self.words += data.split()

    def all(self, tag: Any, attribute: Any) -> Any:
        return [a[attribute] for t, a in self.elements if t == tag and attribute in a]


def digests(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file()
    }


def test_same_input_same_bytes_and_nothing_left_over(tmp_path: Path, wav: Any) -> None:
    items = [
        Item(f"item {i}", {"content": wav, "result": wav}, {"d": float(i)}, {"total": [3.0, 1.0]})
        for i in range(3)
    ]
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        assert write_report(folder, items, TRAINING, title="T") == folder / "report.html"
    first = digests(folders[0])
    assert first == digests(folders[1])
    write_report(folders[0], items, TRAINING, title="T")  # over itself
    assert digests(folders[0]) == first
    assert sorted({name.split("/")[0] for name in first}) == [
        "media", "pictures", "report-embedded.html", "report.html",
    ]  # fmt: skip
    # One recording, used six times: one copy.
    assert sum(name.startswith("media/") for name in first) == 1


def test_audio_inside_is_linked_and_outside_is_copied(tmp_path: Path, wav: Any) -> None:
    folder = tmp_path / "report"
    inside = folder / "audio" / "50 % of #1 'a\"b?.wav"
    inside.parent.mkdir(parents=True)
    soundfile.write(inside, tone(220), RATE)
    before = wav.read_bytes(), inside.read_bytes()
    write_report(folder, [Item("x", {"content": wav, "result": inside})], None, title="T")
    content, result = Page(folder / "report.html").all("audio", "src")
    assert unquote(result) == f"./audio/{inside.name}"
    assert content.startswith("./media/")
    assert content.endswith("/tone.wav")
    assert (folder / content).read_bytes() == before[0]
    assert (wav.read_bytes(), inside.read_bytes()) == before
    assert len(list((folder / "media").iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.aiff", "PCM_16"), ("a.wav", "DOUBLE"), ("a.au", "FLOAT")]
)
def test_what_browsers_cannot_play_becomes_flac(tmp_path: Path, name: str, subtype: Any) -> None:
    samples = np.stack([0.9 * tone(300), 0.5 * tone(500)], 1)
    soundfile.write(tmp_path / name, samples, RATE, subtype=subtype)
    # Inside the folder, and yet not linked as it is.
    write_report(tmp_path, [Item("x", {"result": tmp_path / name})], None, title="T")
    (url,) = Page(tmp_path / "report.html").all("audio", "src")
    assert url.startswith("./media/")
    assert url.endswith("/a.flac")
    heard, rate = soundfile.read(tmp_path / url)
    assert rate == RATE
    np.testing.assert_allclose(heard, samples, atol=2**-15)


def test_names_are_text_and_never_markup(tmp_path: Path, wav: Any) -> None:
    item = Item(
        EVIL, {"content": wav}, {EVIL: 1.0}, {EVIL: [2.0, 1.0]}, {EVIL: {EVIL: EVIL}, "n": 1}
    )
    other = Item("other", {"content": wav})
    write_report(tmp_path, [item, other], TRAINING, title=EVIL, subtitle=EVIL, model={EVIL: EVIL})
    for text, scripts in (
        ((tmp_path / "report.html").read_text(), 1),
        (embedded_html(tmp_path), 0),
    ):
        page = Page(text)
        assert sum(tag == "script" for tag, _ in page.elements) == scripts
        assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]
        assert "x" not in page.all("img", "src")
        assert page.text.count(EVIL) >= 4
    # No style attribute either: the content security policy would drop it.
    assert not Page(tmp_path / "report.html").all("svg", "style")


def test_pages_of_fifty(tmp_path: Path, wav: Any) -> None:
    items = [Item(f"i{n}", {"result": wav}) for n in range(1, 102)]
    write_report(tmp_path, items, None, title="T")
    assert {p.name for p in tmp_path.glob("report*.html")} == {
        "report.html", "report-2.html", "report-3.html", "report-embedded.html",
    }  # fmt: skip
    rows = [h for h in Page(tmp_path / "report.html").all("a", "href") if "#item-" in h]
    assert len(rows) == 101
    assert (rows[49], rows[50], rows[100]) == (
        "#item-50", "report-2.html#item-51", "report-3.html#item-101",
    )  # fmt: skip
    assert Page(tmp_path / "report-3.html").all("article", "id") == ["item-101"]
    # As one file it has the first page, whose links lead nowhere else.
    text = single_file(tmp_path)
    assert text is not None
    page = Page(text)
    assert len(page.all("article", "id")) == 50
    assert all(link.startswith(("#", "data:")) for link in page.all("a", "href"))
    assert "i101" in page.text

    write_report(tmp_path, items[:3], None, title="T")
    assert not list(tmp_path.glob("report-[0-9]*.html")), "pages of the longer report are gone"


def test_missing_and_broken_audio_is_named(tmp_path: Path, wav: Any) -> None:
    gone = tmp_path / "gone.wav"
    with pytest.raises(AudioError, match=r"gone\.wav.*style of item 'x'"):
        write_report(tmp_path / "r", [Item("x", {"style": gone})], None, title="T")
    gone.write_bytes(b"RIFF but no sound")
    with pytest.raises(AudioError, match=r"gone\.wav.*decoded"):
        write_report(tmp_path / "r", [Item("x", {"style": gone})], None, title="T")
    assert not (tmp_path / "r" / "report.html").exists()


def test_bad_input_says_what_would_do(tmp_path: Path, wav: Any) -> None:
    def write(items: Any, training: Any = None) -> None:
        write_report(tmp_path / "r", items, training, title="T")

    with pytest.raises(InputError, match="two items have the id 'x'"):
        write([Item("x", {"result": wav}), Item("x", {"result": wav})])
    with pytest.raises(
        InputError, match="'vocals'; known roles are content, style, result, target"
    ):
        write([Item("x", {"vocals": wav})])
    with pytest.raises(InputError, match="no audio"):
        write([Item("x", {})])
    with pytest.raises(InputError, match=r"rows of \[1\] counts; 2 class names need 2 rows"):
        write([], Training(class_names=["a", "b"], confusion=[[1]]))
    with pytest.raises(ArtifactError, match=r"report-embedded\.html"):
        embedded_html(tmp_path)


def test_embedded_page_needs_no_file(tmp_path: Path, wav: Any) -> None:
    items = [
        Item(f"i{n}", dict.fromkeys(("content", "style", "result", "target"), wav), {"d": 1.0})
        for n in range(60)
    ]
    write_report(tmp_path, items, TRAINING, title="Title", subtitle="Sub")
    text = embedded_html(tmp_path)
    page = Page(text)
    assert all(src.startswith("data:image/webp") for src in page.all("img", "src"))
    assert not page.all("a", "href")
    assert not [tag for tag, _ in page.elements if tag in ("audio", "script", "iframe")]
    for said in ("Title", "70.0 %", "33.3 %", "Accepted as default", "first 50 of 60 items"):
        assert said in page.text
    assert len(text) < 500_000


def test_measures_in_plain_words_and_exact_ones_behind(tmp_path: Path, wav: Any) -> None:
    measures = {
        "gain": 0.4512, "timbre gain": -0.2, "pitch likeness to the content": 0.978,
        "log-mel distance of the result to the target (dB)": 6.1,
        "log-mel distance of the content to the target (dB)": 11.1,
    }  # fmt: skip
    items = [Item("x", {"result": wav}, measures), Item("y", {"result": wav}, {"gain": math.nan})]
    write_report(tmp_path, items, None, title="T")
    text = " ".join(Page(tmp_path / "report.html").words)
    said = text[text.index("The result is") : text.index("Exact figures of x")]
    for words in (
        "closer to the ideal than the content 45 %",
        "like the content in pitch 98 %",
        "farther from the timbre of the style than the content 20 %",
    ):
        assert words in said
    assert "0.451" in text[text.index("Exact figures of x") :]
    assert "0.451" not in said
    # The table of all items tells what the distances mean, not the distances.
    assert "Item closer to the ideal pitch timbre x 45 % 98 % −20 % y n/a – –" in text


@pytest.mark.parametrize(
    "verdict, words",
    [
        ("promote", "✓ Accepted as default"),
        ("hold", "■ Not accepted as default"),
        ("unchanged", "✓ Default as before"),
        ("new word", "■ new word"),
    ],
)
def test_the_verdict_in_words(tmp_path: Path, verdict: str, words: str) -> None:
    write_report(tmp_path, [], Training(verdict={"verdict": verdict, "reason": "why"}), title="T")
    assert words in Page(tmp_path / "report.html").text


def test_no_chart_where_nothing_was_optimized(tmp_path: Path, wav: Any) -> None:
    for losses, charts in (({"total": [0.1]}, 0), ({}, 0), ({"total": [2.0, 1.0]}, 1)):
        write_report(tmp_path, [Item("x", {"result": wav}, losses=losses)], None, title="T")
        classes = Page(tmp_path / "report.html").all("svg", "class")
        assert classes.count("chart") == charts


def test_what_the_method_heard_is_told(tmp_path: Path, wav: Any) -> None:
    item = Item("x", {"result": wav}, heard="content: a voice (0.9)\nstyle: <b>chords</b>")
    write_report(tmp_path, [item], None, title="T")
    page = Page(tmp_path / "report.html")
    for line in ("What the method heard", "content: a voice (0.9)", "style: <b>chords</b>"):
        assert line in page.text


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_loudness_is_that_of_the_standard(rate: int, tmp_path: Path) -> None:
    # BS.1770: a sine of 997 Hz at full scale, in one of two channels, reads -3.01 LUFS.
    sine = tone(997, 3.0, rate)
    path = tmp_path / "sine.wav"
    soundfile.write(path, np.stack([sine, 0 * sine], 1), rate, subtype="FLOAT")
    assert integrated(path) == pytest.approx(-3.01, abs=0.05)
    soundfile.write(path, 0.1 * sine, rate, subtype="FLOAT")
    assert integrated(path) == pytest.approx(-20, abs=0.05), "heard from both loudspeakers"
    # Silence around it does not count, and a blink has a loudness too.
    soundfile.write(path, np.concatenate([0.1 * sine, 0 * sine]), rate, subtype="FLOAT")
    assert integrated(path) == pytest.approx(-20, abs=0.5)
    soundfile.write(path, 0.1 * sine[: rate // 20], rate, subtype="FLOAT")
    assert -24 < integrated(path) < -18
    soundfile.write(path, 0 * sine, rate)
    assert integrated(path) == -math.inf


def test_gains_turn_down_to_the_quietest_and_no_further_than_is_heard() -> None:
    assert gains({"a": -20.0, "b": -23.5, "c": -math.inf}) == {"a": -3.5, "b": 0.0, "c": 0.0}
    assert gains({"a": -10.0, "b": -60.0})["a"] == -MOST_DB
    assert gains({"a": -math.inf}) == {"a": 0.0}


def test_the_single_file_holds_all_and_loads_nothing(tmp_path: Path, wav: Any) -> None:
    report = tmp_path / "report"
    report.mkdir()
    inside = report / "50 % of #1.wav"
    soundfile.write(inside, tone(220), RATE)
    write_report(report, [Item("x", {"content": wav, "result": inside})], None, title="T")
    text = single_file(report)
    assert text is not None
    page = Page(text)
    sources = page.all("audio", "src") + page.all("img", "src")
    assert len(sources) == 4
    assert base64.b64decode(page.all("audio", "src")[0].partition(",")[2]) == wav.read_bytes()
    assert base64.b64decode(page.all("audio", "src")[1].partition(",")[2]) == inside.read_bytes()
    (policy,) = (p for p in page.all("meta", "content") if "default-src" in p)
    assert "default-src 'none'; img-src data:; media-src data:; style-src 'sha256-" in policy
    assert not page.all("a", "download"), "a link would hold each recording again"
    links = page.all("a", "href") + page.all("link", "href") + sources
    assert all(link.startswith(("data:", "#")) for link in links)
    assert single_file(report, most=1000) is None


def test_a_training_alone_and_items_alone(tmp_path: Path, wav: Any) -> None:
    write_report(tmp_path / "t", [], TRAINING, title="T")
    assert "Confusion matrix of 3 classes" in (tmp_path / "t/report.html").read_text()
    write_report(
        tmp_path / "i", [Item("x", {"result": wav})], None, title="T", model={"name": "m7"}
    )
    text = Page(tmp_path / "i/report.html").text
    assert "m7" in text
    assert "Training" not in text
    write_report(tmp_path / "e", [], Training(), title="T")


def test_headline_metrics_are_finite(wav: Any) -> None:
    items = [
        Item(str(i), {"result": wav}, {"d": v}) for i, v in enumerate((1.0, math.nan, 4.0, 9.0))
    ]
    items.append(Item("n", {"result": wav}, {"never": math.inf}))
    assert headline_metrics(items, TRAINING) == {
        "items": 5.0, "median d": 4.0, "test accuracy": 0.7, "chance": pytest.approx(1 / 3),
    }  # fmt: skip


def row_of(hertz: float, highest: float) -> float:
    low = spectrogram_images.lowest(highest)
    return (spectrogram_images.ROWS - 1) * (1 - math.log(hertz / low) / math.log(highest / low))


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100])
@pytest.mark.parametrize("hertz", [110, 1000, 3000])
def test_a_tone_is_a_line_at_its_frequency_whatever_the_rate(rate: Any, hertz: Any) -> None:
    recording = Recording(np.stack([tone(hertz, 1.0, rate)] * 2), rate)
    levels = spectrogram_images.levels(recording, 22_050)
    assert levels.shape[0] == spectrogram_images.ROWS
    middle = levels[:, levels.shape[1] // 2]
    # To a row, or to half a bin of the analysis where rows lie closer than bins.
    half_bin = 0.5 / spectrogram_images.WINDOW_SECONDS
    reach = max(1, row_of(hertz, 22_050) - row_of(hertz + half_bin, 22_050))
    assert abs(int(middle.argmax()) - row_of(hertz, 22_050)) <= reach + 0.5
    # A sine of full scale is 0 dB. Between two bins it is up to 1.4 dB lower (Hann), and a band
    # that holds the whole line up to 1.8 dB higher.
    assert -1.5 < middle.max() < 1.9
    # Above the recording's own Nyquist frequency there is nothing.
    above = int(row_of(rate / 2, 22_050)) - 1
    assert rate == 44_100 or np.all(np.isneginf(levels[:above]))


def test_a_click_is_at_its_time_in_a_long_clip() -> None:
    samples = np.zeros((1, 100 * RATE), np.float32)
    samples[0, 75 * RATE] = 1
    levels = spectrogram_images.levels(Recording(samples, RATE), RATE / 2)
    assert levels.shape == (spectrogram_images.ROWS, spectrogram_images.COLUMNS)
    assert abs(int(levels.max(0).argmax()) - 750) <= 1


def test_one_color_scale_for_all_pictures_of_an_item() -> None:
    loud = spectrogram_images.levels(Recording(tone(1000)[None], RATE), RATE / 2)
    soft = loud - 40
    top = spectrogram_images.loudest([soft, loud])
    assert top == loud.max()

    def brightest(levels: np.ndarray) -> float:
        with Image.open(io.BytesIO(spectrogram_images.encode(levels, top))) as image:
            assert image.size == (levels.shape[1], spectrogram_images.ROWS)
            return float(np.asarray(image.convert("L")).max())

    assert brightest(loud) > brightest(soft) + 60
    silent = spectrogram_images.levels(Recording(np.zeros((1, RATE), np.float32), RATE), RATE / 2)
    assert spectrogram_images.loudest([silent]) == 0
    assert brightest(silent) < 5


def test_a_clip_shorter_than_the_window_has_a_picture(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", tone(500)[:20], RATE)
    soundfile.write(tmp_path / "one.wav", tone(500)[:1], RATE)
    audio = {"content": tmp_path / "short.wav", "result": tmp_path / "one.wav"}
    assert write_report(tmp_path / "r", [Item("x", audio)], None, title="T").exists()


def test_ticks_lie_inside_and_are_round() -> None:
    assert [t.label for t in spectrogram_images.frequency_ticks(22_050)] == [
        "100",
        "300",
        "1k",
        "3k",
        "10k",
    ]
    for seconds in (0.001, 0.7, 5, 59, 61, 4000, 90_000):
        ticks = spectrogram_images.time_ticks(seconds)
        assert 2 <= len(ticks) <= 6
        assert ticks[0].at == 0
        assert ticks[-1].at <= 96
    assert [t.label for t in spectrogram_images.time_ticks(150)] == [
        "0:00",
        "0:30",
        "1:00",
        "1:30",
        "2:00",
    ]


def test_line_chart_scales_and_leaves_gaps() -> None:
    chart = line_chart({"a": [1.0, math.nan, 100.0], "b": [10.0]}, x_name="x", logarithmic=True)
    assert chart
    a, b = chart.lines
    assert a.path == "M0 170L0 170M340 0L340 0"
    assert b.path == "M0 85L0 85", "a lone point is a dot"
    assert (a.first, a.last, a.lowest, a.highest) == (1, 100, 1, 100)
    assert [(t.at, t.label) for t in chart.y_ticks] == [(170, "1"), (85, "10"), (0, "100")]
    linear = line_chart({"a": [0.0, 1.0]}, x_name="x", logarithmic=True)
    assert linear and not linear.logarithmic
    assert line_chart({"a": [math.nan], "b": []}, x_name="x") is None
    level = line_chart({"a": [5.0] * 9}, x_name="x")
    assert level and level.lines[0].path.startswith("M0 85")
    long = line_chart({"a": list(range(10_000))}, x_name="x")
    assert long
    assert long.lines[0].path.count("L") < 300
    assert long.lines[0].path.endswith("L340 0.02")


def test_confusion_tells_recall_and_the_usual_mistake() -> None:
    flute, organ, empty = confusion(
        ["flute", "organ", "none"], [[6, 3, 1], [0, 5, 0], [0, 0, 0]]
    ).rows
    assert (flute.recall, flute.mistaken_for, flute.mistaken) == (0.6, "organ", 3)
    assert (organ.recall, organ.mistaken_for) == (1, "")
    assert math.isnan(empty.recall)
    assert [cell.share for cell in flute.cells] == [0.6, 0.3, 0.1]


def test_numbers_and_settings_as_text() -> None:
    shown = {8.1234: "8.12", 0.0: "0", 12.0: "12", 123.456: "123.5", 4320: "4,320", -0.5: "−0.500",
             0.000123: "0.00012", 1e-7: "1e-07", math.nan: "n/a", -math.inf: "n/a"}  # fmt: skip
    assert {value: number(value) for value in shown} == shown
    assert flatten({"a": {"b": 0.1, "c": [1, 2]}, "d": True}) == {
        "a.b": "0.1",
        "a.c": "1, 2",
        "d": "True",
    }
    pairs, singles = pair_up({"d of the result to T": 1.0, "d of the content to T": 2.0, "e": 3.0})
    assert pairs == [("d to T", 2.0, 1.0)]
    assert singles == {"e": 3.0}
