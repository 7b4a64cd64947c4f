"""Recognising pickled files, by their names and by their bytes. Not one of them is ever loaded.

Loading a pickle runs whatever code its maker wished, so an artifact that has one in it, under any
name, was not written by us.
"""

import zipfile
from pathlib import Path

_SUFFIXES = frozenset((".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".dill"))


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle, a PyTorch file that holds one, or is named like either."""
    if path.suffix.lower() in _SUFFIXES:
        return True
    with path.open("rb") as file:
        head = file.read(9)
    # Protocol 2 and later begin with 0x80 and their number. So can safetensors, by the length of
    # their header: theirs is followed by the header's brace.
    if len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5:
        return head[8:] != b"{"
    if head[:4] == b"PK\x03\x04":
        try:
            with zipfile.ZipFile(path) as archive:
                return any(name.endswith(".pkl") for name in archive.namelist())
        except (zipfile.BadZipFile, NotImplementedError, ValueError):
            return True  # its contents are unknown, and no artifact has an archive in it
    return False
