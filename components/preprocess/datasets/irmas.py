"""IRMAS: excerpts of music by their predominant instrument."""

from pathlib import Path

from components.preprocess.datasets.layout import (
    Layout,
    Source,
    folders,
    near,
    recordings,
    relative,
)

CLASSES = frozenset(("cel", "cla", "flu", "gac", "gel", "org", "pia", "sax", "tru", "vio", "voi"))


def _find(root: Path) -> Path | None:
    for folder in near(root):
        names = {f.name for f in folders(folder)}
        # A part of the classes will do, as long as there are no others.
        if len(names & CLASSES) > 1 and names <= CLASSES:
            first = recordings(folder / min(names))
            if first and all("[" in path.stem and "__" in path.stem for path in first):
                return folder
    return None


def _read(root: Path, base: Path) -> list[Source]:
    found = []
    for folder in folders(base):
        for path in recordings(folder):
            # 008__[cel][nod][cla]0058__1: the first of the excerpts of one recording. All before
            # the last __ is the recording's.
            stem = path.stem.rpartition("__")[0] or path.stem
            found.append(Source(relative(path, root), folder.name, group=stem, source_id=stem))
    return found


LAYOUTS = (Layout("irmas", _find, _read),)
