"""The report page as a person meets it: opened from disk in a headless Chromium."""

import math
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from browsing import NARROW, WIDE

from components.reconstruct.report.page import Item, Training, embedded_html, write_report
from components.reconstruct.report.single_file import single_file

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[1] / "browser/node_modules/axe-core/axe.min.js"
RATE = 22_050
EVIL = '"><img src=x onerror=alert(1)><script>alert(2)</script>'


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        pass


def sweep(path: Path, seconds: float = 1.0, channels: int = 1, **options: Any) -> Path:
    at = np.arange(round(seconds * RATE)) / RATE
    samples = 0.5 * np.sin(2 * np.pi * (200 + 1500 * at / seconds) * at)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.stack([samples] * channels, 1), RATE, **options)
    return path


@pytest.fixture(scope="module")
def report(tmp_path_factory: Any) -> Path:
    """Four items in every format that there may be, and a training."""
    source = tmp_path_factory.mktemp("source")
    folder = tmp_path_factory.mktemp("report 100 % of #1")
    formats = [
        sweep(source / "a.wav"),
        sweep(source / "b.wav", 0.3, 2, subtype="FLOAT"),
        sweep(source / "c.wav", subtype="PCM_24"),
        sweep(source / "d.flac", channels=2),
        sweep(source / "e.ogg"),
        sweep(source / "f.mp3"),
        sweep(source / "g.aiff", 2.0),
        sweep(source / "h.wav", subtype="DOUBLE"),
        sweep(source / "i.opus", format="OGG", subtype="VORBIS"),
        sweep(folder / "audio" / "50 % 'ä' #2?.wav"),
        sweep(source / "k.wav", channels=6),
        sweep(source / "l.flac", 0.05),
    ]
    roles = ("content", "style", "result", "target")
    ids = ["flute as organ", EVIL, "voice 10", "voice 9"]
    distances = [5.0, math.nan, 12.0, 7.5]
    items = [
        Item(
            id=name,
            audio={
                role: formats[(3 * i + j) % len(formats)]
                for j, role in enumerate(roles[: 4 - i % 2])
            },
            measures={
                "distance of the result to the target (dB)": distance,
                "distance of the content to the target (dB)": 14.0,
                "loudness (LUFS)": -23.0 - i,
            },
            losses={
                "total": [9.0, 3.0, 0.1],
                "content": [4.0, 2.0, 0.05],
                "style": [5.0, 1.0, 0.05],
            },
            settings={"method": "gatys", "seed": i, EVIL: EVIL},
            names={"content": f"Take {i} (final) é.wav"},
            heard="content: a voice (0.91)\n" + EVIL,
        )
        for i, (name, distance) in enumerate(zip(ids, distances, strict=True))
    ]
    training = Training(
        history=[
            {"epoch": e, "train_loss": 2 / e, "validation_loss": 3 / e,
             "train_accuracy": 1 - 0.8 / e, "validation_accuracy": 1 - 0.9 / e}
            for e in range(1, 9)
        ],
        class_names=["flute", "organ", "voice"],
        confusion=[[8, 2, 0], [1, 9, 0], [3, 3, 4]],
        accuracy={"test accuracy": 0.7, "chance": 1 / 3},
        verdict={"verdict": "hold", "reason": "below the champion", "champion": 0.72},
        model={"name": "ear", "version": "7", "digest": "0123456789abcdef" * 4},
    )  # fmt: skip
    return write_report(folder, items, training, title="Sweeps", subtitle="made for the test")


