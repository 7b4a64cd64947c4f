"""IRMAS: excerpts of music by their predominant instrument."""

from pathlib import Path

from components.preprocess.datasets.base import (
    Definition,
    File,
    Source,
    folders,
    near,
    recordings,
    relative,
)

CLASSES = frozenset(("cel", "cla", "flu", "gac", "gel", "org", "pia", "sax", "tru", "vio", "voi"))


def _find(root: Path) -> Path | None:
    for folder in near(root):
        names = {f.name for f in folders(folder) if recordings(f)}
        # A part of the classes will do, as long as there are no others.
        if len(names & CLASSES) > 1 and names <= CLASSES:
            first = recordings(folder / min(names))
            if first and all("[" in path.stem and "__" in path.stem for path in first):
                return folder
    return None


def _read(root: Path, base: Path) -> list[Source]:
    sources = []
    for folder in folders(base):
        for path in recordings(folder):
            # 008__[cel][nod][cla]0058__1: the first of the excerpts of one recording. All before
            # the last __ is the recording's.
            stem = path.stem.rpartition("__")[0] or path.stem
            sources.append(Source(relative(path, root), folder.name, group=stem, source_id=stem))
    return sources


DEFINITION = Definition(
    "irmas",
    _find,
    _read,
    needs="folders of its codes (cel, cla, flu …) with files like 008__[cel][nod][cla]0058__1.wav",
    rank=30,
    title="6,705 excerpts of 3 s of music by predominant instrument, 11 classes",
    files=(
        File(
            "https://zenodo.org/records/1290750/files/IRMAS-TrainingData.zip",
            "md5:4fd9f5ed5a18d8e2687e6360b5f60afe",
        ),
    ),
    size=3_200_000_000,
    license="CC BY-NC-SA 3.0",
    citation="J. J. Bosch et al.: A Comparison of Sound Segregation Techniques for Predominant"
    " Instrument Recognition in Musical Audio Signals, ISMIR 2012",
)
