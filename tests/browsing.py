"""A headless Chromium for the tests, and a page that remembers what it should not have done."""

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import DEADLINE

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    # A microphone that beeps, and no question whether the page may use it.
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
]  # fmt: skip
WIDE, NARROW = {"width": 1400, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="session")
def chromium() -> Any:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if not executable:
        pytest.skip("no chromium on the PATH (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@dataclass
class Visit:
    """An open page, and what it did that it should not have."""

    page: Any
    complaints: list[str] = field(default_factory=list)

    def wait_for(self, expression: str, seconds: float = DEADLINE) -> None:
        # Playwright's own wait_for_function evaluates strings inside the page, which the page's
        # content security policy forbids.
        end = time.monotonic() + seconds
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"still not: {expression}"
            self.page.wait_for_timeout(50)

    def wait_for_players(self) -> list[float]:
        self.wait_for(
            "[...document.querySelectorAll('audio')].every(a => a.duration > 0 || a.error)"
        )
        return list(
            self.page.evaluate("[...document.querySelectorAll('audio')].map(a => a.duration)")
        )


@pytest.fixture
def visit(chromium: Any) -> Any:
    contexts = []

    def open_page(path: Path, viewport: Any = WIDE, scheme: str = "light", **options: Any) -> Visit:
        context = chromium.new_context(viewport=viewport, color_scheme=scheme, **options)
        contexts.append(context)
        page = context.new_page()
        visit = Visit(page)

        def request(r: Any) -> None:
            if not r.url.startswith(("file:", "data:")):
                visit.complaints.append(f"network request: {r.url}")

        def failed(r: Any) -> None:
            # A player that only wants the duration stops reading a longer file once it has it.
            if not (r.resource_type == "media" and r.failure == "net::ERR_ABORTED"):
                visit.complaints.append(f"failed: {r.url} {r.failure}")

        def dismissed(dialog: Any) -> None:
            visit.complaints.append("a dialog")
            dialog.dismiss()

        page.on("request", request)
        page.on("requestfailed", failed)
        page.on("console", lambda m: visit.complaints.append(f"console {m.type}: {m.text}"))
        page.on("pageerror", lambda e: visit.complaints.append(f"error: {e}"))
        page.on("dialog", dismissed)
        page.goto(path.resolve().as_uri())
        return visit

    yield open_page
    for context in contexts:
        context.close()
