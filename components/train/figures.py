"""Figures of a training for MLflow: curves, confusion matrix, reliability, as SVG."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from audiostyle.chart_drawing import draw_confusion, draw_lines, standalone
from audiostyle.charts import confusion, line_chart, training_charts
from audiostyle.files import write_text
from components.train.evaluation import reliability


def draw(folder: Path, metrics: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Write `loss.svg`, `accuracy.svg`, `confusion.svg` and `reliability.svg` into a folder.

    metrics: of a classifier artifact. rows: its predictions on the test split.
    """
    folder.mkdir(parents=True, exist_ok=True)
    test = metrics["test"]
    best = f"weights of epoch {metrics['best_epoch']}"
    drawings = {
        kind: draw_lines(chart, f"{kind.capitalize()} by epoch; {best}", key=True)
        for kind, chart in training_charts(metrics["history"], test["chance"]).items()
    }
    matrix = confusion(list(test["per_class"]), test["confusion"])
    drawings["confusion"] = draw_confusion(matrix, "Confusion matrix of the test split")
    if drawing := _reliability(rows, float(test["ece"])):
        drawings["reliability"] = drawing
    for name, drawing in drawings.items():
        write_text(folder / f"{name}.svg", standalone(drawing))


def _reliability(rows: list[dict[str, Any]], error: float) -> str:
    """Accuracy beside confidence, tenth by tenth of confidence (Guo 2017); "" without clips.

    Where the lines lie on each other, the network knows how sure it may be.
    """
    confidence = np.array([row["confidence"] for row in rows], float)
    correct = np.array([row["label"] == row["predicted"] for row in rows], bool)
    bins = reliability(confidence, correct)
    series = {
        "accuracy of the clips with this confidence": [b.accuracy if b else math.nan for b in bins],
        "their mean confidence": [b.confidence if b else math.nan for b in bins],
    }
    chart = line_chart(series, x_name="confidence, in tenths", first=1, span=(0, 1))
    label = f"Reliability; expected calibration error {error:.3f}"
    return draw_lines(chart, label, key=True) if chart else ""
