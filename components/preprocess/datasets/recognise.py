"""From a folder or manifest to the clips in it, by the layout that it has."""

import logging
from dataclasses import dataclass
from pathlib import Path

from audiostyle.errors import InputError
from audiostyle.spectrogram_set import Clip
from components.preprocess.datasets import (
    esc,
    irmas,
    plain,
    published,
    splits,
    subsets,
    tables,
    urban,
)
from components.preprocess.datasets.layout import Layout

log = logging.getLogger(__name__)

# In the order in which they are looked for: the more particular first.
LAYOUTS: tuple[Layout, ...] = (
    *urban.LAYOUTS,
    *esc.LAYOUTS,
    *irmas.LAYOUTS,
    *subsets.LAYOUTS,
    *plain.LAYOUTS,
    *tables.LAYOUTS,
)
AUTO = "auto"


@dataclass(frozen=True)
class DataSet:
    """A data set that was found. root: what the clips' paths are relative to."""

    root: Path
    layout: str
    clips: list[Clip]


def data_set(
    data: Path | str, *, seed: int, validation: float, test: float, layout: str = AUTO
) -> DataSet:
    """Look at a folder, or a CSV or JSONL manifest, and list its clips with their splits.

    layout: the name of one, or `auto`. Raises InputError naming the folder and what is wrong.
    """
    data = Path(data)
    if layout not in (AUTO, *(found.name for found in LAYOUTS)):
        names = ", ".join(found.name for found in LAYOUTS)
        raise InputError(f"layout: {layout!r} is none of {AUTO}, {names}")
    if data.is_file() and tables.is_manifest(data):
        name, root, sources = "manifest", data.parent, tables.read(data.parent, data)
    elif not data.is_dir():
        raise InputError(f"data: {data} {'is not a folder' if data.exists() else 'does not exist'}")
    else:
        chosen, base = _layout(data, layout)
        name, root, sources = chosen.name, data, chosen.read(data, base)
        if chosen.warning:
            log.warning("data: %s: %s", chosen.name, chosen.warning)
    known = published.PUBLISHED.get(name)
    clips = splits.clips(
        sources,
        data,
        seed=seed,
        validation=validation,
        test=test,
        licence=known.licence if known else "",
    )
    return DataSet(root, name, clips)


def _layout(data: Path, name: str) -> tuple[Layout, Path]:
    for layout in LAYOUTS:
        if name in (AUTO, layout.name) and (base := layout.find(data)):
            return layout, base
    if name != AUTO:
        raise InputError(f"data: {data} has not the layout of {name}")
    # No layout at all: as a plain folder, whose errors say what one needs.
    return plain.LAYOUTS[0], data
