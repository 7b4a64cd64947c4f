"""One item as the report page shows it: pictures drawn, recordings playable, numbers as text."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from audiostyle import audio
from audiostyle.files import replacing
from components.reconstruct.report import spectrogram_images
from components.reconstruct.report.browser_audio import publish
from components.reconstruct.report.charts import LineChart, line_chart

# In the order in which they are shown.
ROLES = ("content", "style", "result", "target")


@dataclass(frozen=True)
class Item:
    """One result, with what it was made from.

    audio: role to file, roles among content, style, result, target; files may lie anywhere.
    measures: name to value. A pair named "... of the result ..." and "... of the content ..."
    is shown side by side. losses: loss term to its value at each logged iteration.
    """

    id: str
    audio: dict[str, Path]
    measures: dict[str, float] = field(default_factory=dict)
    losses: dict[str, list[float]] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Card:
    """One recording: `url` of the player's file, `picture` of the spectrogram, both relative."""

    role: str
    url: str
    picture: str
    seconds: str
    facts: str
    time_ticks: list[spectrogram_images.Tick]


@dataclass(frozen=True)
class ItemView:
    """An item ready for the templates. position: counted from 1; anchor: the id of its section."""

    id: str
    position: int
    anchor: str
    href: str
    search: str
    cards: list[Card]
    frequency_ticks: list[spectrogram_images.Tick]
    loudest_db: float
    losses: LineChart | None
    measures: dict[str, float]
    pairs: list[tuple[str, float, float]]
    singles: dict[str, float]
    settings: dict[str, str]


def view_item(folder: Path, item: Item, position: int, page: str) -> ItemView:
    """Publish an item's recordings in `folder`, draw its pictures, and lay out its numbers.

    position: counted from 1; page: name of the page that shows the item.
    All pictures of an item share the frequency axis and the colour scale.
    Raises AudioError for a recording that is missing or cannot be decoded.
    """
    files = {role: item.audio[role] for role in ROLES if role in item.audio}
    highest = max(_rate(path) for path in files.values()) / 2
    levels, facts = {}, {}
    for role, path in files.items():
        with audio.opening(path) as recording:
            levels[role] = spectrogram_images.levels(recording, highest)
            facts[role] = recording.frames, recording.sample_rate, recording.channels
    loudest = spectrogram_images.loudest(list(levels.values()))
    cards = []
    for role, (frames, rate, channels) in facts.items():
        picture = f"pictures/{position}-{role}.webp"
        with replacing(folder / picture) as temporary:
            temporary.write_bytes(spectrogram_images.encode(levels[role], loudest))
        seconds = frames / rate
        kind = {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
        cards.append(
            Card(
                role=role,
                url=publish(files[role], folder),
                picture=picture,
                seconds=_duration(seconds),
                facts=f"{rate / 1000:g} kHz · {kind}",
                time_ticks=spectrogram_images.time_ticks(seconds),
            )
        )
    pairs, singles = pair_up(item.measures)
    settings = flatten(item.settings)
    # A person looks for an item by its name, by what it was made from, or by a setting.
    words = [item.id, *(path.stem for path in files.values()), *settings.values()]
    anchor = f"item-{position}"
    return ItemView(
        id=item.id,
        position=position,
        anchor=anchor,
        href=f"{page}#{anchor}",
        search=" ".join(dict.fromkeys(words)).lower(),
        cards=cards,
        frequency_ticks=spectrogram_images.frequency_ticks(highest),
        loudest_db=loudest,
        losses=line_chart(item.losses, x_name="logged iteration", first=1, logarithmic=True),
        measures=item.measures,
        pairs=pairs,
        singles=singles,
        settings=settings,
    )


def pair_up(
    measures: Mapping[str, float],
) -> tuple[list[tuple[str, float, float]], dict[str, float]]:
    """Split measures into (name, of the content, of the result) pairs and the others.

    A distance means little by itself: the result's stands beside the one it started from.
    """
    pairs, singles = [], dict(measures)
    for name, value in measures.items():
        twin = name.replace(" of the result", " of the content")
        if twin != name and twin in measures:
            pairs.append((name.replace(" of the result", ""), measures[twin], value))
            del singles[name], singles[twin]
    return pairs, singles


def flatten(settings: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Settings as text, nested ones by dotted name."""
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        elif isinstance(value, float):
            flat[f"{prefix}{name}"] = f"{value:.6g}"
        elif isinstance(value, list | tuple):
            flat[f"{prefix}{name}"] = ", ".join(str(part) for part in value)
        else:
            flat[f"{prefix}{name}"] = str(value)
    return flat


def number(value: float) -> str:
    """A number with the digits that a reader can use; "n/a" where there is none."""
    if not math.isfinite(value):
        return "n/a"
    size = abs(value)
    if value == int(value) and size < 1e9:
        text = f"{int(value):,}"
    elif size >= 1000:
        text = f"{value:,.0f}" if size < 1e9 else f"{value:.3g}"
    elif size >= 100:
        text = f"{value:.1f}"
    elif size >= 1:
        text = f"{value:.2f}"
    else:
        text = f"{value:.3f}" if size >= 0.01 else f"{value:.2g}"
    return text.replace("-", "\N{MINUS SIGN}", 1) if value < 0 else text


def percent(share: float) -> str:
    """A share in [0, 1] as a percentage with one decimal."""
    return f"{100 * share:.1f} %" if math.isfinite(share) else "n/a"


def _rate(path: Path) -> int:
    """Sample rate, in Hz."""
    with audio.opening(path) as recording:
        return recording.sample_rate


def _duration(seconds: float) -> str:
    if seconds >= 60:
        return f"{int(seconds) // 60} min {seconds % 60:.0f} s"
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{seconds * 1000:.0f} ms"
