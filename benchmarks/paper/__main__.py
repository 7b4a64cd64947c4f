"""The paper's tables and figures, made again: `make paper` writes docs/paper.md.

    python -m benchmarks.paper [--full] [--state DIR] [--weights NETWORK=FILE] [--out docs]

Every system from every start on the bundled pairs, measured against the recordings that an ideal
transfer would have given. By default scaled down to minutes on two cores; `--full` takes the
paper's iterations and filters, which is a matter of hours there. What is finished stays in the
folder of the state, and the same command goes on from there. The page shows both sizes beside each
other, from the figures that each run leaves in OUT/data. The last line is one line of JSON.
"""

import argparse
import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import numpy as np

from audiostyle import artifacts, audio, network
from audiostyle.errors import AudiostyleError, InputError
from audiostyle.files import replacing_folder, write_text
from audiostyle.network_config import NetworkConfig
from benchmarks import bundled
from benchmarks.measures import means, prepared
from benchmarks.pairs import TruePair, true_pair
from benchmarks.paper.page import page
from benchmarks.paper.pictures import curves, spectrograms
from benchmarks.paper.results import Results, Row, has_larger, saved
from benchmarks.paper.state import State
from benchmarks.paper.systems import (
    FULL,
    PAPERS,
    SCALED,
    SHOWN,
    TINY,
    Size,
    System,
    with_weights,
)
from benchmarks.paper.table_1 import table_1
from benchmarks.paper.transfers import Model, Transfer, transfer
from benchmarks.quality import note_posteriors
from components.preprocess.config import PreprocessConfig
from components.preprocess.preprocess import preprocess
from components.stylize.networks.catalog import CATALOG
from components.stylize.networks.weights import pinned
from components.train.config import TrainConfig
from components.train.lineage import lineage
from components.train.train import train

# Of AlexNet, which computes twenty times as much a clip as ours: what a CPU does in minutes.
ALEXNET_EPOCHS = 20
DATA = "data"  # folder of the runs' figures, beside the page


def pairs(size: Size) -> list[TruePair]:
    """The bundled pairs at one level, the one of the figures first."""
    ordered = sorted(bundled.pairs(), key=lambda pair: pair.id != SHOWN)
    return [
        true_pair(
            pair.id,
            [
                prepared(audio.read(path))
                for path in (pair.content, pair.style, pair.target)
                if path is not None
            ],
            "voice",
        )
        for pair in ordered[: size.pairs]
    ]


def classifier(state: Path, name: str, chosen: Path | None) -> Path:
    """A classifier's folder in the state, so that a run that goes on has the one it began with."""
    folder = state / f"classifier-{name}"
    if not folder.is_dir():
        source = bundled.classifier(chosen)
        with replacing_folder(folder) as temporary:
            shutil.copytree(source, temporary, dirs_exist_ok=True)
    return folder


def alexnet(state: Path) -> Path:
    """AlexNet as the train stage trains it on the bundled instruments, in the state."""
    folder = state / "classifier-alexnet"
    if not folder.is_dir():
        network_config = NetworkConfig(architecture="alexnet")
        config = TrainConfig(network=network_config, epochs=ALEXNET_EPOCHS)
        work = state / "alexnet"
        if not (work / "spectrograms").is_dir():
            preprocess(bundled.RECORDINGS, work / "spectrograms", PreprocessConfig())
        train(work / "spectrograms", folder, config, work / "checkpoints")
        shutil.rmtree(work)
    return folder


def compare(
    state: State,
    size: Size,
    heard: list[TruePair],
    model_of: Callable[[str], Model | None],
    *,
    compute: bool = True,
) -> dict[System, list[Transfer]]:
    """Every system on every pair; without `compute`, those that are finished.

    model_of: from a classifier's name to it, or None where it is not trained yet.
    """
    transfers = {}
    for system in size.systems:
        model = model_of(system.classifier)
        if model is None:
            continue
        results = [transfer(state, pair, system, model, compute=compute) for pair in heard]
        rows = [one for one in results if one is not None]
        if len(rows) < len(heard):
            print(f"{system.label:28} {len(rows)} of {len(heard)} pairs are finished", flush=True)
            continue
        transfers[system] = rows
        figures = means([one.row for one in rows])
        text = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
        print(f"{system.label:28} {text}", flush=True)
    return transfers


