"""ESC-50, the ten classes of it that are ESC-10, and ESC-10's first archive."""

import re
from pathlib import Path

from components.preprocess.datasets.layout import (
    Layout,
    Source,
    folders,
    near,
    recordings,
    relative,
    rows,
)

_CLASS = re.compile(r"\d{3} - (.+)")
_NAME = re.compile(r"(\d)-(\d+)-([A-Z])")
_COLUMNS = ("filename", "fold", "target", "category", "esc10", "src_file", "take")


def _find(root: Path) -> Path | None:
    for folder in near(root):
        if (folder / "meta" / "esc50.csv").is_file() and (folder / "audio").is_dir():
            return folder
    return None


def _read(root: Path, base: Path) -> list[Source]:
    return [source for source, _ in _rows(root, base)]


def _rows(root: Path, base: Path) -> list[tuple[Source, bool]]:
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
        for row in rows(base / "meta" / "esc50.csv", _COLUMNS)
    ]


def _find_first(root: Path) -> Path | None:
    for folder in near(root):
        named = [f for f in folders(folder) if _CLASS.fullmatch(f.name)]
        if len(named) > 1 and any(_NAME.fullmatch(p.stem) for p in recordings(named[0])):
            return folder
    return None


def _find_ten(root: Path) -> Path | None:
    return _find_first(root) or _find(root)


def _read_ten(root: Path, base: Path) -> list[Source]:
    if (base / "meta" / "esc50.csv").is_file():
        return [source for source, of_ten in _rows(root, base) if of_ten]
    found = []
    for folder in folders(base):
        if not (label := _CLASS.fullmatch(folder.name)):
            continue
        for path in recordings(folder):
            if name := _NAME.fullmatch(path.stem):
                found.append(
                    Source(
                        relative(path, root),
                        label[1].lower().replace(" ", "_"),
                        fold=name[1],
                        group=name[2],
                        source_id=name[2],
                    )
                )
    return found


# By looking, a folder of ESC-50 is ESC-50; `esc10` takes its ten classes where asked for by name.
LAYOUTS = (Layout("esc50", _find, _read), Layout("esc10", _find_ten, _read_ten))
