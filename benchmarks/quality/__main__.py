"""How near does each method come to the truth, by kind of recording?

    python -m benchmarks.quality [--kind K,K] [--side development|heldout] [--methods a,b]
        [--count N] [--pairs DIR|CSV] [--classifier DIR] [--quick]

Prints a table for each kind and, as its last line, one line of JSON: row -> kind -> measure.
Everything is measured on sound, after phase retrieval from the content's phase, as users hear it.

- `gain_mean`, `gain_median`, `gain_worst`: 0 for a copy of the content, 1 for the target, by the
  log-mel distance `lsd` (dB); speech along a path that aligns content and target
- `notes`, `kept`: BasicPitch's note posteriors, distance to the target's and to the content's
- `timbre`, `spread`: mean MFCCs and their deviations, distance to the style's
- `chroma`: likeness to the content's; `estoi`: intelligibility; `onsets`: F1 to the content's
- `texture`: distance of texture statistics to the style's, where the style is an effect
- `self`, `self_estoi`: what becomes of a content in its own style (dB)

Rows: copies of the content and of the style, the target itself, an equalizer, the methods, and two
oracles that look at the target: the best constant equalizer, and the content under the target's
40-band envelope in each frame. `ablation` stands for the default with the activations of the
trained network, of an untrained one of the same shape, and of none, and without each of its
ways. `--quick`: 4 pairs a kind, and
a tenth of the steps.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from audiostyle import network
from audiostyle.audio import Recording, Samples
from audiostyle.network import Classifier
from audiostyle.spectrogram import SpectrogramConfig, stft
from benchmarks import bundled, measures, pairs
from benchmarks.pairs import TruePair
from benchmarks.quality import kinds, rows
from benchmarks.quality.rows import Row
from benchmarks.quality.scores import Reference, notices, own_style, scores
from components.reconstruct.phase.retrieval import griffin_lim

_SHOWN = (
    *("gain_mean", "gain_median", "gain_worst", "lsd", "notes", "kept", "timbre", "spread"),
    *("chroma", "estoi", "onsets", "texture", "self", "self_estoi", "seconds"),
)
# Pairs of a kind whose contents are given their own style.
_OWN = 4


@dataclass(frozen=True)
class Spectra:
    """Of one pair: magnitudes [bins, frames], and the content's phase."""

    content: Tensor
    style: Tensor
    target: Tensor | None
    phase: Tensor


def spectra_of(pair: TruePair, config: SpectrogramConfig) -> Spectra:
    """Transforms of all sounds."""
    content, style = (stft(torch.from_numpy(sound), config) for sound in (pair.content, pair.style))
    target = None if pair.target is None else stft(torch.from_numpy(pair.target), config).abs()
    return Spectra(content.abs(), style.abs(), target, content.angle())


def sound_of(result: Tensor, phase: Tensor, config: SpectrogramConfig, length: int) -> Samples:
    """As a listener gets it; the content's phase is no better than none for another's frames."""
    known = phase if phase.shape == result.shape else None
    samples = griffin_lim(
        result,
        hop_length=config.hop_length,
        n_fft=config.n_fft,
        window=config.window,
        phase=known,
        length=length if known is not None else None,
    )
    return measures.prepared(Recording(samples.numpy()[None], config.sample_rate))


def measure(
    row: Row, reference: Reference, config: SpectrogramConfig, own: bool
) -> dict[str, float]:
    """All columns of one row and pair."""
    pair = reference.pair
    spectra = spectra_of(pair, config)
    start = time.perf_counter()
    result = row(spectra.content, spectra.style, spectra.target)
    seconds = time.perf_counter() - start
    measured = scores(sound_of(result, spectra.phase, config, len(pair.content)), reference)
    if own:
        again = row(spectra.content, spectra.content, spectra.content)
        measured |= own_style(sound_of(again, spectra.phase, config, len(pair.content)), pair)
    return {**measured, "seconds": seconds}


def measured_kind(
    drawn: list[TruePair], chosen: dict[str, Row], model: Classifier
) -> dict[str, dict[str, float]]:
    """Means by row; prints each as it is there."""
    references = [Reference(pair) for pair in drawn]
    summary: dict[str, dict[str, float]] = {}
    for name, row in chosen.items():
        aligned = drawn[0].kind == "speech"
        if drawn[0].target is None and (name == "target" or name in rows.ORACLES):
            continue
        if aligned and (name in ("target", "style") or name in rows.ORACLES):
            continue
        own = name not in (*rows.ORACLES, "style", "target")
        values = measures.means(
            [
                measure(row, reference, model.spectrogram, own and number < _OWN)
                for number, reference in enumerate(references)
            ]
        )
        columns = [column for column in _SHOWN if column in values]
        summary[name] = {column: round(values[column], 4) for column in columns}
        if len(summary) == 1:
            print(f"{'':18s}" + "".join(f"{column:>12s}" for column in columns))
        print(f"{name:18s}" + "".join(f"{values[column]:12.3f}" for column in columns), flush=True)
    return summary


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kind", action="append", help=f"of {', '.join(kinds.KINDS)}; by commas")
    parser.add_argument("--side", default="heldout", choices=kinds.SIDES)
    parser.add_argument("--pairs", help="a folder or manifest of pairs with targets, instead")
    parser.add_argument("--methods", default="all", help="rows by name, by commas")
    parser.add_argument("--count", type=int, default=16, help="pairs of a kind at most")
    parser.add_argument("--classifier", type=Path, help="artifact; else one is trained, once")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    asked = [kind for part in arguments.kind or kinds.KINDS for kind in part.split(",")]
    if unknown := set(asked) - set(kinds.KINDS):
        parser.error(f"--kind: unknown {sorted(unknown)}; there are {', '.join(kinds.KINDS)}")
    model = network.load(bundled.classifier(arguments.classifier))
    chosen = rows.rows(arguments.methods.split(","), model, arguments.quick)
    for notice in notices():
        print(notice)
    count = min(arguments.count, 4) if arguments.quick else arguments.count
    sets: dict[str, list[TruePair]] = {}
    if arguments.pairs:
        place = pairs.BUNDLED if arguments.pairs == "bundled" else Path(arguments.pairs)
        sets["given"] = pairs.read(place)[:count]
    else:
        for kind in asked:
            sets[kind], lacking = kinds.pairs_of(kind, arguments.side, count)
            if lacking:
                print(f"{kind}: passed over: {lacking}")
    summary: dict[str, dict[str, dict[str, float]]] = {}
    for kind, drawn in sets.items():
        if drawn:
            print(f"\n{kind}, {arguments.side}: {len(drawn)} pairs")
            for name, values in measured_kind(drawn, chosen, model).items():
                summary.setdefault(name, {})[kind] = values
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
