"""What a run made, kept with its classifier in the registry: MLflow's page shows and plays it."""

import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

from audiostyle import artifacts
from audiostyle.errors import AudiostyleError
from audiostyle.registry import Registry

log = logging.getLogger(__name__)

# Pairs whose sounds are kept as files, too, and the largest file, in bytes, that is.
_PAIRS, _MOST = 3, 20_000_000
_NAME = "report"


def attach(audio_set: Path, tracking_uri: str, registration: dict[str, Any]) -> None:
    """Keep the report and the sounds of a few pairs among the artifacts of a version's run.

    registration: what registering the classifier came to. The report is one file with its sounds,
    or without them where they are too large. Where the registry cannot be reached, that is logged:
    the results are there either way.
    """
    try:
        _attach(audio_set, Registry(tracking_uri), registration)
    except (AudiostyleError, OSError) as error:
        log.warning("registry: the report is not kept with the model: %s", error)


def _attach(audio_set: Path, registry: Registry, registration: dict[str, Any]) -> None:
    from components.reconstruct.report.page import embedded_html
    from components.reconstruct.report.single_file import single_file

    with tempfile.TemporaryDirectory(prefix="audiostyle-") as temporary:
        folder = Path(temporary)
        page = single_file(audio_set) or embedded_html(audio_set)
        (folder / "report.html").write_text(page, encoding="utf-8")
        opened = artifacts.opening(audio_set, artifacts.AUDIO_SET)
        for row in artifacts.read_table(opened.path("items.jsonl"))[:_PAIRS]:
            _copy(opened.path(row["file"]), folder / "sounds")
        registry.attach(registry.find(registration["version"]), folder, _NAME)


def _copy(sound: Path, folder: Path) -> None:
    if sound.stat().st_size <= _MOST:
        folder.mkdir(exist_ok=True)
        shutil.copyfile(sound, folder / sound.name)
