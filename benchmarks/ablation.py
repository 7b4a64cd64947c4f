"""Which augmentations earn their place, on a collection of sounds that was not trained on?

    python -m benchmarks.ablation [--quick] [--config FILE] [--only KIND ...]

Prints a table and, as its last line, one line of JSON. Of the bundled recordings the training
split alone is used, so that the test split stays unseen while a recipe is chosen: it is played by
four collections of sampled instruments, and each is tested on by a network that is trained on the
other three, once with the full recipe and once without each augmentation. A recipe is compared
with the full one seed by seed, from the same weights on; `--quick` takes one seed instead of
three, and then nothing tells what is luck.
"""

import argparse
import csv
import dataclasses
import json
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from audiostyle import spectrogram_set
from audiostyle.spectrogram_set import Clip
from benchmarks.bundled import RECORDINGS
from components.preprocess.config import PreprocessConfig
from components.preprocess.preprocess import preprocess
from components.train.config import AugmentationConfig
from components.train.folds import cross_validate
from pipeline import settings

FULL = "full recipe"
# Augmentations, and what turns each off.
OFF = {"mixup": 0, "crop": 1, "masks": 0, "filter_db": 0, "room": 0, "noise": 0, "tuning": 0}
SEEDS = (0, 1, 2)


def by_collection(recordings: Path, folder: Path, config: PreprocessConfig) -> Path:
    """A spectrogram set of the training split, in which a clip's fold is its collection.

    recordings: a folder whose manifest.csv has the columns path and source; a collection is the
    first word of source.
    """
    with (recordings / "manifest.csv").open(encoding="utf-8", newline="") as file:
        collection = {row["path"]: row["source"].split()[0] for row in csv.DictReader(file)}
    preprocess(recordings, folder / "all", config)
    data = spectrogram_set.read(folder / "all")

    def clips() -> Iterator[tuple[Clip, Tensor]]:
        magnitudes = (one for shard in data.shards() for one in shard)
        for clip, magnitude in zip(data.clips, magnitudes, strict=True):
            if clip.split == "train":
                yield dataclasses.replace(clip, fold=collection[clip.path]), magnitude

    about = {"name": "training split by collection"}
    spectrogram_set.write(folder / "set", data.spectrogram, about, clips())
    return folder / "set"


def recipes(full: AugmentationConfig, only: list[str]) -> dict[str, AugmentationConfig]:
    """The full recipe, and it without each augmentation that it has (or each of `only`)."""
    kinds = [kind for kind in only or OFF if getattr(full, kind) != OFF[kind]]
    changed = {kind: full.model_copy(update={kind: OFF[kind]}) for kind in kinds}
    return {FULL: full} | {f"without {kind}": recipe for kind, recipe in changed.items()}


def summary(reports: list[dict[str, Any]], full: list[dict[str, Any]]) -> dict[str, Any]:
    """Balanced accuracy, and how much of it is lost against the full recipe, seed by seed.

    reports, full: of cross-validations of the same seeds in the same order.
    """
    means = [report["balanced_accuracy_mean"] for report in reports]
    lost = [f["balanced_accuracy_mean"] - mean for f, mean in zip(full, means, strict=True)]
    values: dict[str, Any] = {
        name: round(statistics.fmean(r["folds"][name]["balanced_accuracy"] for r in reports), 4)
        for name in reports[0]["folds"]
    }
    values |= {"mean": round(statistics.fmean(means), 4), "lost": round(statistics.fmean(lost), 4)}
    if len(means) > 1:
        values["mean_std"] = round(statistics.stdev(means), 4)
        values["lost_std"] = round(statistics.stdev(lost), 4)
    return values


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Ablation: each augmentation removed in turn")
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--config", type=Path, help="settings; by default those of the stages")
    parser.add_argument("--only", nargs="*", default=[], choices=OFF, help="what to remove")
    options = parser.parse_args()
    chosen = settings.load(options.config)
    seeds = SEEDS[:1] if options.quick else SEEDS
    print(f"balanced accuracy on the collection left out; seeds {', '.join(map(str, seeds))}")
    results: dict[str, dict[str, Any]] = {}
    full: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        data = by_collection(RECORDINGS, Path(name), chosen.preprocess)
        for recipe, augmentation in recipes(chosen.train.augmentation, options.only).items():
            reports = []
            for seed in seeds:
                changes = {"augmentation": augmentation, "seed": seed}
                config = chosen.train.model_copy(update=changes)
                reports.append(cross_validate(data, Path(name) / f"{recipe} {seed}", config))
            full = full or reports
            results[recipe] = summary(reports, full)
            if recipe == FULL:
                print(f"{'':20}" + "".join(f"{column:>12}" for column in results[recipe]))
            cells = "".join(f"{value:12.3f}" for value in results[recipe].values())
            print(f"{recipe:20}{cells}", flush=True)
    print(json.dumps({"seeds": len(seeds), "epochs": chosen.train.epochs, "recipes": results}))


if __name__ == "__main__":
    main()
