"""Fit the network that says how far the default's ways are trusted.

    python -m benchmarks.quality.fitting --classifier DIR [--epochs 4] [--write]

Trained on pairs of the development side alone (further phrases, FluidR3 beside TimGM6mb, ensembles
of several instruments and drums, and recordings in their own style), each kind as often as the
others. The first eight pairs of each kind and all of StarNet's are left out, and their mean gain is
printed: what comes of recordings unlike all others. `--write` replaces
components/stylize/methods/parts/mixing_weights.py.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from librosa.filters import mel
from torch import Tensor, nn
from torch.nn import functional

from audiostyle import network
from audiostyle.network import Classifier
from audiostyle.spectrogram import magnitude
from benchmarks import bundled, measures
from benchmarks.pairs import TruePair, example_module
from benchmarks.quality import kinds, playing
from benchmarks.quality.ensembles import ensembles
from benchmarks.quality.synthetic import synthetic
from components.stylize.config import StylizeConfig
from components.stylize.methods.default import WAYS, Blend, Ways
from components.stylize.methods.parts import bands, mixing
from components.stylize.methods.parts.method import LEVEL, Contents
from components.stylize.methods.parts.pitch import track
from components.stylize.transfer import style_of

TARGET = Path(mixing.__file__).with_name("mixing_weights.py")
_HIDDEN, _RATE, _DECAY, _VALIDATION = 32, 6e-3, 1e-3, 8
# How much more a gain below .05 counts.
_WORST = 0.3
# Two networks are averaged: one that sees all features, and one that does without those from 32 on,
# which say how far the ways reach beyond the style.
_SEEN = (None, 32)
_FRAMES = 2  # every second one is compared
_OFTEN = {"voice": 2.0, "ensemble": 2.0}
_OWN_DB = 6.0  # a content in its own style may be off by a share of this


@dataclass(frozen=True)
class Example:
    """A pair's ways, and what they should give: log-mel target [80, frames]; apart: dB of it.

    logs: of every second frame, as the target is.
    """

    kind: str
    ways: Ways
    target: Tensor
    apart: float
    validation: bool


def training_pairs() -> Iterator[tuple[TruePair, bool]]:
    """Pairs of the development side, and whether they are for validation."""
    side, fluid = "development", example_module("catalogue").FLUIDR3
    public = [pair for kind in ("starnet", "starmix") for pair in kinds.pairs_of(kind, side, 16)[0]]
    yield from ((pair, True) for pair in public)
    sets = [
        kinds.pairs_of("voice", side, 16)[0],
        playing.chords(side, 28),
        playing.duet(side, 28),
        playing.drums(side, 48),
        playing.real(side, 28),
        ensembles(side, 48),
    ]
    for pairs in sets:
        yield from ((pair, number < _VALIDATION) for number, pair in enumerate(pairs))
    further = [
        playing.melodies(side, 12),
        playing.melodies(side, 48, fluid)[24:],
        playing.chords(side, 64, fluid)[48:],
        playing.duet(side, 56, fluid)[40:],
        ensembles(side, 36, fluid, reverb=True),
        synthetic(30, playing.random_phrase),
    ]
    for pairs in further:
        yield from ((pair, False) for pair in pairs)


def examples(model: Classifier) -> list[Example]:
    """All of them, a fifth once more in their own style."""
    method = Blend(StylizeConfig(), model)
    made = []
    for number, (pair, validation) in enumerate(training_pairs()):
        made.append(_example(method, pair, own=False, validation=validation))
        if number % 5 == 0 and not validation:
            made.append(_example(method, pair, own=True, validation=False))
    return made


@torch.no_grad()
def _example(method: Blend, pair: TruePair, *, own: bool, validation: bool) -> Example:
    assert pair.target is not None
    content = magnitude(torch.from_numpy(pair.content), method.spectrogram)
    level = content.square().mean().sqrt()
    style = content if own else magnitude(torch.from_numpy(pair.style), method.spectrogram)
    contents = Contents(
        (content * LEVEL / level)[None], (content * LEVEL / level).square().mean(1)[None]
    )
    pitch = track(contents.magnitude, method.spectrogram)
    (ways,) = method.ways(contents, [style_of(method, style)], pitch)
    ways = replace(
        ways,
        logs=ways.logs[:, :, ::_FRAMES].half(),
        features=ways.features.half(),
        gate=ways.gate[::_FRAMES],
    )
    target = pair.content if own else pair.target
    wanted = _log_mel(magnitude(torch.from_numpy(target), method.spectrogram))[:, ::_FRAMES]
    apart = _OWN_DB if own else measures.lsd(pair.content, pair.target)
    return Example(f"{pair.kind}{'-own' if own else ''}", ways, wanted, apart, validation)


class Network(nn.Module):
    """As `mixing.Mixer`, to be trained. seen: how many features it sees, None for all."""

    def __init__(self, known: list[Example], seen: int | None = None) -> None:
        super().__init__()
        values = torch.cat([x.ways.features.float()[:, :, ::7].flatten(1) for x in known], 1)
        self.mean, self.scale = values.mean(1), values.std(1) + 1e-3
        self.hidden = nn.Linear(len(values), _HIDDEN)
        self.out = nn.Linear(_HIDDEN, len(WAYS))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.sees = (torch.arange(len(self.mean)) < (seen or len(self.mean))).float()

    def mixer(self) -> mixing.Mixer:
        """Its weights as the default takes them."""
        hidden, out = self.hidden, self.out
        return mixing.Mixer(
            self.mean,
            self.scale,
            hidden.weight.T * self.sees[:, None],
            hidden.bias,
            out.weight.T,
            out.bias,
        )


def distance(mixer: mixing.Mixer, example: Example, model: Classifier, stays: float) -> Tensor:
    """Of the blend to the target, as a share of the content's. stays: see `mixing`."""
    ways, config = example.ways, model.spectrogram
    weights = mixer.weights(ways.features.float(), stays)[:, :, ::_FRAMES]
    mixed = torch.zeros_like(ways.logs[0], dtype=torch.float32)
    for log, weight in zip(ways.logs, weights, strict=True):
        mixed = mixed + log.float() * bands.curve(weight, config)
    log_mel = _log_mel((mixed.exp() - ways.depth).clamp_min(1e-9) * ways.gate)
    frames = min(log_mel.shape[1], example.target.shape[1])
    apart = log_mel[:, :frames] - example.target[:, :frames]
    return (apart.square().mean() + 0.3).sqrt() / example.apart