def figures(out: Path, transfers: dict[System, list[Transfer]], pair: TruePair, ours: Path) -> None:
    """The pictures of the page, in `out`."""
    assert pair.target is not None
    heard = {"content": pair.content, "style": pair.style, "truth": pair.target}
    rate = network.load(ours).spectrogram.sample_rate
    spectrograms(out / "paper-spectrograms.png", heard, rate, 3)
    history = json.loads((ours / "metrics.json").read_text(encoding="utf-8"))["history"]
    names = [name for name in history[0] if name.endswith("_loss")]
    training = {name.replace("_", " "): [row[name] for row in history] for name in names}
    curves(out / "paper-training.png", training, "epoch", "cross entropy", log=False)
    shown = {system: rows[0] for system, rows in transfers.items()}
    falls = {
        system.label: np.asarray(one.losses) / one.losses[0]
        for system, one in shown.items()
        if system.name in PAPERS
    }
    curves(out / "paper-losses.png", falls, "step", "share of the first loss", log=True)
    ordered = sorted(shown, key=lambda system: system.start)
    results = {system.label: shown[system].sound for system in ordered}
    spectrograms(out / "paper-systems.png", results, rate, 3)


def results_of(
    size: Size, transfers: dict[System, list[Transfer]], table: dict[int, float], note: str
) -> Results:
    """A run's figures as data; those that are no finite number are left out."""
    rows = []
    for system, finished in transfers.items():
        row = means([one.row for one in finished])
        rows.append(
            Row(
                system=system.name,
                start=system.start,
                iterations=system.settings["iterations"],
                steps=round(float(np.mean([len(one.losses) - 1 for one in finished])), 2),
                figures={name: round(x, 6) for name, x in row.items() if np.isfinite(x)},
            )
        )
    return Results(
        size=size.name,
        filters=size.filters,
        divisor=size.steps,
        rows=tuple(rows),
        table_1=table,
        missing=tuple(system.label for system in size.systems if system not in transfers),
        note=note,
    )


def _weights(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals or name not in CATALOG:
        raise argparse.ArgumentTypeError(f"NETWORK=FILE, of {', '.join(CATALOG)} (got {text!r})")
    return name, Path(path)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="The paper's tables and figures")
    parser.add_argument("--full", action="store_true", help="the paper's iterations and filters")
    parser.add_argument("--tiny", action="store_true", help="a few steps of one pair, for tests")
    parser.add_argument(
        "--finished", action="store_true", help="compute nothing: the page of what is finished"
    )
    parser.add_argument("--state", type=Path, help="folder of what is finished")
    parser.add_argument("--classifier", type=Path, help="by default trained on what is bundled")
    parser.add_argument(
        "--weights", type=_weights, action="append", default=[], help="NETWORK=FILE, a row more"
    )
    parser.add_argument("--note", default="", help="a remark on this run, for its table")
    parser.add_argument("--out", type=Path, default=bundled.ROOT / "docs")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    size = FULL if options.full else TINY if options.tiny else SCALED
    if options.weights:
        size = with_weights(size, dict(options.weights))
    folder = options.state or bundled.ROOT / "outputs" / f"paper-{size.name}"
    try:
        _run(size, folder, options)
    except InputError as error:
        parser.error(str(error))
    except AudiostyleError as error:
        parser.exit(1, f"{error}\n")


def _run(size: Size, folder: Path, options: argparse.Namespace) -> None:
    device = network.device_of(options.device)
    for system in size.systems:  # weights are looked at now, and not after hours
        pinned(system.config)
    saved(options.out / DATA)  # and so are the figures that the page will have of other runs
    state = State(folder, lineage({}, device).get("git_revision", ""))
    with nullcontext() if options.finished else state.adding():
        _compare(size, state, options)


def _compare(size: Size, state: State, options: argparse.Namespace) -> None:
    folder = state.folder
    device = network.device_of(options.device)
    compute = not options.finished

    @cache
    def model_of(name: str) -> Model | None:
        """A classifier, trained when a row first needs it."""
        if name == "alexnet" and not compute and not (folder / "classifier-alexnet").is_dir():
            return None
        place = alexnet(folder) if name == "alexnet" else ours
        digest = artifacts.opening(place, artifacts.CLASSIFIER).digest
        return Model(network.load(place, device), digest)

    ours = classifier(folder, "ours", options.classifier)
    own = model_of("ours")
    assert own is not None
    if not note_posteriors.available():
        print(
            "notes are not measured: basic-pitch (pip install --no-deps) or onnxruntime is missing"
        )
    heard = pairs(size)
    transfers = compare(state, size, heard, model_of, compute=compute)
    table = table_1(state, heard[0], own, size, compute=compute)
    if not transfers:
        raise InputError("state: no system is finished on all pairs yet")
    results = results_of(size, transfers, table, options.note)
    data = options.out / DATA
    results.save(data)
    if not has_larger(data, size.name):
        figures(options.out / "pictures", transfers, heard[0], ours)
    write_text(options.out / "paper.md", page(saved(data)))
    whole = {
        system.label: {
            name: round(value, 4) for name, value in means([one.row for one in rows]).items()
        }
        for system, rows in transfers.items()
    }
    print(json.dumps({**whole, "size": size.name, "table_1": table}))


if __name__ == "__main__":
    main()
