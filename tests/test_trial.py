"""`audiostyle try`: its page in a headless Chromium, and its server to whoever else asks."""

import asyncio
import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from browsing import NARROW, WIDE, Visit
from conftest import DEADLINE, RATE, ROOT, noise, tone

from audiostyle import audio
from audiostyle.errors import InputError
from pipeline.trial.sounds import Limits, Sounds

AXE = Path(__file__).parent / "browser/node_modules/axe-core/axe.min.js"
EVIL = "<img src=x onerror=alert(1)> 'ä' #1?.wav"
COMMAND = [sys.executable, "-m", "pipeline.cli"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    stereo = np.stack([tone(rate=44100, seconds=1, decay=1)] * 2, 1) * [1, 0.1]
    soundfile.write(folder / "melody.wav", stereo, 44100)
    soundfile.write(folder / "wind.flac", noise(seconds=1, level=0.05), RATE)
    soundfile.write(folder / "reed.aiff", tone(262, seconds=1, harmonics=9), RATE)
    soundfile.write(folder / "long.wav", tone(seconds=5), RATE)
    soundfile.write(folder / EVIL, tone(seconds=1), RATE)
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(folder / "endless.flac", np.tile(tone(seconds=1), 21), RATE)
    (folder / "text.wav").write_text("no audio")
    (folder / "empty.wav").write_bytes(b"")
    (folder / "large.wav").write_bytes(bytes(1_000_001))
    return folder


@dataclass
class Server:
    address: str
    process: "subprocess.Popen[str]"
    temporary: Path


@pytest.fixture(scope="module")
def server(classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    temporary = tmp_path_factory.mktemp("temporary")
    options = ["--port", "0", "--seconds", "20", "--megabytes", "1", "--model", str(classifier)]
    process = subprocess.Popen(
        [*COMMAND, "try", *options],
        env={**ENVIRONMENT, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    # It answers from the moment on at which the address can be read.
    port = int(address.split(":")[2].split("/")[0])
    socket.create_connection(("127.0.0.1", port), DEADLINE).close()
    yield Server(address, process, temporary)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(DEADLINE)


@dataclass
class Tab(Visit):
    """The page in a tab of its own."""

    requests: list[str] = field(default_factory=list)

    def choose(self, role: str, *files: Path) -> None:
        before = self.page.locator(f".zone.{role} .chosen").count() if role == "style" else 0
        self.page.set_input_files(f".zone.{role} input", [str(path) for path in files])
        self.page.wait_for_selector(f".zone.{role} .chosen >> nth={before + len(files) - 1}")

    def wait_until(self, state: str, number: int = 1) -> None:
        self.wait_for(f"document.querySelectorAll('[data-state={state}]').length >= {number}", 120)


@pytest.fixture
def tab(server: Server, chromium: Any) -> Iterator[Any]:
    contexts = []

    def open_tab(viewport: Any = WIDE, scheme: str = "light") -> Tab:
        context = chromium.new_context(
            viewport=viewport, color_scheme=scheme, permissions=["microphone"]
        )
        contexts.append(context)
        opened = Tab(context.new_page())
        page = opened.page
        page.on("request", lambda r: opened.requests.append(r.url))
        page.on("pageerror", lambda e: opened.complaints.append(f"error: {e}"))
        page.on("dialog", lambda d: opened.complaints.append(f"dialog: {d.message}"))
        page.goto(server.address)
        page.wait_for_selector("#method option", state="attached")
        return opened

    yield open_tab
    for context in contexts:
        context.close()


def audit(opened: Tab) -> list[str]:
    if not AXE.exists():
        return []  # see test_the_rules_of_accessibility_are_there
    opened.page.evaluate(AXE.read_text())
    found = opened.page.evaluate("axe.run()")["violations"]
    return [f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"]]


def test_the_rules_of_accessibility_are_there() -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed (npm ci --prefix tests/browser)")


@pytest.mark.browser
@pytest.mark.slow  # a transfer, and the same one again by its manifest
def test_upload_transfer_listen_and_download(
    tab: Any, recordings: Path, classifier: Path, tmp_path: Path, server: Server
) -> None:
    opened = tab()
    page = opened.page
    assert audit(opened) == []
    offered = page.locator("#method option").all_inner_texts()
    assert offered[0] == "default" and "pretrained" not in offered  # it needs weights
    assert page.get_attribute("#start", "aria-disabled") == "true"
    page.focus("#start")
    page.keyboard.press("Enter")
    assert "Choose a recording" in page.inner_text("#form-error")
    opened.choose("content", recordings / "melody.wav")
    opened.choose("style", recordings / "wind.flac", recordings / "reed.aiff")
    assert "1.0 s · 44,100 Hz · stereo" in page.inner_text(".zone.content .facts")
    page.fill("#strength", "80")
    page.select_option("#transpose", "-12")
    page.click("#start")
    page.wait_for_selector("#listen:not([hidden])", timeout=DEADLINE * 1000)
    page.wait_for_selector("[data-state=done]")
    words = page.inner_text("#listen-what")
    assert "melody.wav in the style of wind.flac and reed.aiff" in words
    assert "strength 80 % · transposed by -12 semitones" in words
    opened.wait_for("[...document.images].every(image => image.naturalWidth > 100)")
    assert audit(opened) == []

    # One level, and one player at a time, at the same position.
    opened.wait_for("Object.values(players).every(player => player.duration > 0)")
    (transfer,) = page.evaluate("[...shown.values()].map(item => item.transfer)")
    sounds = [transfer["content"], transfer["styles"][0], transfer["result"]]
    volumes = page.evaluate("ROLES.map(role => players[role].volume)")
    levels = [sound["rms"] * volume for sound, volume in zip(sounds, volumes, strict=True)]
    assert max(levels) == pytest.approx(min(levels), rel=0.02)
    page.click("#play")
    opened.wait_for("!players.result.paused && players.result.currentTime > 0.1")
    page.keyboard.press("1")
    opened.wait_for("!players.content.paused && players.result.paused")
    assert page.evaluate("players.content.currentTime") > 0.05
    assert page.is_checked(".switch input[value=content]")
    # Of several styles, the chosen one goes on playing, at the same level.
    assert page.locator("#heard-style option").all_inner_texts() == ["1. wind.flac", "2. reed.aiff"]
    page.select_option("#heard-style", "1")
    opened.wait_for("!players.style.paused && players.content.paused")
    assert page.evaluate("players.style.src").endswith(transfer["styles"][1]["id"])
    assert "reed.aiff" in page.inner_text(".pictures .style figcaption")
    sounds[1] = transfer["styles"][1]
    volumes = page.evaluate("ROLES.map(role => players[role].volume)")
    levels = [sound["rms"] * volume for sound, volume in zip(sounds, volumes, strict=True)]
    assert max(levels) == pytest.approx(min(levels), rel=0.02)
    page.click("#play")
    assert page.evaluate("ROLES.every(role => players[role].paused)")

    with page.expect_download() as download:
        page.click("#download")
    assert download.value.suggested_filename == "melody as wind and 1 more.wav"
    result = audio.read(download.value.path(), Path(download.value.path()).read_bytes())
    assert (result.samples.shape, result.sample_rate) == ((2, 44100), 44100)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the style, reed.aiff").click()
    assert Path(download.value.path()).read_bytes() == (recordings / "reed.aiff").read_bytes()
    with page.expect_download() as download:
        page.click("#row")
    table = recordings / "pairs.csv"
    table.write_bytes(Path(download.value.path()).read_bytes())
    (row,) = csv.DictReader(table.open())
    assert (row["content"], row["style"], row["style_2"]) == (
        "melody.wav",
        "wind.flac",
        "reed.aiff",
    )
    words = ["stylize", "--manifest", str(table), "--out", "results", "--model", str(classifier)]
    subprocess.run([*COMMAND, *words, "--workers", "1"], cwd=tmp_path, env=ENVIRONMENT, check=True)
    (again,) = (tmp_path / "results").glob("*.wav")
    # A worker computes in one thread, which rounds sums otherwise.
    assert np.abs(audio.read(again).samples - result.samples).max() < 1e-3

    # What was made is there after the page is loaded again, on a phone, too.
    small = tab(NARROW, "dark")
    small.page.wait_for_selector("#listen:not([hidden])")
    assert audit(small) == []
    assert small.page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    for each in (opened, small):
        assert each.complaints == []
        assert all(url.startswith((server.address, "data:")) for url in each.requests)


@pytest.mark.browser
def test_a_wrong_file_is_explained_and_the_next_one_taken(tab: Any, recordings: Path) -> None:
    opened = tab()
    page = opened.page
    for name, words in (
        ("text.wav", "text.wav: cannot be decoded as audio: it is text"),
        ("empty.wav", "empty.wav: is empty (0 bytes)"),
        ("silent.wav", "silent.wav: is silent"),
        ("endless.flac", "endless.flac: is longer than 20 s, the limit of this page"),
        ("large.wav", "large.wav: is larger than 1 MB, the limit of this page"),
    ):
        page.set_input_files(".zone.content input", str(recordings / name))
        error = "document.querySelector('.zone.content .error').textContent"
        opened.wait_for(f"{error}.startsWith({json.dumps(words)})")
        assert page.locator(".zone.content .chosen").count() == 0
    assert audit(opened) == []
    opened.choose("content", recordings / EVIL)
    assert page.inner_text(".zone.content .name") == EVIL
    assert page.inner_text(".zone.content .error") == ""
    page.click(".zone.content .remove")
    assert page.locator(".chosen").count() == 0
    assert opened.complaints == []


# Clicks every visible button to cancel; says how many there were.
_CANCEL = """(() => {
  const shown = [...document.querySelectorAll(".cancel")].filter((button) => button.offsetParent);
  shown.forEach((button) => button.click());
  return shown.length;
})()"""


@pytest.mark.browser
def test_two_at_once_and_cancel(tab: Any, recordings: Path) -> None:
    tabs = [tab(), tab(NARROW)]
    for opened in tabs:  # long, so that none is done before it is canceled
        opened.choose("content", recordings / "long.wav")
        opened.choose("style", recordings / "wind.flac")
        opened.page.select_option("#method", "base")  # of 2,000 steps
        opened.page.click("#start")
    for opened in tabs:
        opened.wait_for("document.querySelector('[data-state=running] progress').value > 0")
    assert tabs[0].page.evaluate("ask('session').then(s => s.transfers.filter(active).length)") == 2
    assert audit(tabs[0]) == []
    # A third one waits, and is canceled at once.
    tabs[1].page.click("#start")
    tabs[1].page.wait_for_selector("[data-state=waiting]")
    for opened in tabs:
        # In one go, since a button may be gone a moment after it was seen.
        while opened.page.evaluate(_CANCEL):
            opened.page.wait_for_timeout(300)
    tabs[1].wait_until("canceled", 3)
    tabs[1].choose("content", recordings / "melody.wav")
    tabs[1].page.select_option("#method", "default")
    tabs[1].page.click("#start")
    tabs[1].wait_until("done")
    assert [opened.complaints for opened in tabs] == [[], []]


@pytest.mark.browser
def test_a_microphone_is_recorded(tab: Any) -> None:
    opened = tab()
    opened.page.click(".zone.style .record")
    opened.wait_for("document.querySelector('.zone.style .record').textContent === 'Stop'")
    opened.page.wait_for_timeout(1500)
    opened.page.click(".zone.style .record")
    opened.page.wait_for_selector(".zone.style .chosen")
    assert opened.page.inner_text(".zone.style .name") == "recorded style.wav"
    assert opened.complaints == []


def answer(address: str, data: bytes | None = None, **headers: str) -> tuple[int, str, Any]:
    request = urllib.request.Request(address, data, headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:  # noqa: S310
            return response.status, response.read().decode("utf-8", "replace"), response.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def test_what_the_server_refuses(server: Server, recordings: Path) -> None:
    root = re.match(r"http://127\.0\.0\.1:\d+/", server.address)
    assert root
    assert answer(root[0])[0] == 404
    assert answer(f"{root[0]}session")[0] == 404
    assert answer(server.address, Host="evil.example")[0] == 400
    for name in (
        "server.py",
        "..%2fserver.py",
        "recordings/..%2f..%2fx",
        "transfers/999/pairs.csv",
    ):
        assert answer(server.address + name)[0] in (404, 422), name
    status, page, headers = answer(server.address)
    assert status == 200 and "default-src 'none'" in headers["Content-Security-Policy"]
    assert re.findall(r"(?:src|href)=\"(?:https?:)?//", page) == []
    sound = (recordings / "melody.wav").read_bytes()
    status, text, _ = answer(f"{server.address}recordings?name=..%2F..%2Fx.wav", sound)
    assert status == 201
    assert json.loads(text)["name"] == "x.wav"
    id = json.loads(text)["id"]
    # Decoded once: a name may hold what else looks encoded.
    _, text, _ = answer(f"{server.address}recordings?name=100%2525%20%23%C3%BC.wav", sound)
    assert json.loads(text)["name"] == "100%25 #ü.wav"
    for body, words in (
        (b"{", "is not JSON"),
        (b"[" * 5000, "is not JSON"),
        (b'{"a":' * 1500 + b"1" + b"}" * 1500, "is not JSON"),
        (b"[]", "is not an object"),
        (b"{}", "styles: 1 to 5 recordings"),
        (b" " * 20_000, "too large"),
        (json.dumps({"content": "x", "styles": [id]}).encode(), "no longer there"),
        (json.dumps({"content": id, "styles": [id] * 6}).encode(), "styles: 1 to 5"),
        *(
            (json.dumps({"content": id, "styles": [id], "settings": settings}).encode(), words)
            for settings, words in (
                ({"method": "best"}, "method: must be one of"),
                ({"method": "pretrained"}, "network: method pretrained needs"),
                ({"strength": 2}, "strength"),
                ({"device": "cuda"}, "device: this page offers"),
                ([], "settings: an object"),
            )
        ),
    ):
        status, text, _ = answer(f"{server.address}transfers", body)
        assert (status, words in json.loads(text)["error"]) == (422, True), text


def test_what_is_refused_takes_no_room(recordings: Path, tmp_path: Path) -> None:
    """A recording that was too large counted as room that came back."""
    sounds = Sounds(tmp_path, Limits(megabytes=1, total_megabytes=1))
    content = (recordings / "melody.wav").read_bytes()

    def is_taken(size: int) -> bool:
        async def pieces() -> AsyncIterator[bytes]:
            yield content
            yield b"LIST" + (size - len(content) - 8).to_bytes(4, "little")
            yield bytes(size - len(content) - 8)

        try:
            # In another thread: the browser's loop runs in this one.
            with ThreadPoolExecutor(1) as threads:
                path = threads.submit(asyncio.run, sounds.receive("a.wav", pieces())).result()
        except InputError:
            return False
        sounds.add("a.wav", path)
        return True

    assert is_taken(700_000)
    for _ in range(3):
        assert not is_taken(2_000_000)
        assert not is_taken(700_000)
    assert is_taken(250_000)
    assert len(list(tmp_path.rglob("recording.wav"))) == 2


def test_the_row_names_each_recording_apart(server: Server, recordings: Path) -> None:
    """Two that the microphone recorded have one name."""
    ids = []
    for name in ("melody.wav", "wind.flac", "long.wav"):
        sound = (recordings / name).read_bytes()
        _, text, _ = answer(f"{server.address}recordings?name=recorded.wav", sound)
        ids.append(json.loads(text)["id"])
    asked = {"content": ids[0], "styles": [*ids[1:], ids[1]], "settings": {"method": "base"}}
    _, text, _ = answer(f"{server.address}transfers", json.dumps(asked).encode())
    number = json.loads(text)["number"]
    answer(f"{server.address}transfers/{number}/cancel", b"")
    _, table, _ = answer(f"{server.address}transfers/{number}/pairs.csv")
    (row,) = csv.DictReader(table.splitlines())
    assert [row[name] for name in ("content", "style", "style_2", "style_3")] == [
        "recorded.wav",
        "recorded (2).wav",
        "recorded (3).wav",
        "recorded (2).wav",
    ]


def test_the_command_explains_what_is_wrong(server: Server, tmp_path: Path) -> None:
    port = re.findall(r":(\d+)/", server.address)[0]
    blocked = (
        "import sys; sys.modules['uvicorn'] = None\n"
        "from pipeline.cli import main; main(sys.argv[1:])"
    )
    for start, words, code, text in (
        (COMMAND, ["--port", "0", "--model", "none"], 2, "model: none"),
        (COMMAND, ["--port", "0", "--model", str(tmp_path)], 2, "has no manifest.json"),
        (COMMAND, ["--port", port], 2, f"port: {port}: Address already in use"),
        (COMMAND, ["--port", "70000"], 2, "port: 70000"),
        ([sys.executable, "-c", blocked], [], 1, "pip install 'audiostyle[try]'"),
    ):
        done = subprocess.run(
            [*start, "try", *words], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
        )
        assert done.returncode == code, done.stderr
        assert text in done.stderr and len(done.stderr.splitlines()) == 1


def test_it_ends_at_once_and_leaves_nothing(server: Server) -> None:
    assert list(server.temporary.glob("audiostyle-*"))
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(DEADLINE) in (0, 130)
    assert list(server.temporary.glob("audiostyle-*")) == []