def averaged(mixers: Sequence[mixing.Mixer]) -> mixing.Mixer:
    """One network that says what several say in the mean; all see features alike."""
    return mixing.Mixer(
        mixers[0].mean,
        mixers[0].scale,
        torch.cat([x.hidden for x in mixers], 1),
        torch.cat([x.hidden_offset for x in mixers]),
        torch.cat([x.out for x in mixers]) / len(mixers),
        torch.stack([x.out_offset for x in mixers]).mean(0),
    )


def fitted(known: list[Example], model: Classifier, epochs: int, seen: int | None) -> mixing.Mixer:
    """Trained on all examples that are not for validation. seen: see `Network`."""
    torch.manual_seed(0)
    training = [x for x in known if not x.validation]
    made = Network(training, seen)
    optimizer = torch.optim.AdamW(made.parameters(), lr=_RATE, weight_decay=_DECAY)
    steps = epochs * len(training)
    plan = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, _RATE, total_steps=steps + 1, pct_start=0.1
    )
    counts = {x.kind: sum(y.kind == x.kind for y in training) for x in training}
    chance = np.array(
        [(0.35 if x.kind.endswith("own") else 1.0) / counts[x.kind] ** 0.7 for x in training]
    )
    chance *= [_OFTEN.get(x.kind, 1.0) for x in training]
    random = np.random.default_rng(0)
    for _ in range(steps):
        example = training[int(random.choice(len(training), p=chance / chance.sum()))]
        ratio = distance(made.mixer(), example, model, 0.0)
        loss = ratio + _WORST * functional.relu(ratio - 0.95)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(made.parameters(), 1.0)
        optimizer.step()
        plan.step()
    return made.mixer()


def source_of(mixer: mixing.Mixer) -> str:
    """The module that holds the weights."""
    lines = [
        '"""Weights of `mixing.py`. Written by `python -m benchmarks.quality.fitting --write`."""',
        "",
        "# fmt: off",
        "VALUES: dict[str, list[list[float]]] = {",
    ]
    for name in mixing.Mixer.__annotations__:
        value: Tensor = getattr(mixer, name).detach()
        lines.append(f'    "{name}": [')
        digits, size = (3, 11) if name in ("mean", "scale") else (2, 13)
        for row in value.reshape(-1, value.shape[-1]).tolist():
            words = [f"{number:.{digits}f}" for number in row]
            parts = [", ".join(words[at : at + size]) for at in range(0, len(words), size)]
            lines.append("        [" + ",\n         ".join(parts) + "],")
        lines.append("    ],")
    return "\n".join([*lines, "}", "# fmt: on", ""])


def _log_mel(magnitudes: Tensor) -> Tensor:
    """As the ruler hears it, [80, frames], at one level."""
    bank = torch.from_numpy(mel(sr=measures.RATE, n_fft=2048, n_mels=80)).float()
    power = bank @ magnitudes.square() * (1.0 / magnitudes.square().mean())
    logs = 10 * power.clamp_min(1e-10).log10()
    return torch.maximum(logs, logs.max() - 60)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--classifier", type=Path, help="artifact; else one is trained, once")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    model = network.load(bundled.classifier(arguments.classifier))
    known = examples(model)
    made = averaged([fitted(known, model, arguments.epochs, seen) for seen in _SEEN])
    with torch.no_grad():
        for kind in dict.fromkeys(x.kind for x in known if x.validation):
            gains = [
                1 - float(distance(made, x, model, mixing.STAYS))
                for x in known
                if x.validation and x.kind == kind
            ]
            print(f"{kind:10s} gain {np.mean(gains):.3f}, worst {min(gains):.3f}", flush=True)
    if arguments.write:
        TARGET.write_text(source_of(made), "utf-8")


if __name__ == "__main__":
    main()
