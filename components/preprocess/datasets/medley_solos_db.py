"""Medley-solos-DB: solo instruments, split by song."""

from pathlib import Path

from audiostyle.errors import InputError
from components.preprocess.datasets.base import (
    Definition,
    File,
    Source,
    near,
    recordings,
    relative,
    rows,
)

_TABLE = "Medley-solos-DB_metadata.csv"
_SPLITS = {"training": "train", "validation": "validation", "test": "test"}
_ZENODO = "https://zenodo.org/records/3464194/files"


def _find(root: Path) -> Path | None:
    return next((f for f in near(root) if (f / _TABLE).is_file()), None)


def _read(root: Path, base: Path) -> list[Source]:
    places = {p.stem: p for folder in near(root) for p in recordings(folder)}
    sources = []
    columns = ("subset", "instrument", "instrument_id", "song_id", "uuid4")
    for row in rows(base / _TABLE, columns):
        if row["subset"] not in _SPLITS:
            raise InputError(f"{base / _TABLE}: subset {row['subset']!r} is none of its subsets")
        name = f"Medley-solos-DB_{row['subset']}-{row['instrument_id']}_{row['uuid4']}"
        # One that is not there is named as a failure later on, as every other file would be.
        path = places.get(name, root / f"{name}.wav")
        sources.append(
            Source(
                relative(path, root),
                row["instrument"],
                split=_SPLITS[row["subset"]],
                group=row["song_id"],
                source_id=row["song_id"],
            )
        )
    return sources


DEFINITION = Definition(
    "medley-solos-db",
    _find,
    _read,
    needs=_TABLE,
    rank=40,
    title="21,571 clips of 3 s of solo instruments, 8 classes",
    files=(
        File(f"{_ZENODO}/Medley-solos-DB_metadata.csv", "md5:fda6a589c56785f2195c9227809c521a"),
        File(f"{_ZENODO}/Medley-solos-DB.tar.gz", "md5:f5facf398793ef5c1f80c013afdf3e5f"),
    ),
    size=7_900_000_000,
    license="CC BY 4.0",
    citation="V. Lostanlen, C.-E. Cella: Deep Convolutional Networks on the Pitch Spiral for"
    " Musical Instrument Recognition, ISMIR 2016",
)
