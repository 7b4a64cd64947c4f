"""The documentation: every link leads somewhere, to its heading, too, and the site builds."""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from conftest import ROOT

from audiostyle import audio

_SKIPPED = {".venv", ".git", "node_modules", "outputs", "build", "dist"}


def pages(folder: Path) -> list[Path]:
    """The pages in Markdown that belong to the project."""
    below = sorted(folder.iterdir())
    return [path for path in below if path.suffix == ".md"] + [
        page
        for path in below
        if path.is_dir() and path.name not in _SKIPPED
        for page in pages(path)
    ]


PAGES = pages(ROOT)
_LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")


def prose(page: Path) -> str:
    """The text of a page without its code."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"(?<=\n\n)(?: {4}.*\n+)+", "", text)
    return re.sub(r"`[^`\n]+`", "", text)


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and mkdocs name them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    plain = (re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def test_there_are_pages() -> None:
    assert {ROOT / "README.md", ROOT / "docs" / "cli.md"} <= set(PAGES)
    assert sum(len(_LINK.findall(prose(page))) for page in PAGES) > 40


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in (a or b for a, b in _LINK.findall(prose(page))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_site_builds_and_asks_no_other_host(tmp_path: Path) -> None:
    words = ["-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    made = list((tmp_path / "site").rglob("*.html"))
    assert len(made) > 10
    for page in made:
        text = page.read_text(encoding="utf-8")
        assert re.findall(r"<(?:script|img|iframe)[^>]+src=\"?(?:https?:)?//[^\s>]+", text) == []
        assert re.findall(r"<link[^>]+rel=\"?stylesheet\"?[^>]+href=\"?(?:https?:)?//", text) == []
    first = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert 'href="cli/"' in first and "/blob/main/CHANGELOG.md" in first


def test_the_gallery_has_each_of_its_sounds_and_they_are_small() -> None:
    sounds = sorted((ROOT / "docs" / "sounds").iterdir())
    linked = set(_LINK.findall((ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")))
    assert {f"sounds/{path.name}" for path in sounds} <= {link for link, _ in linked}
    assert len(sounds) >= 15
    assert sum(path.stat().st_size for path in sounds) < 1_500_000
    for path in sounds:
        assert audio.read(path).seconds == pytest.approx(3, abs=0.1), path
