"""Any folder: one sub-folder a class, or these below train/, validation/ and test/."""

import unicodedata
from pathlib import Path

from audiostyle.errors import InputError
from components.preprocess.datasets.base import (
    UNREADABLE,
    Definition,
    Source,
    folders,
    recordings,
    relative,
)

# What people call the folders of a split, in any letter case.
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def find(root: Path) -> Path | None:
    """The folder itself, where there are two classes or more in it."""
    return root if len({label(folder) for folder, _ in class_folders(root)}) > 1 else None


def class_folders(base: Path) -> list[tuple[Path, str]]:
    """The folders with recordings, each with its split; an empty one where there are no splits."""
    splits = {
        folder: split
        for folder in folders(base)
        if (split := SPLIT_NAMES.get(folder.name.casefold()))
    }
    in_splits = [
        (inner, split)
        for folder, split in splits.items()
        for inner in folders(folder)
        if _holds(inner)
    ]
    # A folder `test` that holds recordings itself is a class of that name.
    return in_splits or [(folder, "") for folder in folders(base) if _holds(folder)]


def label(folder: Path) -> str:
    """Of a class folder: macOS writes letters with accents in another way than others."""
    return unicodedata.normalize("NFC", folder.name)


def read(root: Path, base: Path) -> list[Source]:
    """Recordings of the folder.

    Raises InputError where it has splits but none for training, and for a class whose recordings
    are all of formats that are not read. Files of one stem up to `__` count as one group: so data
    sets mark excerpts of one recording.
    """
    classes = class_folders(base)
    splits = {split for _, split in classes}
    if "" not in splits and splits and "train" not in splits:
        names = ", ".join(sorted({folder.parent.name for folder, _ in classes}))
        raise InputError(f"data: {base} has {names} but no train folder")
    sources = []
    for folder, split in classes:
        paths = recordings(folder)
        if not paths:
            endings = sorted({path.suffix.lower() for path in recordings(folder, UNREADABLE)})
            raise InputError(
                f"data: {folder}: no recording of this class can be read ({', '.join(endings)}):"
                " convert them, to FLAC or WAV, or take the folder away"
            )
        for path in paths:
            stem = path.stem if split else path.stem.split("__")[0]
            # With the label: 001.wav of two classes are two recordings.
            group = f"{folder.name}/{stem}"
            sources.append(Source(relative(path, root), label(folder), split=split, group=group))
    return sources


def _holds(folder: Path) -> bool:
    return bool(recordings(folder) or recordings(folder, UNREADABLE))


DEFINITION = Definition("folder", find, read, needs="a sub-folder a class", rank=90)
