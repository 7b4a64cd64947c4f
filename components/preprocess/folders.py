"""Data sets as folders: one sub-folder a class, optionally under train/, validation/ and test/."""

import hashlib
from pathlib import Path

from audiostyle.errors import InputError
from audiostyle.spectrogram_set import SPLITS, Clip

# What libsndfile decodes and what people have.
SUFFIXES = frozenset((".wav", ".flac", ".ogg", ".oga", ".mp3", ".aif", ".aiff", ".aifc"))


def clips_of(root: Path | str, *, seed: int, validation: float, test: float) -> list[Clip]:
    """List the clips of a folder, sorted by path, each with its label and split.

    validation, test: shares of the files, where the folder itself names no splits. Files of one
    stem up to `__` count as one group and stay in one split: so data sets (IRMAS) mark the
    excerpts of one recording. Raises InputError naming the folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f"data: {root} {'is not a folder' if root.exists() else 'does not exist'}")
    present = [split for split in SPLITS if (root / split).is_dir()]
    if present:
        if "train" not in present:
            raise InputError(f"data: {root} has {', '.join(present)} but no train folder")
        clips = [
            Clip(path.relative_to(root).as_posix(), path.parent.name, split, path.stem)
            for split in present
            for path in _files(root / split)
        ]
    else:
        clips = [
            Clip(
                path.relative_to(root).as_posix(),
                path.parent.name,
                _drawn(f"{path.parent.name}/{_group(path)}", seed, validation, test),
                _group(path),
            )
            for path in _files(root)
        ]
    labels = {clip.label for clip in clips}
    if len(labels) < 2:
        raise InputError(
            f"data: {root} has {len(labels)} class folders with audio files; 2 or more are needed"
            f" (one sub-folder a class, with {', '.join(sorted(SUFFIXES))} files)"
        )
    trained = {clip.label for clip in clips if clip.split == "train"}
    if missing := labels - trained:
        raise InputError(f"data: {root} has no training clips of {', '.join(sorted(missing))}")
    return clips


def _files(folder: Path) -> list[Path]:
    """Audio files in the class folders of `folder`, sorted so that every machine agrees."""
    return sorted(
        path
        for label in folder.iterdir()
        if label.is_dir() and not label.name.startswith(".")
        for path in label.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def _group(path: Path) -> str:
    return path.stem.split("__")[0]


def _drawn(group: str, seed: int, validation: float, test: float) -> str:
    """Split of a group, from a hash: it stays when other files come or go."""
    digest = hashlib.sha256(f"{seed}:{group}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    if share < test:
        return "test"
    return "validation" if share < test + validation else "train"
