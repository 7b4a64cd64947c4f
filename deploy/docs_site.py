"""Hooks of the documentation's site (mkdocs.yml): its first page, links that leave docs/, sounds.

The pages are written to be read in the repository, where `../deploy/README.md` is a good link. On
the site, such a link leads to the repository. The first page is README.md. A link to a sound has
a player on the site, which the repository's pages cannot have.
"""

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
# Where a link of Markdown, or an image, leads; its anchor apart.
LINK = re.compile(r"(?<=\]\()(?!#|[a-z]+:)([^)#\s]+)(#[^)\s]*)?(?=\))")

# A link to a sound, as it is in a page of the site.
_SOUND = re.compile(r'<a href="([^"]+\.mp3)">(.*?)</a>')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Make README.md the first page."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(
        File.generated(config, "index.md", content=relinked(text, "", str(config.repo_url)))
    )
    return files


def on_page_markdown(markdown: str, *, page: Any, config: MkDocsConfig, **_: Any) -> str:
    """Let links out of docs/ lead to the repository."""
    if page.file.src_uri == "index.md":
        return markdown
    return relinked(markdown, "docs", str(config.repo_url))


def on_page_content(html: str, **_: Any) -> str:
    """Give each link to a sound a player."""
    player = (
        r'<audio controls preload="none" src="\1" aria-label="\2" style="width: 6.75rem"></audio>'
    )
    return _SOUND.sub(rf"\g<0><br>{player}", html)


def relinked(markdown: str, folder: str, repository: str) -> str:
    """Markdown of a file in a folder of the repository, with the links that it has on the site."""

    def replaced(match: re.Match[str]) -> str:
        path = PurePosixPath(os.path.normpath(PurePosixPath(folder, match[1])))
        anchor = match[2] or ""
        if path.parts[0] == "docs":
            return path.relative_to("docs").as_posix() + anchor
        kind = "tree" if (ROOT / path).is_dir() else "blob"
        return f"{repository.rstrip('/')}/{kind}/main/{path}{anchor}"

    return LINK.sub(replaced, markdown)
