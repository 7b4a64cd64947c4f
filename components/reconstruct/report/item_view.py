"""One item as the report page shows it: pictures drawn, recordings playable, numbers as text."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from audiostyle import audio
from audiostyle.charts import LineChart, Tick, line_chart
from audiostyle.files import replacing
from components.reconstruct.report import spectrogram_images
from components.reconstruct.report.browser_audio import publish
from components.reconstruct.report.findings import Finding, findings
from components.reconstruct.report.loudness import MOST_DB, gains, integrated
from components.reconstruct.report.text import MINUS, duration, flatten

# In the order in which they are shown.
ROLES = ("content", "style", "result", "target")


@dataclass(frozen=True)
class Item:
    """One result, with what it was made from.

    audio: role to file, roles among content, style, result, target; files may lie anywhere.
    names: role to the name that people know the file by, where it is not the file's own.
    measures: name to value. A pair named "... of the result ..." and "... of the content ..."
    is shown side by side. losses: loss term to its value at each logged iteration. heard: what
    the method heard in the recordings, in words, or "".
    """

    id: str
    audio: dict[str, Path]
    measures: dict[str, float] = field(default_factory=dict)
    losses: dict[str, list[float]] = field(default_factory=dict)
    settings: dict[str, object] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    heard: str = ""


@dataclass(frozen=True)
class Card:
    """One recording: URLs of what plays, of what is saved, and of its spectrogram, all relative.

    gain: amplitude in (0, 1] by which it is played, so that all of an item are as loud;
    down_db: the same in dB, as text.
    """

    role: str
    url: str
    download: str
    file_name: str
    picture: str
    duration: float
    seconds: str
    facts: str
    gain: float
    down_db: str
    time_ticks: list[Tick]


@dataclass(frozen=True)
class ItemView:
    """An item ready for the templates. position: counted from 1; anchor: the id of its section."""

    id: str
    position: int
    anchor: str
    href: str
    search: str
    pair: str
    cards: list[Card]
    frequency_ticks: list[Tick]
    loudest_db: float
    level: str
    losses: LineChart | None
    heard: list[str]
    findings: list[Finding]
    measures: dict[str, float]
    pairs: list[tuple[str, float, float]]
    singles: dict[str, float]
    settings: dict[str, str]


def view_item(folder: Path, item: Item, position: int, page: str) -> ItemView:
    """Publish an item's recordings in `folder`, draw its pictures, and lay out its numbers.

    position: counted from 1; page: name of the page that shows the item.
    All pictures of an item share the frequency axis and the color scale.
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
    loudness = {role: integrated(path) for role, path in files.items()}
    turned = gains(loudness)
    cards = []
    for role, (frames, rate, channels) in facts.items():
        picture = f"pictures/{position}-{role}.webp"
        with replacing(folder / picture) as temporary:
            temporary.write_bytes(spectrogram_images.encode(levels[role], loudest))
        seconds = frames / rate
        kind = {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
        published = publish(files[role], folder, item.names.get(role, ""))
        cards.append(
            Card(
                role=role,
                url=published.url,
                download=published.download,
                file_name=published.file_name,
                picture=picture,
                duration=round(seconds, 3),
                seconds=duration(seconds),
                facts=f"{rate / 1000:g} kHz · {kind}",
                gain=round(10 ** (turned[role] / 20), 4),
                down_db=f"{-turned[role]:.1f}",
                time_ticks=spectrogram_images.time_ticks(seconds),
            )
        )
    pairs, singles = pair_up(item.measures)
    settings = flatten(item.settings)
    # A person looks for an item by its name, by what it was made from, or by a setting.
    name = {card.role: card.file_name for card in cards}
    pair = (
        f"{name['content']} in the style of {name['style']}"
        if {"content", "style"} <= name.keys()
        else ""
    )
    words = [item.id, *(card.file_name for card in cards), *settings.values()]
    anchor = f"item-{position}"
    return ItemView(
        id=item.id,
        position=position,
        anchor=anchor,
        href=f"{page}#{anchor}",
        search=" ".join(dict.fromkeys(words)).lower(),
        pair=pair,
        cards=cards,
        frequency_ticks=spectrogram_images.frequency_ticks(highest),
        loudest_db=loudest,
        level=_level(loudness),
        losses=_losses(item.losses),
        heard=item.heard.splitlines(),
        findings=findings(item.measures),
        measures=item.measures,
        pairs=pairs,
        singles=singles,
        settings=settings,
    )


def _losses(losses: Mapping[str, list[float]]) -> LineChart | None:
    """Curves of the losses; None where nothing was optimized, so that each has one value."""
    if not any(len(values) > 1 for values in losses.values()):
        return None
    return line_chart(losses, x_name="logged iteration", first=1, logarithmic=True)


def _level(loudness: Mapping[str, float]) -> str:
    """The loudness at which all are played, in LUFS, as text; "" where all are silent."""
    heard = [level for level in loudness.values() if math.isfinite(level)]
    if not heard:
        return ""
    lowest = max(min(heard), max(heard) - MOST_DB)
    return f"{lowest:.1f}".replace("-", MINUS)


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


def _rate(path: Path) -> int:
    """Sample rate, in Hz."""
    with audio.opening(path) as recording:
        return recording.sample_rate
