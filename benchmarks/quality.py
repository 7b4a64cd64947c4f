"""How near does each method come to the truth?

    python -m benchmarks.quality [--pairs DIR|CSV|development|heldout|bundled] [--methods a,b]
        [--count N] [--classifier DIR] [--quick]

Prints a table and, as its last line, one line of JSON: per row `gain_mean`, `gain_median`,
`timbre`, `pitch`, `lsd` and `seconds` (of one pair, phase retrieval left out). Contents, styles
and targets of 3 s are of `benchmarks.pairs`; without fluidsynth or the soundfont, the bundled
ones. Everything is measured on sound, after phase retrieval, as users hear it, by
`benchmarks.measures`.

Rows: copies of the content and of the style, the target itself (through phase retrieval), an
equaliser, the methods, and two oracles that look at the target: the best constant equaliser, and
the content under the target's 40-band envelope in each frame. `ablation` stands for six rows:
the default with the activations of the trained network, of an untrained one of the same shape,
and of none among its keys; and the same where nothing else tells frames of a note apart.
`--quick`: 4 pairs, and a tenth of the steps.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from audiostyle import network
from audiostyle.audio import Recording
from audiostyle.network import Classifier
from audiostyle.spectrogram import SpectrogramConfig, filterbank, magnitude
from benchmarks import bundled, measures, pairs
from benchmarks.pairs import TruePair
from components.reconstruct.phase.retrieval import griffin_lim
from components.stylize.config import StylizeConfig
from components.stylize.methods.attention import Attention
from components.stylize.methods.equaliser import equalise
from components.stylize.methods.method import Contents
from components.stylize.transfer import style_of, transfer, transfer_pair

# content, style, target: [bins, frames], linear; output the same, of as many frames as content.
Row = Callable[[Tensor, Tensor, Tensor], Tensor]

BASELINES = ("content", "style", "target", "equaliser")
METHODS = ("base", "shallow", "trained", "default")
ORACLES = ("oracle-equaliser", "oracle-envelope")
# The default with the trained network's activations among its keys, an untrained one's, and none;
# then without the times since onset and release, so that activations must tell what they told.
ABLATION = tuple(
    f"{recipe}:{keys}"
    for recipe in ("default", "timeless")
    for keys in ("trained", "untrained", "none")
)
_BANDS = 40


class NoKeys(Attention):
    """The default without the network."""

    key_weights = (0.0, 0.0)


class Timeless(Attention):
    """Pitch and activations alone; these weigh as much as they then should."""

    key_weights = (8.0, 8.0)
    time_widths = (1e6, 1e6)


class TimelessNoKeys(Timeless):
    """Pitch alone."""

    key_weights = (0.0, 0.0)


def untrained(model: Classifier, seed: int = 0) -> Classifier:
    """The same network as before its training, but for the normalisation of its input."""
    torch.manual_seed(seed)
    fresh = Classifier(model.network, model.spectrogram, model.class_names)
    fresh.band_mean.copy_(model.band_mean)
    fresh.band_scale.copy_(model.band_scale)
    return fresh.eval()


def rows(names: list[str], model: Classifier, quick: bool) -> dict[str, Row]:
    """What each row makes of a pair."""
    config = model.spectrogram
    known: dict[str, Row] = {
        "content": lambda content, style, target: content,
        "style": lambda content, style, target: _fitted(style, content.shape[1]),
        "target": lambda content, style, target: target,
        "equaliser": lambda content, style, target: _equalised(content, style, config),
        "oracle-equaliser": partial(_oracle, config, steady=True),
        "oracle-envelope": partial(_oracle, config, steady=False),
    }
    for method in METHODS:
        known[method] = partial(_stylised, model, _settings(method, quick))
    fresh = untrained(model)
    kinds = ((Attention, model), (Attention, fresh), (NoKeys, model))
    timeless = ((Timeless, model), (Timeless, fresh), (TimelessNoKeys, model))
    for name, (kind, keyed) in zip(ABLATION, (*kinds, *timeless), strict=True):
        known[name] = partial(_attending, kind, keyed)
    chosen = [*BASELINES, *METHODS, *ORACLES] if names == ["all"] else names
    chosen = [x for name in chosen for x in (ABLATION if name == "ablation" else (name,))]
    if missing := set(chosen) - set(known):
        raise SystemExit(f"--methods: unknown {sorted(missing)}; there are {', '.join(known)}")
    return {name: known[name] for name in chosen}


def _settings(method: str, quick: bool) -> StylizeConfig:
    # Ulyanov and Lebedev's: 100 steps of L-BFGS. Base is the paper's, Adam at 1e-3.
    values: dict[str, object] = {"method": method}
    if method == "shallow":
        values |= {"optimizer": "lbfgs", "iterations": 100, "tolerance": 0}
    if quick and method == "shallow":
        values["iterations"] = 10
    elif quick and method in ("base", "trained"):
        values["iterations"] = 50
    return StylizeConfig.parse(values, "benchmark")


def _stylised(
    model: Classifier, settings: StylizeConfig, content: Tensor, style: Tensor, _: Tensor
) -> Tensor:
    return transfer_pair(model, content, style, settings).magnitude


def _attending(
    kind: type[Attention], model: Classifier, content: Tensor, style: Tensor, _: Tensor
) -> Tensor:
    settings = StylizeConfig()
    method = kind(settings, model)
    contents = Contents(content[None], content.square().mean(1)[None])
    return transfer(method, contents, [style_of(method, style)], settings, names=[""])[0].magnitude


def _equalised(content: Tensor, style: Tensor, config: SpectrogramConfig) -> Tensor:
    own, wanted = (x.square().mean(1)[None] for x in (content, style))
    return equalise(content[None], own, wanted, config)[0]


def _oracle(
    config: SpectrogramConfig, content: Tensor, style: Tensor, target: Tensor, *, steady: bool
) -> Tensor:
    """The content with what the target has more in each of 40 mel bands."""
    bank = filterbank(config, "mel", _BANDS, 40.0, 0.45 * config.sample_rate)
    own, wanted = ((bank @ x.square() + 1e-8).log() / 2 for x in (content, target))
    gain = wanted - own
    if steady:
        gain = gain.mean(1, keepdim=True).expand_as(gain)
    share = bank / bank.amax(1, keepdim=True)
    curve = (share / share.sum(0).clamp_min(1e-9)).T @ gain
    first, last = (share.sum(0) > 0.5).nonzero()[[0, -1], 0]
    curve[:first], curve[last + 1 :] = curve[first], curve[last]
    return content * curve.exp()


def _fitted(magnitude: Tensor, frames: int) -> Tensor:
    repeated = magnitude.repeat(1, -(-frames // magnitude.shape[1]))
    return repeated[:, :frames]


def measure(row: Row, pair: TruePair, config: SpectrogramConfig) -> dict[str, float]:
    """All columns of one row and pair."""
    spectra = [
        magnitude(torch.from_numpy(sound), config)
        for sound in (pair.content, pair.style, pair.target)
    ]
    start = time.perf_counter()
    result = row(*spectra)
    seconds = time.perf_counter() - start
    sound = griffin_lim(
        result,
        hop_length=config.hop_length,
        n_fft=config.n_fft,
        window=config.window,
        length=len(pair.content),
    )
    heard = measures.prepared(Recording(sound.numpy()[None], config.sample_rate))
    found = measures.measured(heard, pair.content, pair.style, pair.target)
    return {**found.plain(), "seconds": seconds}


def chosen_pairs(name: str, count: int) -> list[TruePair]:
    """The pairs of a set, a folder or a manifest; the bundled ones where none can be played."""
    if name in pairs.SETS:
        if pairs.can_play():
            return pairs.played(name, count)
        print(f"fluidsynth, mido or {pairs.FONT} is missing: the bundled pairs instead")
        name = "bundled"
    return pairs.read(pairs.BUNDLED if name == "bundled" else Path(name))[:count]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", default="heldout")
    parser.add_argument("--methods", default="all", help="rows by name, by commas")
    parser.add_argument("--count", type=int, default=16, help="pairs at most")
    parser.add_argument("--classifier", type=Path, help="artifact; else one is trained, once")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    model = network.load(bundled.classifier(arguments.classifier))
    found = chosen_pairs(arguments.pairs, min(arguments.count, 4 if arguments.quick else 32))
    chosen = rows(arguments.methods.split(","), model, arguments.quick)
    summary: dict[str, dict[str, float]] = {}
    head = ("lsd", "gain_mean", "gain_median", "timbre", "pitch", "seconds")
    print(f"{len(found)} pairs: {arguments.pairs}")
    print(f"{'':18s}" + "".join(f"{name:>13s}" for name in head), flush=True)
    for name, row in chosen.items():
        values = measures.means([measure(row, pair, model.spectrogram) for pair in found])
        summary[name] = {column: round(values[column], 4) for column in head}
        line = "".join(f"{values[column]:13.3f}" for column in head)
        print(f"{name:18s}{line}", flush=True)
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
