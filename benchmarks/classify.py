"""How well does the classifier learn from scratch? ESC-10's official folds, nothing from outside.

    python -m benchmarks.classify [--data DIR] [--fold K] [--config FILE]

Prints a table and, as its last line, one line of JSON. Data: `--data`, `$ESC10_DIR`, or
../shared/data/ESC-10; settings: benchmarks/esc10.yaml, which `audiostyle train esc10 --folds all
--config` takes as well. Each fold is tested on once, by a network trained on parts of the other
four; what stops a training early is a part of these four, too. Published from scratch: 0.914
(EnvNet-v2 with between-class learning; Tokozume 2018, table 1); people: 0.957 (Piczak 2015).
"""

import argparse
import json
import os
import tempfile
from pathlib import Path

import torch

from components.preprocess.preprocess import preprocess
from components.train.folds import ALL, cross_validate
from pipeline import settings

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "benchmarks" / "esc10.yaml"


def data_of(given: Path | None) -> Path:
    """The first of the places that there is."""
    places = [given, os.environ.get("ESC10_DIR"), ROOT.parent / "shared/data/ESC-10"]
    for place in places:
        if place and Path(place).is_dir():
            return Path(place)
    raise SystemExit("no recordings: give --data DIR, a folder of ESC-10")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Classify: accuracy over ESC-10's folds")
    parser.add_argument("--data", type=Path, help="folder of ESC-10")
    parser.add_argument("--fold", default=ALL, help="one fold only")
    parser.add_argument("--config", type=Path, default=CONFIG, help="settings")
    options = parser.parse_args()
    chosen = settings.load(options.config)
    data = data_of(options.data)
    load = os.getloadavg()[0]
    cuda = torch.cuda.is_available() and chosen.train.device in ("auto", "cuda")
    machine = torch.cuda.get_device_name() if cuda else f"{os.cpu_count()} CPU cores"
    print(f"{data} on {machine}; load at the start {load:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        preprocess(data, folder / "set", chosen.preprocess)
        report = cross_validate(folder / "set", folder / "folds", chosen.train, options.fold)
    print(f"\n{'fold':6}{'accuracy':>9}{'ECE':>7}{'epochs':>8}{'seconds':>9}{'images/s':>10}")
    for fold, result in report["folds"].items():
        seen = result["epochs"] * result["clips_by_split"]["train"]
        print(
            f"{fold:6}{result['accuracy']:9.3f}{result['ece']:7.3f}{result['epochs']:8d}"
            f"{result['seconds']:9.0f}{seen / result['seconds']:10.0f}"
        )
    print("\nrecall")
    for label in next(iter(report["folds"].values()))["per_class"]:
        recalls = [result["per_class"][label]["recall"] for result in report["folds"].values()]
        print(f"  {label:24}{sum(recalls) / len(recalls):6.2f}")
    figures = {
        "accuracy_mean": round(report["accuracy_mean"], 4),
        "accuracy_std": round(report["accuracy_std"], 4),
        "seconds_per_fold": round(report["seconds_mean"], 1),
        "chance": round(report["chance"], 4),
        "folds": len(report["folds"]),
        "clips": report["clips"],
        "machine": machine,
        "load": round(load, 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
