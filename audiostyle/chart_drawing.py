"""Charts as SVG: one drawing for the report page and for the figures of a training.

On a page, the page's style sheet colors the classes. `standalone` makes a file of its own.
"""

from html import escape

from audiostyle.charts import Confusion, LineChart

# Classes of lines that a style sheet tells apart.
_STYLES = 5
_ROOM = "-46 -10 400"
_STYLE = """svg{background:#fff;font-family:system-ui,sans-serif}text{fill:#44484f;font-size:11px}
.grid{stroke:#dcd9d0}.series{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.s0{stroke:#1e2126}.s1{stroke:#2a5a9f;stroke-dasharray:7 4}.s2{stroke:#86386f;stroke-dasharray:2 4}
.s3{stroke:#a3480d;stroke-dasharray:10 3 2 3}.s4{stroke:#3a6b28;stroke-dasharray:4 2}
.cell{fill:#e9e7e0}.heat{fill:#0a6767}.count{fill:#101215}.count.on{fill:#fff}"""


def draw_lines(chart: LineChart, label: str, *, key: bool = False) -> str:
    """A line chart. label: its text alternative. key: draw the names of the lines below it."""
    parts = [
        f'<line class="grid" x1="0" x2="{chart.width}" y1="{tick.at}" y2="{tick.at}"/>'
        f'<text x="-6" y="{tick.at}" dy="0.32em" text-anchor="end">{escape(tick.label)}</text>'
        for tick in chart.y_ticks
    ]
    parts += [
        f'<text x="{tick.at}" y="{chart.height + 16}" text-anchor="middle">'
        f"{escape(tick.label)}</text>"
        for tick in chart.x_ticks
    ]
    name = f"{chart.x_name}{'; values on a log scale' if chart.logarithmic else ''}"
    parts.append(
        f'<text x="{chart.width}" y="{chart.height + 32}" text-anchor="end">{escape(name)}</text>'
    )
    for number, line in enumerate(chart.lines):
        style = f"series s{number % _STYLES}"
        parts.append(f'<path class="{style}" d="{line.path}"/>')
        if key:
            y = chart.height + 52 + 18 * number
            parts.append(
                f'<path class="{style}" d="M1 {y}H23"/>'
                f'<text x="32" y="{y}" dy="0.32em">{escape(line.name)}</text>'
            )
    height = chart.height + 46 + (18 * len(chart.lines) + 6 if key else 0)
    return _svg("chart", f"{_ROOM} {height:g}", label, parts)


def draw_confusion(matrix: Confusion, label: str) -> str:
    """A confusion matrix, rows by true class. label: its text alternative."""
    size = matrix.cell * len(matrix.names)
    end = matrix.margin + size
    parts = [
        f'<text class="axis-name" x="{end}" y="{end + 15}" text-anchor="end">'
        "rows: true class · columns: heard as</text>"
    ]
    for number, text in enumerate(matrix.labels):
        at = matrix.margin + matrix.cell * (number + 0.5)
        parts.append(
            f'<text x="{matrix.margin - 6}" y="{at}" dy="0.32em" text-anchor="end">'
            f'{escape(text)}</text><text transform="translate({at} {matrix.margin - 6})'
            f' rotate(-90)" dy="0.32em">{escape(text)}</text>'
        )
    for number, row in enumerate(matrix.rows):
        y = matrix.margin + matrix.cell * number
        for column, cell in enumerate(row.cells):
            x = matrix.margin + matrix.cell * column
            parts.append(_cell(x, y, matrix.cell, cell.count, cell.share))
    return _svg("matrix", f"0 0 {end + 2} {end + 20}", label, parts)


def _cell(x: float, y: float, size: float, count: int, share: float) -> str:
    place = f'x="{x}" y="{y}" width="{size - 1}" height="{size - 1}"'
    drawn = f'<rect class="cell" {place}/>'
    if not count:
        return drawn
    drawn += f'<rect class="heat" {place} fill-opacity="{share}"/>'
    if size > 20:
        # Dark or light, where either can be read on the cell.
        name = "count on" if share > 0.77 else "count"
        middle = size / 2 - 0.5
        drawn += (
            f'<text class="{name}" x="{x + middle}" y="{y + middle}" dy="0.35em"'
            f' text-anchor="middle">{count}</text>'
        )
    return drawn


def standalone(svg: str) -> str:
    """A drawing as a file of its own, on white."""
    start, _, rest = svg.partition(">")
    return f'{start} xmlns="http://www.w3.org/2000/svg"><style>{_STYLE}</style>{rest}\n'


def _svg(kind: str, box: str, label: str, parts: list[str]) -> str:
    opening = f'<svg class="{kind}" viewBox="{box}" role="img" aria-label="{escape(label)}">'
    return opening + "".join(parts) + "</svg>"
