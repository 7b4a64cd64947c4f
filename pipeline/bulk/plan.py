"""What there is left to do, in batches, and how long it takes by earlier measurements here."""

import json
import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from audiostyle.artifacts import digest_of, file_digest
from audiostyle.config import Config
from audiostyle.errors import AudiostyleError
from audiostyle.recordings import is_object
from audiostyle.store import Store
from audiostyle.untrusted import json_value
from pipeline.bulk.items import Base, Item, Items
from pipeline.bulk.ledger import Ledger, key_of

# Items of a batch, and bytes of their contents: what is between the two stages lies on the disk,
# 30 bytes for one of a WAV.
ITEMS, _BYTES = 16, 32 << 20
# Kinds of settings whose items wait for others of the kind at a time.
_KINDS = 32
RATES = "rates.json"
_MOST = 1 << 24  # bytes of it
# Files whose hashes are remembered while a plan is made.
_HASHES = 1 << 13


@dataclass(frozen=True)
class Model:
    """A classifier: its artifact's folder, what it is called, and its digest."""

    folder: Path
    name: str
    digest: str

    def plain(self) -> dict[str, str]:
        """What results depend on."""
        return {"name": self.name, "digest": self.digest}


@dataclass(frozen=True)
class Plan:
    """todo: items to do, of `total`; groups: how many of them by settings, see `group_of`."""

    todo: Items
    total: int
    groups: dict[str, int]

    @property
    def done(self) -> int:
        """Items whose results are there and still right."""
        return self.total - self.todo.count


def plan(items: Items, ledger: Ledger, base: Base, model: Model, path: Path) -> Plan:
    """What is to do: what is missing, and what has other inputs, settings or model now.

    ledger: loaded. path: file for the items to do. Raises OSError for a file that cannot be read.
    """
    groups: dict[str, int] = {}
    count = 0
    hashed = lru_cache(maxsize=_HASHES)(file_digest)
    with path.open("w", encoding="utf-8") as out, items.path.open(encoding="utf-8") as lines:
        for line in lines:
            item = Item(**json.loads(line))
            done = ledger.done(item.id)
            if done is not None:
                inputs = {
                    role: item.tags[role] if is_object(place) else hashed(place)
                    for role, place in item.places().items()
                }
                if done.key.hex() == item_key(item, base, model, inputs):
                    continue
            group = group_of(item, base)
            groups[group] = groups.get(group, 0) + 1
            out.write(line)
            count += 1
    return Plan(Items(path, count), items.count, groups)


def item_key(item: Item, base: Base, model: Model, inputs: dict[str, str]) -> str:
    """What an item's result depends on. inputs: role to hash, or to the tag of an object."""
    stylize, reconstruct = base.of(item)
    return key_of((stylize.plain(), reconstruct.plain()), model.plain(), inputs)


def group_of(item: Item, base: Base) -> str:
    """What items must have in common to be worked on together: all settings."""
    if not item.stylize and not item.reconstruct:
        return _group(base.stylize, base.reconstruct)
    return _group(*base.of(item))


@lru_cache(maxsize=256)
def _group(stylize: Config, reconstruct: Config) -> str:
    return digest_of([stylize.plain(), reconstruct.plain()])[:16]


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


class Rates:
    """Seconds that one process takes for an item, by settings, as measured on this machine."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._machine = f"{socket.gethostname()}, {os.cpu_count()} cores"
        self._all: dict[str, dict[str, dict[str, float]]] = _read(store)
        self._here = self._all.setdefault(self._machine, {})

    def seconds(self, group: str) -> float | None:
        """Seconds an item, or None where nothing was measured."""
        rate = self._here.get(group)
        return rate["seconds"] / rate["items"] if rate else None

    def add(self, group: str, items: int, seconds: float, *, warm: bool) -> None:
        """Add a measurement. One of a process's first batch counts only as long as no other is."""
        rate = self._here.get(group)
        if rate is None or (warm and not rate["warm"]):
            rate = self._here[group] = {"items": 0, "seconds": 0.0, "warm": warm}
        elif rate["warm"] and not warm:
            return
        rate["items"] += items
        rate["seconds"] = round(rate["seconds"] + seconds, 3)

    def save(self) -> None:
        """Write them beside the results."""
        self._store.put(RATES, json.dumps(self._all, indent=1).encode())

    def expected(self, plan: Plan, processes: int) -> tuple[float, int]:
        """Seconds by so many processes, of items measured before; and how many others there are."""
        seconds, unknown = 0.0, 0
        for group, count in plan.groups.items():
            each = self.seconds(group)
            if each is None:
                unknown += count
            else:
                seconds += count * each / processes
        return seconds, unknown


def _read(store: Store) -> dict[str, Any]:
    """Rates by machine and group, without what is none: anybody may have written there."""
    try:
        rates = json_value(store.get(RATES, most=_MOST) or b"{}")
    except (AudiostyleError, OSError, ValueError):
        return {}  # of no use, and measured anew
    if not isinstance(rates, dict):
        return {}
    return {
        machine: {group: rate for group, rate in groups.items() if _is_rate(rate)}
        for machine, groups in rates.items()
        if isinstance(groups, dict)
    }


def _is_rate(rate: object) -> bool:
    if not isinstance(rate, dict):
        return False
    items, seconds = rate.get("items"), rate.get("seconds")
    return (
        isinstance(items, int)
        and isinstance(seconds, (int, float))
        and 0 < items < 1e12
        and 0 <= seconds < 1e12
        and isinstance(rate.get("warm"), bool)
    )
