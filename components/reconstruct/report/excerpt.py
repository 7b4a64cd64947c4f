"""The report in brief, to be kept with the model: the page as one file, and a few recordings."""

import logging
from pathlib import Path

from audiostyle import artifacts, files
from components.reconstruct.report.page import PAGE, embedded_html
from components.reconstruct.report.single_file import single_file

log = logging.getLogger(__name__)

_SOUNDS = 3  # recordings that are there as files, too


def write_excerpt(audio_set: Path | str, out: Path | str, most: int = 20_000_000) -> None:
    """Write the excerpt of an audio set: `report.html`, and the first three results in `sounds`.

    The page is one file with the recordings that it plays, or without them where they are larger
    than `most` bytes together. A larger result is left out. Raises ArtifactError for what is no
    audio set with a report.
    """
    opened = artifacts.opening(audio_set, artifacts.AUDIO_SET)
    about = {"audio_set": opened.digest}
    with artifacts.writing(out, artifacts.REPORT_EXCERPT, about) as folder:
        page = single_file(opened.folder, most) or embedded_html(opened.folder)
        files.write_text(folder / PAGE, page)
        for sound in _sounds(opened, most):
            files.copy(sound, folder / "sounds" / sound.name)


def _sounds(audio_set: artifacts.Artifact, most: int) -> list[Path]:
    rows = artifacts.read_table(audio_set.path("items.jsonl"))
    paths = [audio_set.path(row["file"]) for row in rows]
    small = [path for path in paths if path.stat().st_size <= most]
    if len(small) < min(_SOUNDS, len(paths)):
        log.info("reconstruct: results over %d MB are not in the excerpt", most // 10**6)
    return small[:_SOUNDS]
