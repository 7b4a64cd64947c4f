"""The report in brief, to be kept with the model: the page as one file, and a few recordings."""

import logging
from pathlib import Path
from typing import Any

from audiostyle import artifacts, files
from components.reconstruct.report.page import PAGE, embedded_html
from components.reconstruct.report.single_file import single_file

log = logging.getLogger(__name__)

# Recordings that are there as files, too, and the largest that is one of them, in bytes.
_SOUNDS, _MOST = 3, 20_000_000


def write_excerpt(audio_set: Path | str, out: Path | str) -> None:
    """Write the excerpt of an audio set: `report.html`, and the first three results in `sounds`.

    The page is one file with the recordings that it plays, or without them where they are larger
    than 20 MB together. A result of more than 20 MB is left out. Raises ArtifactError for what is
    no audio set with a report.
    """
    opened = artifacts.opening(audio_set, artifacts.AUDIO_SET)
    about = {"audio_set": opened.digest}
    with artifacts.writing(out, artifacts.REPORT_EXCERPT, about) as folder:
        page = single_file(opened.folder) or embedded_html(opened.folder)
        files.write_text(folder / PAGE, page)
        for sound in _sounds(opened, artifacts.read_table(opened.path("items.jsonl"))):
            files.copy(sound, folder / "sounds" / sound.name)


def _sounds(audio_set: artifacts.Artifact, rows: list[dict[str, Any]]) -> list[Path]:
    paths = [audio_set.path(row["file"]) for row in rows]
    small = [path for path in paths if path.stat().st_size <= _MOST]
    if len(small) < min(_SOUNDS, len(paths)):
        log.info("reconstruct: results over %d MB are left out of the excerpt", _MOST // 10**6)
    return small[:_SOUNDS]
