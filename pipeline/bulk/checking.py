"""The items of a job are checked whole: ids, objects in buckets, and what each row got wrong."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from audiostyle.errors import InputError
from audiostyle.recordings import is_object
from audiostyle.store import open_store
from audiostyle.uris import split_object
from pipeline.bulk.items import Item, Items, written

# Objects whose sizes are asked for at a time.
_ASKING = 16
# Bad rows that an error names.
_NAMED = 100

_Objects = dict[str, tuple[int, str]]  # of each address size in bytes, and tag


def checked(name: str, rows: Iterable[tuple[Item | None, int, list[str]]], path: Path) -> Items:
    """Write the items of rows to the file `path`, with sizes and tags of objects.

    name: what errors call the whole. rows: an item or None, its line, and what is wrong with it.
    Raises one InputError that names all that is wrong.
    """
    problems: dict[int, list[str]] = {}
    lines: dict[str, int] = {}  # address of an object to the first line that names it
    items = written(_good(rows, problems, lines), path)
    objects: _Objects = {}
    for address, size_and_tag in _asked(lines):
        if size_and_tag is None:
            problem = f"{address}: there is no such object"
            problems.setdefault(lines[address], []).append(problem)
        else:
            objects[address] = size_and_tag
    if problems:
        bad = [
            f"{f'line {line}: ' if line else ''}{'; '.join(problems[line])}"
            for line in sorted(problems)
        ]
        more = f"\n  and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        raise InputError(f"{name}: {len(bad)} bad rows\n  " + "\n  ".join(bad[:_NAMED]) + more)
    if not items.count:
        raise InputError(f"{name}: has no rows")
    if objects:
        tagged = written((_tagged(item, objects) for item in items), path.with_suffix(".tagged"))
        tagged.path.replace(path)
    return items


def _good(
    rows: Iterable[tuple[Item | None, int, list[str]]],
    problems: dict[int, list[str]],
    lines: dict[str, int],
) -> Iterator[Item]:
    """The items of rows; notes what is wrong by line, and the objects that are named."""
    seen: dict[str, int] = {}
    for item, line, wrong in rows:
        if item is not None:
            id = item.id.casefold()
            if id in seen:
                wrong.append(
                    f"id {item.id!r} stands in line {seen[id]} already (capitals do not count)"
                )
            seen.setdefault(id, line)
            for address in filter(is_object, item.places().values()):
                lines.setdefault(address, line)
            yield item
        if wrong:
            problems.setdefault(line, []).extend(wrong)  # of YAML a line may hold several


def _tagged(item: Item, objects: _Objects) -> Item:
    places = item.places()
    tags = {role: objects[place][1] for role, place in places.items() if place in objects}
    return replace(item, tags=tags, size=objects.get(item.content, (item.size, ""))[0])


def _asked(addresses: Iterable[str]) -> Iterator[tuple[str, tuple[int, str] | None]]:
    """Size and tag of each object, or None where there is none."""
    keys = {address: split_object(address) for address in addresses}
    stores = {bucket: open_store(bucket) for bucket in {bucket for bucket, _ in keys.values()}}
    for store in stores.values():
        store.check()

    def ask(address: str) -> tuple[int, str] | None:
        bucket, key = keys[address]
        tag = stores[bucket].tag(key)
        size = stores[bucket].size(key) if tag else None
        return None if tag is None or size is None else (size, tag)

    with ThreadPoolExecutor(_ASKING) as pool:
        yield from zip(keys, pool.map(ask, keys), strict=True)
