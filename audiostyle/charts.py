"""Geometry of charts: lines and the confusion matrix, as numbers for SVG.

`chart_drawing` draws them; here is what needs arithmetic, so that it can be tested as numbers.
Lengths are SVG user units.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

WIDTH, HEIGHT = 340.0, 170.0
_Scale = Callable[[float], float]
# The points that a curve of this width can show.
_MOST_POINTS = 240


@dataclass(frozen=True)
class Tick:
    """A mark on an axis. at: position from the left or the top, in units of what it marks."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """A curve: SVG path data, and the numbers that its text alternative tells (NaN: none)."""

    name: str
    path: str
    first: float
    last: float
    lowest: float
    highest: float


@dataclass(frozen=True)
class LineChart:
    """Curves on one pair of axes. Ticks are placed in user units from the left and the top."""

    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    logarithmic: bool
    x_name: str
    width: float = WIDTH
    height: float = HEIGHT


def line_chart(
    series: Mapping[str, Sequence[float]],
    *,
    x_name: str,
    first: int = 0,
    logarithmic: bool = False,
    span: tuple[float, float] | None = None,
) -> LineChart | None:
    """Scale curves into WIDTH x HEIGHT; None where there is no finite value to draw.

    series: name to values, one for each integer x from `first` on. A value that is not finite
    leaves a gap. logarithmic: asks for a log axis, granted where every value is positive.
    span: lower and upper end of the y axis; by default the round numbers around the values.
    """
    finite = [v for values in series.values() for v in values if math.isfinite(v)]
    if not finite:
        return None
    low, high = min(finite), max(finite)
    logarithmic = logarithmic and low > 0
    if low == high:  # a flat line lies in the middle
        low, high = (
            (low / 2, high * 2) if logarithmic else (low - abs(low or 1), high + abs(high or 1))
        )
    # Room for labels: not closer than a tenth of the height, or a fifth of the width.
    marks = _decades(low, high) if logarithmic else _nice(low, high, 5)
    if not logarithmic:
        step = marks[1] - marks[0] if len(marks) > 1 else high - low
        low, high = span or (step * math.floor(low / step), step * math.ceil(high / step))
        marks = _nice(low, high, 5)
    scale = math.log if logarithmic else float

    def y(value: float) -> float:
        return round(HEIGHT * (scale(high) - scale(value)) / (scale(high) - scale(low)), 2)

    count = max(len(values) for values in series.values())

    def x(index: float) -> float:
        return round(WIDTH * (index / (count - 1) if count > 1 else 0.5), 2)

    lines = []
    for name, values in series.items():
        known = [v for v in values if math.isfinite(v)] or [math.nan]
        lines.append(Line(name, _path(values, x, y), known[0], known[-1], min(known), max(known)))
    x_marks = [m for m in _nice(first, first + count - 1, 5) if m == int(m)]
    if not x_marks or x_marks[0] - first > 0.08 * count:
        x_marks.insert(0, float(first))
    return LineChart(
        lines=lines,
        x_ticks=[Tick(x(m - first), f"{int(m):,}") for m in x_marks],
        y_ticks=[Tick(y(m), f"{m:.6g}") for m in marks],
        logarithmic=logarithmic,
        x_name=x_name,
    )


def training_charts(
    history: Sequence[Mapping[str, float]], chance: float | None = None
) -> dict[str, LineChart]:
    """Curves of a training by kind, loss and accuracy; a kind without values has none.

    history: an entry an epoch, with `epoch` and names that end in _loss or _accuracy. chance: what
    accuracy is compared with.
    """
    charts = {}
    for kind in ("loss", "accuracy"):
        names = dict.fromkeys(k for epoch in history for k in epoch if k.endswith(f"_{kind}"))
        series = {
            name.removesuffix(f"_{kind}").replace("_", " "): [
                epoch.get(name, math.nan) for epoch in history
            ]
            for name in names
        }
        if series and kind == "accuracy" and chance is not None:
            series["chance"] = [chance] * len(history)
        first = int(history[0].get("epoch", 1)) if history else 1
        span = (0.0, 1.0) if kind == "accuracy" else None
        if chart := line_chart(series, x_name="epoch", first=first, span=span):
            charts[kind] = chart
    return charts


def _path(values: Sequence[float], x: _Scale, y: _Scale) -> str:
    stride = max(1, math.ceil(len(values) / _MOST_POINTS))
    last = len(values) - 1
    runs: list[list[str]] = [[]]
    for index in [*range(0, last, stride), *([last] if last >= 0 else [])]:
        if math.isfinite(values[index]):
            runs[-1].append(f"{x(index):g} {y(values[index]):g}")
        elif runs[-1]:
            runs.append([])
    # A lone point becomes a line of no length, which round caps draw as a dot.
    return "".join("M" + "L".join(run if len(run) > 1 else run * 2) for run in runs if run)


def _nice(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within [low, high], at most about `most`."""
    if high <= low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    start, end = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{i * step:.12g}") for i in range(start, end + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Round numbers for a log axis: powers of ten, with 2 and 5 between them where it is short."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for mantissas in ((1,), (1, 3), (1, 2, 5)):
        marks = [m * 10.0**e for e in exponents for m in mantissas]
        marks = [float(f"{m:.6g}") for m in marks if low * 0.999 <= m <= high * 1.001]
        if len(marks) >= 3:
            return marks[:: math.ceil(len(marks) / 6)]
    return _nice(low, high, 4)


@dataclass(frozen=True)
class Cell:
    """A cell of the confusion matrix. share: of its true class's clips, in [0, 1]."""

    count: int
    share: float


@dataclass(frozen=True)
class ConfusionRow:
    """How the clips of one true class were heard. recall in [0, 1], NaN where it has no clips."""

    name: str
    cells: list[Cell]
    total: int
    right: int
    recall: float
    mistaken_for: str = ""
    mistaken: int = 0


@dataclass(frozen=True)
class Confusion:
    """Rows by true class, columns by predicted class. margin: room for the names, in user units."""

    names: list[str]
    rows: list[ConfusionRow]
    cell: float
    margin: float
    labels: list[str] = field(default_factory=list)


def confusion(names: Sequence[str], counts: Sequence[Sequence[int]]) -> Confusion:
    """Shares and the most frequent mistake of every class. counts: [true][predicted]."""
    rows = []
    for index, (name, row) in enumerate(zip(names, counts, strict=True)):
        total = sum(row)
        others = [(count, -i) for i, count in enumerate(row) if i != index and count]
        mistaken, position = max(others, default=(0, 0))
        rows.append(
            ConfusionRow(
                name=name,
                cells=[Cell(count, round(count / total, 3) if total else 0.0) for count in row],
                total=total,
                right=row[index],
                recall=row[index] / total if total else math.nan,
                mistaken_for=names[-position] if mistaken else "",
                mistaken=mistaken,
            )
        )
    labels = [name if len(name) <= 20 else name[:19] + "…" for name in names]
    # Counts of three digits fit a cell of 26; beyond 25 classes the cells are drawn without.
    cell = 26.0 if len(names) <= 25 else 12.0
    margin = 12 + 6.2 * max((len(label) for label in labels), default=0)
    return Confusion(list(names), rows, cell, margin, labels)