def test_every_player_decodes_and_nothing_leaves_the_machine(report: Any, visit: Any) -> None:
    opened = visit(report)
    durations = opened.wait_for_players()
    assert len(durations) == 14
    assert all(duration is not None and duration > 0 for duration in durations), durations
    # Pictures are lazy: come near, so that each is fetched and decoded.
    opened.page.evaluate("for (const i of document.images) i.loading = 'eager'")
    opened.wait_for("[...document.images].every(i => i.complete)")
    assert opened.page.evaluate("[...document.images].every(i => i.naturalWidth > 0)")
    assert opened.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_no_serious_accessibility_violation(
    report: Any, visit: Any, scheme: str, viewport: Any
) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed (npm ci --prefix tests/browser)")
    embedded = report.parent / "embedded-copy.html"
    embedded.write_text(embedded_html(report.parent))
    for path in (report, embedded):
        opened = visit(path, viewport, scheme)
        opened.page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        opened.page.evaluate(AXE.read_text())
        audit = opened.page.evaluate("axe.run()")
        assert len(audit["passes"]) > 10
        serious = [
            (v["id"], [node["html"] for node in v["nodes"]])
            for v in audit["violations"]
            if v["impact"] in ("serious", "critical")
        ]
        assert serious == []
        assert opened.complaints == []


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_nothing_sticks_out_sideways(report: Any, visit: Any, viewport: Any) -> None:
    page = visit(report, viewport).page
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    tops = page.evaluate(
        "[...document.querySelectorAll('#item-1 .card')].map(c => c.getBoundingClientRect().top)"
    )
    assert len(set(tops)) == (1 if viewport is WIDE else 4), "in a row, or stacked"


def shown(page: Any) -> list[str]:
    return list(page.locator("table.index tbody th").all_inner_texts())


def test_search_and_sort_with_the_keyboard(report: Any, visit: Any) -> None:
    opened = visit(report)
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.type("VOICE gatys")
    assert shown(page) == ["voice 10", "voice 9"]
    assert page.get_by_role("status").inner_text() == "2 of 4 items"
    page.keyboard.type("zzz")
    assert shown(page) == []
    assert page.get_by_role("status").inner_text() == "None of 4 items match"
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.press("Delete")
    assert len(shown(page)) == 4

    page.keyboard.press("Tab")  # the table's scrolling region
    page.keyboard.press("Tab")  # its first heading
    page.keyboard.press("Enter")
    assert page.get_by_role("columnheader", name="Item").get_attribute("aria-sort") == "ascending"
    assert shown(page)[-2:] == ["voice 9", "voice 10"], "as people order numbers"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert shown(page) == ["flute as organ", "voice 9", "voice 10", EVIL]
    page.keyboard.press("Enter")
    assert shown(page) == ["voice 10", "voice 9", "flute as organ", EVIL], (
        "what has no value is last"
    )
    assert page.locator("[aria-sort]").count() == 1
    assert opened.complaints == []


SOUNDS = "[...document.querySelectorAll('#item-3 audio')]"


def times(page: Any) -> list[float]:
    return list(page.evaluate(f"{SOUNDS}.map(a => a.currentTime)"))


def test_one_player_at_a_time_and_a_playhead_that_follows(report: Any, visit: Any) -> None:
    opened = visit(report)
    opened.wait_for_players()
    page = opened.page
    cards = page.locator("#item-3 .card")
    cards.nth(0).locator(".image").click(position={"x": 5, "y": 20})
    opened.wait_for(f"{SOUNDS}[0].currentTime > 0.05")
    assert cards.nth(0).locator(".playhead").get_attribute("visibility") == "visible"
    cards.nth(1).locator(".image").click(position={"x": 5, "y": 20})
    opened.wait_for(f"{SOUNDS}[0].paused && !{SOUNDS}[1].paused")
    page.locator("#item-1 .play").click()
    opened.wait_for(f"{SOUNDS}.every(a => a.paused)")
    assert opened.complaints == []


