"""UrbanSound8K: city sounds in ten folds."""

import re
from pathlib import Path

from audiostyle.errors import InputError
from components.preprocess.datasets.base import (
    Definition,
    File,
    Source,
    folders,
    near,
    recordings,
    relative,
    rows,
)

# In the order of classID.
CLASSES = (
    "air_conditioner",
    "car_horn",
    "children_playing",
    "dog_bark",
    "drilling",
    "engine_idling",
    "gun_shot",
    "jackhammer",
    "siren",
    "street_music",
)
_FOLD = re.compile(r"fold(\d+)")
_NAME = re.compile(r"(\d+)-(\d)-(\d+)-(\d+)")
_COLUMNS = ("slice_file_name", "fsID", "fold", "classID", "class")


def _find(root: Path) -> Path | None:
    """The folder that holds the folders fold1, fold2 …, whose files have names of four numbers."""
    for folder in (root / "UrbanSound8K" / "audio", *near(root)):
        first = [f for f in folders(folder) if _FOLD.fullmatch(f.name)]
        if first and any(_NAME.fullmatch(path.stem) for path in recordings(first[0])):
            return folder
    return None


def _read(root: Path, audio: Path) -> list[Source]:
    if (table := audio.parent / "metadata" / "UrbanSound8K.csv").is_file():
        return [
            Source(
                relative(audio / f"fold{row['fold']}" / row["slice_file_name"], root),
                row["class"],
                fold=row["fold"],
                group=row["fsID"],
                source_id=row["fsID"],
            )
            for row in rows(table, _COLUMNS)
        ]
    sources = []
    for folder in folders(audio):
        if not (fold := _FOLD.fullmatch(folder.name)):
            continue
        for path in recordings(folder):
            if not (name := _NAME.fullmatch(path.stem)):
                raise InputError(f"{path}: is not named fsID-classID-occurrence-slice")
            sources.append(
                Source(
                    relative(path, root),
                    CLASSES[int(name[2])],
                    fold=fold[1],
                    group=name[1],
                    source_id=name[1],
                )
            )
    return sources


DEFINITION = Definition(
    "urbansound8k",
    _find,
    _read,
    needs="folders fold1, fold2 … with files named fsID-classID-occurrence-slice.wav",
    rank=10,
    title="8,732 clips of up to 4 s, 10 classes of city sounds, 10 folds",
    files=(
        File(
            "https://zenodo.org/records/1203745/files/UrbanSound8K.tar.gz",
            "md5:9aa69802bbf37fb986f71ec1483a196e",
        ),
    ),
    size=6_000_000_000,
    license="CC BY-NC 3.0",
    citation="J. Salamon, C. Jacoby, J. P. Bello: A Dataset and Taxonomy for Urban Sound Research,"
    " ACM Multimedia 2014",
)
