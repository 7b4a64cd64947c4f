"""The report as one file with all that it shows and plays, for where no folder comes along."""

import base64
import html
import re
from pathlib import Path
from urllib.parse import unquote

from components.reconstruct.report.page import PAGE

# By which a browser decodes what is in the file: the endings that the report's folder has.
_TYPES = {
    ".webp": "image/webp",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".mp3": "audio/mpeg",
}
_LINK = re.compile(r'(?P<before> (?:src|href)=")(?P<url>(?:\./|pictures/)[^"]+)"')
_PAGES = re.compile(r'<nav class="pages".*?</nav>\n?', re.DOTALL)
_PAGE_LINK = re.compile(r'<a href="report[^"]*\.html[^"]*">(.*?)</a>', re.DOTALL)
_SOURCES = "img-src 'self' file: data:; media-src 'self' file:;"


def single_file(folder: Path, most: int = 20_000_000) -> str | None:
    """The first page of the report in `folder`, with its pictures and recordings inside.

    most: bytes of these files; None where they are more. The page is as strict as the one that it
    is of: no other script or style runs, and nothing is loaded.
    """
    page = (folder / PAGE).read_text(encoding="utf-8")
    paths = {url: _path(folder, url) for url in {match["url"] for match in _LINK.finditer(page)}}
    if sum(path.stat().st_size for path in paths.values()) > most:
        return None

    def inlined(match: re.Match[str]) -> str:
        path = paths[match["url"]]
        content = base64.b64encode(path.read_bytes()).decode()
        return f'{match["before"]}data:{_TYPES[path.suffix.lower()]};base64,{content}"'

    # Other pages do not come along.
    page = _PAGES.sub("", page)
    page = _PAGE_LINK.sub(r"\1", page)
    # A link that saves a recording would double the file: the script makes one of what plays.
    page = re.sub(r'<p class="file"><a [^>]*>(.*?)</a></p>', r'<p class="file">\1</p>', page)
    return _LINK.sub(inlined, page).replace(_SOURCES, "img-src data:; media-src data:;")


def _path(folder: Path, url: str) -> Path:
    path = folder / unquote(html.unescape(url), errors="surrogateescape")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{url} leads out of {folder}")
    return path
