"""Which items are worked on together."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.bulk.items import Base, Item
from pipeline.bulk.plan import group_of

# Items of a batch, and bytes of their contents: what is between the two stages lies on the disk,
# 30 bytes for one of a WAV.
ITEMS, _BYTES = 16, 32 << 20
# Kinds of settings whose items wait for others of the kind at a time.
_KINDS = 32


@dataclass
class Batch:
    """Items to be worked on together. attempts: that failed, once it is a single one."""

    items: list[Item]
    group: str
    attempts: int = 0

    def places(self) -> set[str]:
        """Paths and URIs of all recordings."""
        return {place for item in self.items for place in item.places().values()}


def batches(items: Iterable[Item], base: Base, most: int) -> Iterator[Batch]:
    """Items to be worked on together: of the same settings, at most `most`, and not too long."""
    waiting: dict[str, list[Item]] = {}
    for item in items:
        group = group_of(item, base)
        held = waiting.get(group, [])
        if held and sum(i.size for i in held) + item.size > _BYTES:
            yield Batch(waiting.pop(group), group)
        waiting.setdefault(group, []).append(item)
        if len(waiting[group]) >= most:
            yield Batch(waiting.pop(group), group)
        elif len(waiting) > _KINDS:
            oldest = next(iter(waiting))
            yield Batch(waiting.pop(oldest), oldest)
    for group, held in waiting.items():
        yield Batch(held, group)