def test_the_switch_keeps_the_position(report: Any, visit: Any) -> None:
    opened = visit(report)
    opened.wait_for_players()
    page = opened.page
    bar = page.locator("#item-3 .player")

    def slide(share: float) -> None:
        bar.get_by_role("slider").evaluate(
            "(s, v) => { s.value = v; s.dispatchEvent(new Event('input', { bubbles: true })); }",
            share,
        )

    slide(0.6)
    assert times(page)[2] == pytest.approx(0.6, abs=0.01)
    bar.get_by_role("radio", name="content").click()
    opened.wait_for(f"Math.abs({SOUNDS}[0].currentTime - 0.6) < 0.01")
    assert bar.get_by_role("radio", checked=True).inner_text().startswith("Content")
    # The content lasts 2 s. A shorter one begins again, and the content goes on from where it was.
    slide(0.75)
    bar.get_by_role("radio", name="target").click()
    opened.wait_for(f"Math.abs({SOUNDS}[3].currentTime - 0.5) < 0.01")
    bar.get_by_role("radio", name="content").click()
    opened.wait_for(f"Math.abs({SOUNDS}[0].currentTime - 1.5) < 0.01")
    slide(0.3)
    bar.get_by_role("radio", name="style").click()
    opened.wait_for(f"Math.abs({SOUNDS}[1].currentTime - 0.6) < 0.01")
    assert page.evaluate(f"{SOUNDS}.every(a => a.paused)"), "choosing alone plays nothing"

    bar.get_by_role("button", name="Loop").click()
    bar.get_by_role("button", name="Play").click()
    opened.wait_for(f"!{SOUNDS}[1].paused && {SOUNDS}[1].currentTime > 0.7")
    before = page.evaluate(
        f"() => {{ const at = {SOUNDS}[1].currentTime;"
        " document.querySelector('#item-3 [role=radio].result').click(); return at; }"
    )
    opened.wait_for(f"!{SOUNDS}[2].paused && {SOUNDS}[1].paused")
    assert times(page)[2] >= before - 0.02 or times(page)[2] < 0.3, "or around the loop"
    bar.get_by_role("button", name="Pause").click()
    opened.wait_for(f"{SOUNDS}.every(a => a.paused)")
    assert opened.complaints == []


def test_all_play_as_loud_as_the_quietest_unless_asked_not_to(tmp_path: Path, visit: Any) -> None:
    loud, soft, silent = (tmp_path / f"{name}.wav" for name in ("loud", "soft", "silent"))
    at = np.arange(RATE) / RATE
    for path, level in ((loud, 0.5), (soft, 0.05), (silent, 0)):
        soundfile.write(path, level * np.sin(2 * np.pi * 997 * at), RATE, subtype="FLOAT")
    audio = {"content": loud, "style": soft, "result": loud, "target": silent}
    opened = visit(write_report(tmp_path / "r", [Item("x", audio)], None, title="T"))
    page = opened.page
    volumes = "[...document.querySelectorAll('audio')].map(a => a.volume)"
    assert page.evaluate(volumes) == pytest.approx([0.1, 1, 0.1, 1], rel=0.01)
    assert "content turned down by 20.0 dB" in page.locator(".level").inner_text()
    button = page.get_by_role("button", name="Same loudness")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert page.evaluate(volumes) == [1, 1, 1, 1]
    assert opened.complaints == []


def test_a_player_is_one_tab_stop_and_arrows_move_within(report: Any, visit: Any) -> None:
    opened = visit(report)
    opened.wait_for_players()
    page = opened.page
    inside = "document.activeElement.closest('#item-3 .player') !== null"
    page.locator("#item-3 .play").focus()
    page.keyboard.press("Tab")
    assert not page.evaluate(inside)
    assert page.evaluate("document.activeElement.download") == "Take 2 (final) é.flac"
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(inside)
    seen = []
    for _ in range(8):
        seen.append(
            page.evaluate(
                "document.activeElement.getAttribute('aria-label')"
                " || document.activeElement.innerText.split(/\\s/)[0]"
            )
        )
        page.keyboard.press("ArrowRight")
    assert seen == ["Play", "Content", "Style", "Result", "Target", "Position", "Loop", "Same"]
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Play", "round"
    page.keyboard.press("2")
    assert page.locator("#item-3 [role=radio][aria-checked=true]").inner_text().startswith("Style")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("PageUp")
    opened.wait_for(f"Math.abs({SOUNDS}[1].currentTime - 0.22) < 0.01")
    said = page.evaluate("document.activeElement.getAttribute('aria-valuetext')")
    assert said == "0:00.2 of 0:01.0, style"
    page.keyboard.press("Space")
    opened.wait_for(f"{SOUNDS}[1].currentTime > 0.3")
    assert page.evaluate(inside)
    page.keyboard.press("Tab")
    assert not page.evaluate(inside)
    assert opened.complaints == []


