"""The report page: what was made, to hear and to see, in one folder that opens from disk.

`report.html` holds the index and the first fifty items, `report-2.html` and so on the others;
recordings lie in `media`, spectrograms in `pictures`, and no page loads anything from elsewhere.
"""

import base64
import hashlib
import math
import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import jinja2
from markupsafe import Markup

from audiostyle.chart_drawing import draw_confusion, draw_lines
from audiostyle.charts import Confusion, LineChart, confusion, training_charts
from audiostyle.errors import ArtifactError, AudioError, InputError
from audiostyle.files import replacing
from components.reconstruct.report import spectrogram_images
from components.reconstruct.report.findings import (
    findings,
    heading,
    is_share,
    shares_first,
    whole_percent,
)
from components.reconstruct.report.item_view import ROLES, Item, pair_up, view_item
from components.reconstruct.report.text import number, percent
from components.reconstruct.report.verdicts import verdict_words

__all__ = ["Item", "Training", "embedded_html", "headline_metrics", "write_report"]

PAGE_SIZE = 50
# Items whose players ask for their duration while the page opens; the script lets the others
# follow. A player costs about 25 ms on two cores, and a page has up to two hundred.
EAGER_ITEMS = 1
PAGE = "report.html"
EMBEDDED = "report-embedded.html"
# What the single-file page shows: few enough pictures for a tab of the cluster's UI (about 10 kB
# each once encoded as text), rows enough for an overview.
EMBEDDED_PICTURES, EMBEDDED_ROWS = 6, 50

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Training:
    """How the classifier was trained and judged; whatever is empty is left out of the page.

    history: an entry an epoch, with `epoch` and names that end in _loss or _accuracy.
    confusion: [true][predicted] counts on the held-out test set. accuracy: name to share in
    [0, 1]; the first name is the headline, `chance` what it is compared with.
    verdict: `verdict` (promote or hold), `reason`, and what else the gate says.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    class_names: list[str] = field(default_factory=list)
    confusion: list[list[int]] = field(default_factory=list)
    accuracy: dict[str, float] = field(default_factory=dict)
    verdict: dict[str, object] = field(default_factory=dict)
    model: dict[str, object] = field(default_factory=dict)


def write_report(
    folder: Path,
    items: Sequence[Item],
    training: Training | None,
    *,
    title: str,
    subtitle: str = "",
    model: Mapping[str, object] | None = None,
) -> Path:
    """Write the report into `folder`, beside whatever lies there; returns its first page.

    model: the model behind the results, by default the training's. Each file is replaced
    atomically, and the same input gives the same bytes.
    Raises AudioError for a recording that is missing or cannot be decoded, InputError for items
    that share an id, a role that is not known, or a confusion matrix that is not square.
    """
    _check(items, training)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    # Decoding, FFT and WebP all let go of the interpreter's lock, so that threads help.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        views = list(
            pool.map(
                lambda pair: view_item(folder, pair[1], pair[0], page_of(pair[0])),
                enumerate(items, 1),
            )
        )
    pages = [views[i : i + PAGE_SIZE] for i in range(0, len(views), PAGE_SIZE)] or [[]]
    context: dict[str, Any] = {
        "title": title,
        "subtitle": subtitle,
        "views": views,
        "roles": [role for role in ROLES if any(role in item.audio for item in items)],
        "columns": _columns(items),
        "medians": _medians(items),
        "findings": findings(_medians(items)),
        "training": _view_training(training),
        "model": dict(model if model is not None else training.model if training else {}),
        "pages": [(_page_name(n), (n - 1) * PAGE_SIZE + 1) for n in range(1, len(pages) + 1)],
        "legend": spectrogram_images.legend_stops(),
        "range_db": int(spectrogram_images.RANGE_DB),
    }
    environment = _environment()
    page = environment.get_template("page.html.jinja")
    for n, page_views in enumerate(pages, 1):
        _write(
            folder / _page_name(n),
            page.render(context, page=n, page_views=page_views, eager=EAGER_ITEMS),
        )
    for stale in folder.glob("report-*.html"):
        match = re.fullmatch(r"report-(\d+)\.html", stale.name)
        if match and int(match[1]) > len(pages):
            stale.unlink()
    embedded = environment.get_template("embedded.html.jinja").render(
        context,
        page_views=views[:EMBEDDED_PICTURES],
        rows=views[:EMBEDDED_ROWS],
        inline=lambda url: _inline(folder / url),
    )
    _write(folder / EMBEDDED, embedded)
    return folder / PAGE


def embedded_html(folder: Path) -> str:
    """The report of `folder` as one small file without sound, for kfp's HTML artifact.

    Raises ArtifactError where no report was written there.
    """
    path = folder / EMBEDDED
    if not path.is_file():
        raise ArtifactError(folder, f"holds no {EMBEDDED}; write_report makes it")
    return path.read_text(encoding="utf-8")


def headline_metrics(items: Sequence[Item], training: Training | None) -> dict[str, float]:
    """The report in a few finite numbers, for kfp's Metrics artifact: name to value."""
    metrics = {"items": float(len(items))} if items else {}
    metrics |= {f"median {name}": value for name, value in _medians(items).items()}
    metrics |= training.accuracy if training else {}
    return {name: float(value) for name, value in metrics.items() if math.isfinite(value)}


