"""What a bulk job is to do: rows of a manifest, or every content in every style; checked whole."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from audiostyle.errors import InputError
from audiostyle.store import open_store
from audiostyle.uris import split_s3
from components.stylize.pairs import is_uri, read_bytes
from pipeline.bulk.formats import FORMATS, Row
from pipeline.bulk.globs import matching, named
from pipeline.bulk.items import Base, Item, Items, written
from pipeline.bulk.rows import Reader

# Objects asked about at a time.
_ASKING = 16


def read(manifest: Path | str, base: Base, path: Path) -> Items:
    """Check a manifest whole and put its items down in the file `path`.

    manifest: CSV, JSON lines or YAML by its ending; a file or s3://. Columns id, content, style,
    optionally target, and settings: a name of StylizeConfig, one of ReconstructConfig that the
    former has not, or `stylize.NAME`, `reconstruct.NAME`. Relative paths are relative to it.

    Raises one InputError that names every bad row's line and why.
    """
    place = manifest if is_uri(manifest) else Path(manifest)
    rows = FORMATS.get(str(manifest).rpartition(".")[2].lower())
    if rows is None:
        raise InputError(f"{manifest}: must end in .csv, .jsonl, .yaml or .yml")
    try:
        text = read_bytes(place).decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{manifest}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{manifest}: is not text in UTF-8: {error}") from None
    return _checked(str(manifest), rows(str(manifest), text), Reader(place, base), path)


def product(contents: str, styles: str, base: Base, path: Path) -> Items:
    """Every content in every style, put down in the file `path`.

    contents, styles: patterns of files (`**` reaches into folders) or of objects, s3://bucket/….
    An id is made of both names. Raises InputError for a pattern that nothing matches.
    """
    content_ids, style_ids = (named(matching(pattern)) for pattern in (contents, styles))
    rows = (
        {"id": f"{content_ids[content]}--{style_ids[style]}", "content": content, "style": style}
        for style in style_ids
        for content in content_ids
    )
    return _checked(f"{contents} x {styles}", enumerate(rows, 1), Reader(Path(), base), path)


def _checked(name: str, rows: Iterable[Row], reader: Reader, path: Path) -> Items:
    """Items of rows, with sizes and tags of objects. Raises InputError with all that is wrong."""
    problems: dict[int, list[str]] = {}
    objects: dict[str, int] = {}  # URI to the first line that names it
    items = written(_good(rows, reader, problems, objects), path)
    known: dict[str, tuple[int, str]] = {}
    for uri, told in _asked(objects):
        if told is None:
            problems.setdefault(objects[uri], []).append(f"{uri}: there is no such object")
        else:
            known[uri] = told
    if problems:
        lines = [f"line {line}: {'; '.join(problems[line])}" for line in sorted(problems)]
        raise InputError(f"{name}: {len(lines)} bad rows\n  " + "\n  ".join(lines))
    if not items.count:
        raise InputError(f"{name}: has no rows")
    if objects:
        tagged = written((_tagged(item, known) for item in items), path.with_suffix(".tagged"))
        tagged.path.replace(path)
    return items


def _good(
    rows: Iterable[Row], reader: Reader, problems: dict[int, list[str]], objects: dict[str, int]
) -> Iterator[Item]:
    """The items that rows have; notes what is wrong by line, and the objects that are named."""
    seen: dict[str, int] = {}
    for line, row in rows:
        item, found = reader.item(row)
        if item is not None:
            known = item.id.casefold()
            if known in seen:
                found.append(
                    f"id {item.id!r} stands in line {seen[known]} already (capitals do not count)"
                )
            seen.setdefault(known, line)
            for uri in filter(is_uri, item.places().values()):
                objects.setdefault(uri, line)
            yield item
        if found:
            problems.setdefault(line, []).extend(found)  # of YAML a line may hold several


def _tagged(item: Item, known: dict[str, tuple[int, str]]) -> Item:
    places = item.places()
    tags = {role: known[place][1] for role, place in places.items() if place in known}
    return replace(item, tags=tags, size=known.get(item.content, (item.size, ""))[0])


def _asked(objects: Iterable[str]) -> Iterator[tuple[str, tuple[int, str] | None]]:
    """Size and tag of each object, or None where there is none."""
    split = {uri: split_s3(uri) for uri in objects}
    buckets = {bucket for bucket, _ in split.values()}
    stores = {bucket: open_store(f"s3://{bucket}") for bucket in buckets}
    for store in stores.values():
        store.check()

    def ask(uri: str) -> tuple[int, str] | None:
        bucket, key = split[uri]
        tag = stores[bucket].tag(key) if key else None
        size = stores[bucket].size(key) if tag else None
        return None if tag is None or size is None else (size, tag)

    with ThreadPoolExecutor(_ASKING) as pool:
        yield from zip(split, pool.map(ask, split), strict=True)
