"""Any folder: one sub-folder a class, optionally below train/, validation/ and test/."""

from pathlib import Path

from audiostyle.errors import InputError
from audiostyle.spectrogram_set import SPLITS
from components.preprocess.datasets.layout import Layout, Source, folders, recordings, relative


def _base(root: Path) -> Path | None:
    """The folder, or the only one in it, as most archives have it."""
    inner = folders(root)
    for folder in [root, *inner] if len(inner) == 1 else [root]:
        if any((folder / split).is_dir() for split in SPLITS) or any(
            recordings(label) for label in folders(folder)
        ):
            return folder
    return None


def _find(root: Path) -> Path | None:
    base = _base(root)
    return base if base and _classes(base) > 1 else None


def _classes(base: Path) -> int:
    if any((base / split).is_dir() for split in SPLITS):
        return len({f.name for split in SPLITS for f in folders(base / split)})
    return sum(bool(recordings(folder)) for folder in folders(base))


def read(root: Path, base: Path) -> list[Source]:
    """Recordings of the folder. Raises InputError where it has splits but none for training.

    Files of one stem up to `__` count as one group: so data sets mark excerpts of one recording.
    """
    present = [split for split in SPLITS if (base / split).is_dir()]
    if not present:
        return [
            # With the label: 001.wav of two classes are two recordings.
            Source(
                relative(path, root),
                folder.name,
                group=f"{folder.name}/{path.stem.split('__')[0]}",
            )
            for folder in folders(base)
            for path in recordings(folder)
        ]
    if "train" not in present:
        raise InputError(f"data: {base} has {', '.join(present)} but no train folder")
    return [
        Source(relative(path, root), folder.name, split=split, group=f"{folder.name}/{path.stem}")
        for split in present
        for folder in folders(base / split)
        for path in recordings(folder)
    ]


LAYOUTS = (Layout("folder", _find, read),)
