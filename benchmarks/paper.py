"""The paper's tables and figures, made again: `make paper` writes docs/paper.md.

    python -m benchmarks.paper [--full] [--classifier DIR] [--out docs]

Base, shallow and trained, each from the content and from noise, on the bundled pairs, measured
against the recordings that an ideal transfer would have given. By default scaled down to minutes on
two cores; `--full` takes the paper's iterations and filters, which is a matter of hours there.
The last line is one line of JSON.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audiostyle import audio, network
from audiostyle.audio import Recording, Samples
from audiostyle.network import Classifier
from audiostyle.spectrogram import magnitude
from benchmarks import bundled
from benchmarks.measures import means, measured, prepared
from benchmarks.paper_pictures import curves, spectrograms
from components.reconstruct.phase.retrieval import griffin_lim
from components.stylize.config import StylizeConfig
from components.stylize.transfer import transfer_pair

SYSTEMS = ("trained", "shallow", "base")  # in the order that the paper found
STARTS = ("content", "noise")
PAPER_TABLE = {10_000: 130.50, 12_000: 113.23, 15_000: 100.89, 20_000: 80.91}
SHOWN = "flute-violin"  # the pair of the figures

# Fewer steps of Adam, but longer ones, so that they can cover the way from noise.
_SCALED: dict[str, dict[str, Any]] = {
    "base": {"iterations": 300, "learning_rate": 0.02},
    "shallow": {"iterations": 100, "filters": 512},
    "trained": {"iterations": 100},
}
_FULL: dict[str, dict[str, Any]] = {
    "base": {"iterations": 20_000, "learning_rate": 1e-3},
    "shallow": {"iterations": 300, "filters": 4096},
    "trained": {"iterations": 2000},
}
# From noise there is a longer way to go, in nepers, than from the content.
_NOISE = {"trained": {"learning_rate": 0.05, "iterations": 400}}


@dataclass(frozen=True)
class Run:
    """One pair through one system from one start."""

    pair: str
    sound: Samples
    losses: dict[str, list[float]]
    row: dict[str, float]


Sounds = dict[str, dict[str, Samples]]  # pair -> role -> sound


def sounds() -> Sounds:
    """The bundled pairs, at one level."""
    return {
        pair.id: {role: prepared(audio.read(path)) for role, path in pair.recordings().items()}
        for pair in bundled.pairs()
    }


def run(model: Classifier, pair: str, heard: dict[str, Samples], config: StylizeConfig) -> Run:
    """Stylize, find a phase, measure."""
    spectrogram = model.spectrogram
    content, style = (
        magnitude(torch.from_numpy(heard[role]), spectrogram) for role in ("content", "style")
    )
    begun = time.perf_counter()
    done = transfer_pair(model, content, style, config, pair)
    seconds = time.perf_counter() - begun
    sound = griffin_lim(
        done.magnitude.numpy(),
        n_fft=spectrogram.n_fft,
        hop_length=spectrogram.hop_length,
        window=spectrogram.window,
        length=len(heard["content"]),
    )
    sound = prepared(Recording(sound[None], spectrogram.sample_rate))
    figures = measured(sound, heard["content"], heard["style"], heard["target"])
    return Run(pair, sound, done.losses, {**figures.plain(), "seconds": seconds})


def compare(model: Classifier, pairs: Sounds, full: bool) -> dict[tuple[str, str], list[Run]]:
    """Every system from every start on every pair."""
    by_system = {}
    for system in SYSTEMS:
        for start in STARTS:
            config = _settings(system, start, full)
            runs = [run(model, pair, heard, config) for pair, heard in pairs.items()]
            by_system[system, start] = runs
            print(f"{system:8} from {start:8}", _line(means([r.row for r in runs])), flush=True)
    return by_system


def _settings(system: str, start: str, full: bool) -> StylizeConfig:
    chosen = dict((_FULL if full else _SCALED)[system])
    if start == "noise":
        chosen |= _NOISE.get(system, {})
    return StylizeConfig.parse({**chosen, "method": system, "init": start}, "paper")


def table_1(model: Classifier, heard: dict[str, Samples], full: bool) -> dict[int, float]:
    """Total loss of the shallow system from noise, by iteration of Adam."""
    scale = 1 if full else 10
    config = StylizeConfig(
        method="shallow",
        init="noise",
        optimizer="adam",
        learning_rate=1e-3 * scale,
        filters=4096 if full else 512,
        iterations=max(PAPER_TABLE) // scale,
        tolerance=0,
    )
    total = run(model, SHOWN, heard, config).losses["total"]
    return {step: total[step // scale] for step in PAPER_TABLE}


def _line(row: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in row.items())


def ordering(summary: dict[tuple[str, str], dict[str, float]], start: str) -> list[str]:
    """Whether trained > shallow > base, by each measure."""
    lines = []
    for name, better, words in (
        ("gain_mean", 1, "mean gain (more is better)"),
        ("timbre", -1, "timbre, distance to the style (less is better)"),
        ("pitch", 1, "pitch, similarity to the content (more is better)"),
    ):
        values = {system: summary[system, start][name] for system in SYSTEMS}
        ranked = sorted(values, key=lambda system: -better * values[system])
        verdict = "holds" if tuple(ranked) == SYSTEMS else "does not hold"
        ranking = " > ".join(f"{system} ({values[system]:.3f})" for system in ranked)
        lines.append(f"- {words}: {ranking}; trained > shallow > base **{verdict}**.")
    return lines


def page(
    summary: dict[tuple[str, str], dict[str, float]], table: dict[int, float], full: bool
) -> str:
    """docs/paper.md."""
    scale = 1 if full else 10
    filters = 4096 if full else 512
    what = (
        "Run with the paper's iterations and filters (`--full`)."
        if full
        else "**Scaled down for a CPU**: fewer and longer steps (the tables say how many; in"
        f" table 1 a tenth of the paper's, ten times as long), and {filters} filters instead of"
        " 4,096 in `shallow`. `python -m benchmarks.paper --full` takes what the paper took."
    )
    lines = [
        "# The paper, made again",
        "",
        "Written by `make paper` (`benchmarks/paper.py`); every figure below is of that run. "
        + what,
        "",
        "Vedak and Bhatia, *Deep Audio Style Transfer*, compare three systems: `base` (three"
        " untrained 1-D convolutions, Adam), `shallow` (Ulyanov and Lebedev: one random layer) and"
        " `trained` (their own: the classifier's four layers). Their ranking was by ear and by"
        " spectrogram. Here the six bundled pairs have a truth: the content's phrase, played by the"
        " style's instrument. Measures as in `benchmarks/measures.py`; recordings of 3 s at one"
        " level; instruments and soundfont not those of the classifier's training.",
        "",
        "## The three systems",
        "",
        "| system | start | steps | gain, mean | median | lsd, dB | timbre | pitch | s a pair |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for (system, start), row in summary.items():
        lines.append(
            f"| {system} | {start} | {_settings(system, start, full).iterations} |"
            f" {row['gain_mean']:.3f} | {row['gain_median']:.3f} | {row['lsd']:.2f} |"
            f" {row['timbre']:.3f} | {row['pitch']:.3f} | {row['seconds']:.1f} |"
        )
    lines += [
        "",
        "gain: 0 for a copy of the content, 1 for the truth. timbre: cosine distance of the mean"
        " MFCCs to the style clip's. pitch: chroma similarity to the content's. seconds: of the"
        " stylization, on the machine of that run.",
        "",
    ]
    for start in STARTS:
        lines += [f"From {start}:", "", *ordering(summary, start), ""]
    lines += ["### From content against from noise", ""]
    for system in SYSTEMS:
        content, noise = (summary[system, start] for start in STARTS)
        lines.append(
            f"- `{system}`: gain {content['gain_mean']:.3f} from content,"
            f" {noise['gain_mean']:.3f} from noise; pitch {content['pitch']:.3f} and"
            f" {noise['pitch']:.3f}; timbre {content['timbre']:.3f} and {noise['timbre']:.3f}."
        )
    lines += [
        "",
        "## Table 1: total loss of `shallow`",
        "",
        f"Adam from noise on the pair {SHOWN}, {filters} filters. Losses of other filters, clips"
        " and levels have another scale: the fall is what can be compared.",
        "",
        "| iterations | here | share of the first | the paper's | share of the first |",
        "|---:|---:|---:|---:|---:|",
    ]
    first, paper_first = table[10_000], PAPER_TABLE[10_000]
    for step, value in table.items():
        lines.append(
            f"| {step // scale:,} | {value:.2f} | {value / first:.2f} |"
            f" {PAPER_TABLE[step]:.2f} at {step:,} | {PAPER_TABLE[step] / paper_first:.2f} |"
        )
    lines += [
        "",
        "## Figures",
        "",
        f"All of the pair {SHOWN}.",
        "",
        "![Spectrograms of content, style and truth](pictures/paper-spectrograms.png)",
        "",
        "*As figure 2: content, style, and what an ideal transfer would give.*",
        "",
        "![Loss of the classifier's training](pictures/paper-training.png)",
        "",
        "*As figure 3: the loss of the classifier's training, by epoch.*",
        "",
        "![Loss of the three systems](pictures/paper-losses.png)",
        "",
        "*As figure 4: the total loss of each system from content and from noise, as a share of"
        " where it began.*",
        "",
        "![Results of the three systems](pictures/paper-systems.png)",
        "",
        "*As figure 5: the three systems side by side, from content (above) and from noise"
        " (below).*",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="The paper's tables and figures")
    parser.add_argument("--full", action="store_true", help="the paper's iterations and filters")
    parser.add_argument("--classifier", type=Path, help="by default trained on what is bundled")
    parser.add_argument("--out", type=Path, default=bundled.ROOT / "docs")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    begun = time.perf_counter()
    folder = bundled.classifier(options.classifier)
    model = network.load(folder, network.device_of(options.device))
    pairs = sounds()
    runs = compare(model, pairs, options.full)
    table = table_1(model, pairs[SHOWN], options.full)
    summary = {key: means([r.row for r in several]) for key, several in runs.items()}

    pictures, rate = options.out / "pictures", model.spectrogram.sample_rate
    heard = {("truth" if role == "target" else role): x for role, x in pairs[SHOWN].items()}
    spectrograms(pictures / "paper-spectrograms.png", heard, rate, 3)
    history = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["history"]
    names = [name for name in history[0] if name.endswith("_loss")]
    training = {name.replace("_", " "): [row[name] for row in history] for name in names}
    curves(pictures / "paper-training.png", training, "epoch", "cross entropy", log=False)
    shown = {key: next(r for r in several if r.pair == SHOWN) for key, several in runs.items()}
    falls = {
        f"{system} from {start}": np.asarray(one.losses["total"]) / one.losses["total"][0]
        for (system, start), one in shown.items()
    }
    curves(pictures / "paper-losses.png", falls, "step", "share of the first loss", log=True)
    results = {
        f"{system} from {start}": shown[system, start].sound
        for start in STARTS
        for system in SYSTEMS
    }
    spectrograms(pictures / "paper-systems.png", results, rate, 3)
    (options.out / "paper.md").write_text(page(summary, table, options.full), encoding="utf-8")
    figures = {
        f"{system} from {start}": {name: round(value, 4) for name, value in row.items()}
        for (system, start), row in summary.items()
    }
    whole = {"full": options.full, "table_1": {k: round(v, 2) for k, v in table.items()}}
    whole["seconds"] = round(time.perf_counter() - begun)
    print(json.dumps({**figures, **whole}))


if __name__ == "__main__":
    main()
