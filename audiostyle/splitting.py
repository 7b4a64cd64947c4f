"""What clips are split by: groups, drawn so that each stays where it is, and folds, in order."""

import hashlib
import re
from collections.abc import Iterable

SPLITS = ("train", "validation", "test")


def drawn(seed: int, group: str) -> bytes:
    """32 bytes, as good as random, that depend on the seed and the group and on nothing else.

    So a group keeps its place, in whatever order of them or share, when others come or go.
    """
    return hashlib.sha256(f"{seed}:{group}".encode()).digest()


def in_order(folds: Iterable[str]) -> list[str]:
    """Each name once, fold2 before fold10."""
    return sorted(
        set(folds),
        key=lambda name: [int(p) if p.isdecimal() else p for p in re.split(r"(\d+)", name)],
    )
