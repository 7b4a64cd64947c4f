"""ESC-50: environmental sounds."""

from pathlib import Path

from components.preprocess.datasets.base import Definition, File, Source, near, relative, rows

TABLE = "meta/esc50.csv"
_COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file", "take")


def find(root: Path) -> Path | None:
    """The folder with the table and the recordings."""
    for folder in near(root):
        if (folder / TABLE).is_file() and (folder / "audio").is_dir():
            return folder
    return None


def read(root: Path, base: Path) -> list[Source]:
    """All recordings."""
    return [source for source, _ in read_marked(root, base)]


def read_marked(root: Path, base: Path) -> list[tuple[Source, bool]]:
    """All recordings, each with whether it is in ESC-10."""
    return [
        (
            Source(
                relative(base / "audio" / row["filename"], root),
                row["category"],
                fold=row["fold"],
                group=row["src_file"],
                source_id=row["src_file"],
            ),
            row["esc10"].strip().lower() == "true",
        )
        for row in rows(base / TABLE, _COLUMNS)
    ]


DEFINITION = Definition(
    "esc50",
    find,
    read,
    needs=f"{TABLE} and audio/",
    rank=20,
    title="2,000 clips of 5 s, 50 classes of environmental sounds, 5 folds",
    files=(File("https://github.com/karoldvl/ESC-50/archive/master.zip"),),
    size=600_000_000,
    license="CC BY-NC 3.0",
    citation="K. J. Piczak: ESC: Dataset for Environmental Sound Classification,"
    " ACM Multimedia 2015",
    note="the host packs it again now and then: no checksum was published",
)
