"""Pictures of a training for MLflow: curves, confusion matrix, reliability. PNG, drawn off screen.

Only registration draws them; the training itself needs no matplotlib.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from components.train.evaluation import reliability

# Beyond this many classes, numbers and names would overlap.
_MOST_NAMED = 60


def draw(folder: Path, metrics: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """Write `training.png`, `confusion.png` and `reliability.png` into a folder.

    metrics: of a classifier artifact. rows: its predictions on the test split.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _curves(metrics["history"], int(metrics["best_epoch"]), folder / "training.png")
    test = metrics["test"]
    _confusion(np.array(test["confusion"]), list(test["per_class"]), folder / "confusion.png")
    confidence = np.array([row["confidence"] for row in rows], float)
    correct = np.array([row["label"] == row["predicted"] for row in rows], bool)
    _reliability(confidence, correct, float(test["ece"]), folder / "reliability.png")


def _curves(history: list[dict[str, float]], best: int, path: Path) -> None:
    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in ("train_loss", "validation_loss"):
        left.plot(epochs, [row[name] for row in history], label=name.replace("_", " "))
    left.set(xlabel="epoch", ylabel="cross-entropy")
    right.plot(epochs, [row["validation_accuracy"] for row in history], label="validation accuracy")
    right.set(xlabel="epoch", ylim=(0, 1))
    for axes in (left, right):
        axes.axvline(best, color="0.6", linestyle=":", label="kept")
        axes.legend(frameon=False)
        _plain(axes)
    _save(figure, path)


def _confusion(counts: np.ndarray, names: list[str], path: Path) -> None:
    """Rows are the truth; colour is the share of a row, numbers are clips."""
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 2.5 + 0.32 * min(len(names), _MOST_NAMED)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted", ylabel="truth")
    if len(names) <= _MOST_NAMED:
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
        for row, column in zip(*np.nonzero(counts), strict=True):
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, str(counts[row, column]), color=colour, ha="center", va="center")
    _save(figure, path)


def _reliability(confidence: np.ndarray, correct: np.ndarray, ece: float, path: Path) -> None:
    """Accuracy over confidence, bin by bin (Guo 2017); on the diagonal the network knows itself."""
    bins = reliability(confidence, correct)
    figure = Figure(figsize=(4.5, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.6", linestyle=":")
    axes.plot([b.confidence for b in bins], [b.accuracy for b in bins], marker="o")
    for one in bins:
        axes.annotate(
            str(one.clips), (one.confidence, one.accuracy), (4, -12), textcoords="offset points"
        )
    axes.set(xlabel="confidence", ylabel="accuracy (clips in the bin)", xlim=(0, 1), ylim=(0, 1))
    axes.set_title(f"expected calibration error {ece:.3f}")
    _plain(axes)
    _save(figure, path)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, path: Path) -> None:
    # Without the version of matplotlib in the file, equal figures are equal bytes.
    figure.savefig(path, dpi=110, metadata={"Software": None})
