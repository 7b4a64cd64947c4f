"""The items of a bulk job, and the settings that they have in common."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from audiostyle.errors import InputError
from audiostyle.manifest import shard
from components.reconstruct.config import ReconstructConfig
from components.stylize.config import StylizeConfig
from pipeline.styles import Style, recording_of

# Bad styles that an error names.
_NAMED = 50


@dataclass(frozen=True)
class Item:
    """A pair of a job. content, style, target: path or s3:// URI; size: of the content in bytes.

    more_styles: further recordings of its style; shares: of all of them, see `styles.Style`.
    joined: recordings that style is a medley of.
    stylize, reconstruct: settings of its own. tags: of its objects in a bucket, by role. line: of
    the manifest, where there is one.
    """

    id: str
    content: str
    style: str
    target: str | None = None
    stylize: dict[str, Any] = field(default_factory=dict)
    reconstruct: dict[str, Any] = field(default_factory=dict)
    size: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    more_styles: list[str] = field(default_factory=list)
    shares: list[float] = field(default_factory=lambda: [1.0])
    joined: list[str] = field(default_factory=list)
    line: int = field(default=0, compare=False)

    def places(self) -> dict[str, str]:
        """Role to path or URI, of those that there are."""
        places = {"content": self.content, "style": self.style, "target": self.target}
        places |= {f"style_{number}": place for number, place in enumerate(self.more_styles, 2)}
        return {role: place for role, place in places.items() if place is not None}

    def described(self) -> dict[str, dict[str, Any]]:
        """The recordings by role, as a row of results names them."""
        inputs: dict[str, dict[str, Any]] = {
            role: {"place": place} for role, place in self.places().items()
        }
        if self.joined:
            inputs["style"] = {"places": self.joined, "shares": self.shares}
        return inputs


@dataclass(frozen=True)
class Base:
    """The settings that an item's own are laid over."""

    stylize: StylizeConfig
    reconstruct: ReconstructConfig

    def of(self, item: Item) -> tuple[StylizeConfig, ReconstructConfig]:
        """The settings of an item."""
        return self.parsed(item.stylize, item.reconstruct, item.id)

    def parsed(
        self, stylize: dict[str, Any], reconstruct: dict[str, Any], source: str
    ) -> tuple[StylizeConfig, ReconstructConfig]:
        """Settings with some changed. Raises InputError."""
        if not stylize and not reconstruct:
            return self.stylize, self.reconstruct
        return (
            StylizeConfig.parse({**self.stylize.plain(), **stylize}, source),
            ReconstructConfig.parse({**self.reconstruct.plain(), **reconstruct}, source),
        )


class Items:
    """Checked items in a file of JSON lines, to go through as often as needed, one at a time."""

    def __init__(self, path: Path, count: int) -> None:
        self.path = path
        self.count = count

    def __iter__(self) -> Iterator[Item]:
        """One item after another."""
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                yield Item(**json.loads(line))

    def shard(self, index: int, count: int, path: Path) -> "Items":
        """Every `count`-th item from `index` on, in a file of their own. Raises InputError."""
        chosen = shard(self, index, count)
        return self if count == 1 else written(chosen, path)


def with_one_style(items: Items, folder: Path) -> Items:
    """The items, each with one recording as style: a medley where it had several.

    folder: of the medleys, which are made once each, and of the items. Raises InputError that
    names every item whose recordings of a style cannot be used.
    """
    if not any(item.more_styles for item in items):
        return items
    problems: list[str] = []
    joined = written(_joined(items, folder / "styles", problems), folder / "with-one-style")
    if problems:
        raise InputError(f"{len(problems)} bad styles\n  " + "\n  ".join(problems[:_NAMED]))
    return joined


def _joined(items: Items, folder: Path, problems: list[str]) -> Iterator[Item]:
    for item in items:
        if item.more_styles:
            style = Style((item.style, *item.more_styles), tuple(item.shares))
            try:
                place = str(recording_of(style, folder))
            except InputError as error:
                problems.append(f"{f'line {item.line}: ' if item.line else ''}{item.id}: {error}")
                continue
            tags = {role: tag for role, tag in item.tags.items() if not role.startswith("style")}
            joined = [str(part) for part in style.places]
            item = replace(item, style=place, more_styles=[], joined=joined, tags=tags)
        yield item


def written(items: Iterable[Item], path: Path) -> Items:
    """Write items to a file."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for item in items:
            file.write(json.dumps(asdict(item), ensure_ascii=True) + "\n")
            count += 1
    return Items(path, count)