def test_a_download_has_the_bytes_and_the_name(report: Any, chromium: Any, visit: Any) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(report.parent))) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        context = chromium.new_context(accept_downloads=True)
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{web.server_port}/{report.name}")
        assert not page.locator("#from-disk").is_visible()
        for role, name in (("content", "Take 0 (final) é.wav"), ("result", "c.wav")):
            link = page.locator(f"#item-1 .card.{role} .file a")
            assert link.inner_text() == name
            with page.expect_download() as waiting:
                link.click()
            assert waiting.value.suggested_filename == name
            url = link.get_attribute("href")
            assert waiting.value.path().read_bytes() == (report.parent / url).read_bytes()
        context.close()
        web.shutdown()
    # From disk, where browsers ignore the attribute, the file opens beside the page, which says so.
    page = visit(report).page
    assert "Save link as" in page.locator("#from-disk").inner_text()
    with page.expect_popup() as popup:
        page.get_by_role("link", name="Open the result, c.wav").first.click()
    assert popup.value.url.endswith("/c.wav")
    assert page.url == report.as_uri()


def test_a_page_in_one_file_gives_its_recordings_away_from_disk(
    report: Any, chromium: Any, tmp_path: Path
) -> None:
    alone = tmp_path / "alone.html"
    text = single_file(report.parent)
    assert text
    alone.write_text(text, encoding="utf-8")
    context = chromium.new_context(accept_downloads=True)
    page = context.new_page()
    page.goto(alone.as_uri())
    assert not page.locator("#from-disk").is_visible()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download the result, c.wav").first.click()
    assert waiting.value.suggested_filename == "c.wav"
    (source,) = report.parent.glob("media/*/c.wav")
    assert waiting.value.path().read_bytes() == source.read_bytes()
    # In a frame, as MLflow shows it, nothing is offered.
    frame = tmp_path / "frame.html"
    frame.write_text('<iframe sandbox="allow-scripts" src="alone.html"></iframe>')
    page.goto(frame.as_uri())
    inside = page.frame_locator("iframe")
    inside.locator("#item-1 .play").wait_for()
    assert inside.locator("#item-1 .file a").count() == 0
    context.close()


def test_paper_has_no_controls_and_every_figure(report: Any, visit: Any) -> None:
    page = visit(report).page
    page.emulate_media(media="print")
    assert not page.locator("#item-1 .player").is_visible()
    assert not page.locator("#search").is_visible()
    assert page.locator("#item-1 .image img").first.is_visible()
    assert page.locator("#item-1 .heard").is_visible()


def test_it_reads_without_scripts(report: Any, visit: Any) -> None:
    opened = visit(report, java_script_enabled=False)
    assert len(shown(opened.page)) == 4
    assert not opened.page.locator("#search").is_visible()
    assert opened.page.locator("audio[controls]").count() == 14
    assert not opened.page.locator(".player").first.is_visible()


@pytest.mark.slow
def test_two_thousand_items(tmp_path: Path, visit: Any) -> None:
    source = sweep(tmp_path / "s.wav", 0.05)
    items = [
        Item(f"clip {i}", {"result": source}, {"loss": float(i * 7 % 2000)}) for i in range(2000)
    ]
    opened = visit(write_report(tmp_path / "report", items, None, title="Many"))
    page = opened.page
    status = page.get_by_role("status")
    assert status.inner_text() == "1 to 50 of 2,000 items"
    assert len(shown(page)) == 50
    page.get_by_role("button", name="Next fifty").click()
    assert status.inner_text() == "51 to 100 of 2,000 items"
    page.get_by_role("button", name="loss").press("Enter")
    assert shown(page)[0] == "clip 0"
    assert status.inner_text() == "1 to 50 of 2,000 items"
    assert len(opened.wait_for_players()) == 50
    page.get_by_label("Search", exact=True).fill("clip 1777")
    page.get_by_role("link", name="clip 1777").press("Enter")
    page.wait_for_url("**/report-36.html#item-1778")
    assert page.locator(":target h3").inner_text() == "clip 1777"
    assert all(duration > 0 for duration in opened.wait_for_players())
    assert opened.complaints == []
