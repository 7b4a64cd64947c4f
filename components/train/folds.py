"""Cross-validation: a classifier for each published fold, tested on that fold alone."""

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
from components.train import protocol
from components.train.fit import TrainConfig
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
    `seconds` the `_mean` and the `_std` (sample deviation, 0 for one fold); `chance`, and the
    `confusion` summed over the folds, in which every clip is tested once.
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
    done = out
    if checkpoints:
        done = (
            Path(checkpoints) / f"folds-{artifacts.digest_of([config.plain(), clips.digest])[:16]}"
        )
    found = {}
    for number, name in enumerate(chosen, 1):
        log.info("train: fold %s, %d of %d", name, number, len(chosen))
        found[name] = _fold(data, done / f"fold-{name}", config, name, clips.digest)
    report = summarise(found) | {"train": config.plain(), "data_digest": clips.digest}
    if done != out:
        for name in found:
            shutil.copytree(done / f"fold-{name}", out / f"fold-{name}", dirs_exist_ok=True)
    write_text(out / REPORT, json.dumps(report, indent=1))
    # The state of a fold that was killed just after it was written, too.
    shutil.rmtree(done if done != out else _checkpoints(done), ignore_errors=True)
    log.info(
        "train: accuracy %.3f +- %.3f over %d folds (chance %.3f)",
        report["accuracy_mean"],
        report["accuracy_std"],
        len(found),
        report["chance"],
    )
    return report


def _fold(
    data: Path | str,
    out: Path,
    config: TrainConfig,
    fold: str,
    digest: str,
) -> dict[str, Any]:
    """Measures of one fold: of the classifier that is there already, or of one trained now."""
    took = out.with_name(f".{out.name}.seconds")
    try:
        opened = artifacts.opening(out, artifacts.CLASSIFIER)
    except ArtifactError:
        opened = None
    of_same = {"train": config.plain(), "data_digest": digest, "fold": fold}
    if opened is None or {key: opened.config.get(key) for key in of_same} != of_same:
        trained = train(data, out, config, _checkpoints(out.parent), fold)
        write_text(took, json.dumps(trained["seconds"]))
        opened = artifacts.opening(out, artifacts.CLASSIFIER)
    metrics = read_metrics(opened)
    measures: dict[str, Any] = metrics["test"] | {
        "epochs": len(metrics["history"]),
        "best_epoch": metrics["best_epoch"],
        "clips_by_split": metrics["clips"],
    }
    if took.is_file():  # it is not where a run was killed just after the training
        measures["seconds"] = json.loads(took.read_text(encoding="utf-8"))
    return measures


def _checkpoints(folder: Path) -> Path:
    return folder / ".checkpoints"


def summarise(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Mean and deviation over folds. found: measures by fold, as `evaluation.measure` gives them.

    >>> test = {"balanced_accuracy": 0.5, "ece": 0.1, "seconds": 1.0, "confusion": [[1]]}
    >>> two = {"1": {**test, "accuracy": 0.25}, "2": {**test, "accuracy": 0.75}}
    >>> two = {name: {**one, "chance": 0.5} for name, one in two.items()}
    >>> summarise(two)["accuracy_mean"], round(summarise(two)["accuracy_std"], 4)
    (0.5, 0.3536)
    """
    report: dict[str, Any] = {"folds": found}
    for name in _MEASURES:
        values = [one[name] for one in found.values() if name in one]
        if not values:
            continue
        report[f"{name}_mean"] = statistics.fmean(values)
        report[f"{name}_std"] = statistics.stdev(values) if len(values) > 1 else 0.0
    matrices = [one["confusion"] for one in found.values()]
    report["confusion"] = [
        [sum(cells) for cells in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)
    ]
    counts = [sum(row) for row in report["confusion"]]
    report["chance"] = max(counts) / sum(counts)
    report["clips"] = sum(counts)
    return report