def page_of(position: int) -> str:
    """Name of the page that shows the item at `position`, counted from 1."""
    return _page_name((position - 1) // PAGE_SIZE + 1)


def _page_name(page: int) -> str:
    return PAGE if page == 1 else f"report-{page}.html"


def _check(items: Sequence[Item], training: Training | None) -> None:
    seen: set[str] = set()
    for item in items:
        if item.id in seen:
            raise InputError(f"report: two items have the id {item.id!r}; ids must differ")
        seen.add(item.id)
        if not item.audio:
            raise InputError(
                f"report: item {item.id!r} has no audio; give at least one of {', '.join(ROLES)}"
            )
        for role, path in item.audio.items():
            if not path.is_file():  # said before hours of drawing, not in the middle
                raise AudioError(path, f"does not exist; it is the {role} of item {item.id!r}")
            if role not in ROLES:
                raise InputError(
                    f"report: item {item.id!r} has audio for {role!r}; "
                    f"known roles are {', '.join(ROLES)}"
                )
    if training and training.confusion:
        size = len(training.class_names)
        shape = [len(row) for row in training.confusion]
        if shape != [size] * size:
            raise InputError(
                f"report: confusion has rows of {shape} counts; "
                f"{size} class names need {size} rows of {size}"
            )


def _columns(items: Sequence[Item]) -> dict[str, str]:
    """Measures in the table of all items, with their headings.

    Distances have one where no share says what they mean; the content's, never.
    """
    names = shares_first(dict.fromkeys(name for item in items for name in item.measures))
    pairs, singles = pair_up(dict.fromkeys(names, 0.0))
    if not any(is_share(name) for name in names):
        alone = {name.replace(" of the result", "") for name in names} & {p[0] for p in pairs}
        singles |= {n: 0.0 for n in names if n.replace(" of the result", "") in alone}
    return {name: heading(name) for name in names if name in singles}


def _medians(items: Sequence[Item]) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for item in items:
        for name, value in item.measures.items():
            if math.isfinite(value):
                values.setdefault(name, []).append(value)
    return {name: median(known) for name, known in values.items()}


@dataclass(frozen=True)
class _TrainingView:
    charts: dict[str, LineChart]
    epochs: list[dict[str, str]]
    confusion: Confusion | None
    headline: tuple[str, float] | None
    chance: float | None
    accuracy: dict[str, float]
    accuracy_text: dict[str, str]
    verdict: str
    accepted: bool
    meaning: str
    reason: str
    checks: dict[str, object]


def _view_training(training: Training | None) -> _TrainingView | None:
    if training is None:
        return None
    accuracy, history = training.accuracy, training.history
    chance = accuracy.get("chance")
    others = {k: v for k, v in training.verdict.items() if k not in ("verdict", "reason")}
    verdict = str(training.verdict.get("verdict", ""))
    title, meaning = verdict_words(verdict)
    return _TrainingView(
        charts=training_charts(history, chance),
        epochs=[{k: number(v) for k, v in epoch.items()} for epoch in history],
        confusion=confusion(training.class_names, training.confusion)
        if training.confusion
        else None,
        headline=next(((k, v) for k, v in accuracy.items() if k != "chance"), None),
        chance=chance,
        accuracy=accuracy,
        accuracy_text={name: percent(share) for name, share in accuracy.items()},
        verdict=title,
        accepted=verdict in ("promote", "unchanged"),
        meaning=meaning,
        reason=str(training.verdict.get("reason", "")),
        checks=others,
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "percent": percent, "whole_percent": whole_percent}
    environment.tests["share"] = is_share
    # Both escape what is not theirs.
    environment.globals |= {
        "draw_lines": lambda *given: Markup(draw_lines(*given)),  # noqa: S704
        "draw_confusion": lambda *given: Markup(draw_confusion(*given)),  # noqa: S704
    }
    for kind in ("css", "js"):
        text = (_TEMPLATES / f"report.{kind}").read_text(encoding="utf-8")
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        # Ours, and held to by the page's content security policy: no other script or style runs.
        environment.globals |= {kind: Markup(text), f"{kind}_hash": f"'sha256-{digest}'"}  # noqa: S704
    return environment


def _inline(path: Path) -> str:
    small = spectrogram_images.thumbnail(path.read_bytes())
    return "data:image/webp;base64," + base64.b64encode(small).decode()


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        # An id may hold the remains of a file name that is not UTF-8.
        temporary.write_text(text, encoding="utf-8", errors="replace", newline="\n")
