"""Cross-validation: a classifier for each published fold, tested on that fold alone."""

import contextlib
import json
import logging
import shutil
import statistics
from pathlib import Path
from typing import Any

from audiostyle import artifacts, spectrogram_set
from audiostyle.errors import ArtifactError
from audiostyle.files import write_text
from audiostyle.training_metrics import read_metrics
from audiostyle.work_folder import claimed
from components.train import protocol
from components.train.config import TrainConfig
from components.train.train import train

log = logging.getLogger(__name__)

ALL = "all"
REPORT = "folds.json"
# Of each fold's measures, those with a mean and a deviation.
_MEASURES = ("accuracy", "balanced_accuracy", "ece", "seconds")


def cross_validate(
    data: Path | str,
    out: Path | str,
    config: TrainConfig,
    fold: str = ALL,
    checkpoints: Path | str | None = None,
) -> dict[str, Any]:
    """Train on all folds but one, test on that one; so for every fold, or for one that is named.

    out: a folder; gets a classifier artifact `fold-NAME` each, and `folds.json`, which is also
    what is returned: `folds` (measures by name), and of `accuracy`, `balanced_accuracy`, `ece` and
    `seconds` the `_mean` and, of two folds or more, the `_std` (sample deviation); `chance`, and
    the `confusion` summed over the folds, in which every clip is tested once.
    checkpoints: folder that outlives a stopped run, for finished folds and the state of the one
    that was being trained. By default they stay in and beside `out`.

    Raises InputError where the data has no folds or not that one.
    """
    out = Path(out)
    clips = spectrogram_set.read(data)
    known = protocol.folds(clips)
    chosen = known if fold == ALL else [fold]
    for name in chosen:
        protocol.of_fold(clips, name, config.seed)  # refused before the first is trained
    with contextlib.ExitStack() as stack:
        done = out
        if checkpoints:
            key = artifacts.digest_of([config.plain(), clips.digest])[:16]
            done = stack.enter_context(claimed(Path(checkpoints) / f"folds-{key}"))
        measures = {}
        for number, name in enumerate(chosen, 1):
            log.info("train: fold %s, %d of %d", name, number, len(chosen))
            measures[name] = _fold(data, done / f"fold-{name}", config, name, clips.digest)
        report = summarize(measures) | {"train": config.plain(), "data_digest": clips.digest}
        if done != out:
            for name in measures:
                shutil.copytree(done / f"fold-{name}", out / f"fold-{name}", dirs_exist_ok=True)
        write_text(out / REPORT, json.dumps(report, indent=1))
        # The state of a fold that was killed just after it was written, too.
        shutil.rmtree(done if done != out else _checkpoints(done), ignore_errors=True)
    log.info("train: %s", line(report))
    return report


def line(report: dict[str, Any]) -> str:
    """The report in one line: means with their deviations, which a single fold has not."""
    parts = [
        f"{name.replace('_', ' ')} {report[f'{name}_mean']:.3f}"
        + (f" +- {report[f'{name}_std']:.3f}" if f"{name}_std" in report else "")
        for name in ("accuracy", "balanced_accuracy")
    ]
    return f"{', '.join(parts)}, chance {report['chance']:.3f}"


def _fold(
    data: Path | str,
    out: Path,
    config: TrainConfig,
    fold: str,
    digest: str,
) -> dict[str, Any]:
    """Measures of one fold: of the classifier that is there already, or of one trained now."""
    duration = out.with_name(f".{out.name}.seconds")
    try:
        opened = artifacts.opening(out, artifacts.CLASSIFIER)
    except ArtifactError:
        opened = None
    of_same = {"train": config.plain(), "data_digest": digest, "fold": fold}
    if opened is None or {key: opened.config.get(key) for key in of_same} != of_same:
        trained = train(data, out, config, _checkpoints(out.parent), fold)
        write_text(duration, json.dumps(trained["seconds"]))
        opened = artifacts.opening(out, artifacts.CLASSIFIER)
    metrics = read_metrics(opened)
    measures: dict[str, Any] = metrics["test"] | {
        "epochs": len(metrics["history"]),
        "best_epoch": metrics["best_epoch"],
        "clips_by_split": metrics["clips"],
    }
    if duration.is_file():  # it is not where a run was killed just after the training
        measures["seconds"] = json.loads(duration.read_text(encoding="utf-8"))
    return measures


def _checkpoints(folder: Path) -> Path:
    return folder / ".checkpoints"


def summarize(folds: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Mean and deviation over folds. folds: measures by fold, as `evaluation.measure` gives them.

    >>> test = {"balanced_accuracy": 0.5, "ece": 0.1, "seconds": 1.0, "confusion": [[1]]}
    >>> two = {"1": {**test, "accuracy": 0.25}, "2": {**test, "accuracy": 0.75}}
    >>> two = {name: {**one, "chance": 0.5} for name, one in two.items()}
    >>> summarize(two)["accuracy_mean"], round(summarize(two)["accuracy_std"], 4)
    (0.5, 0.3536)
    """
    report: dict[str, Any] = {"folds": folds}
    for name in _MEASURES:
        values = [one[name] for one in folds.values() if name in one]
        if not values:
            continue
        report[f"{name}_mean"] = statistics.fmean(values)
        if len(values) > 1:
            report[f"{name}_std"] = statistics.stdev(values)
    matrices = [one["confusion"] for one in folds.values()]
    report["confusion"] = [
        [sum(cells) for cells in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)
    ]
    counts = [sum(row) for row in report["confusion"]]
    report["chance"] = max(counts) / sum(counts)
    report["clips"] = sum(counts)
    return report
