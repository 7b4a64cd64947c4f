"""Fit the network that says how far the default's ways are trusted.

    python -m benchmarks.quality.fitting --classifier DIR [--epochs 12] [--write]

Trained on pairs of the development side alone (further phrases, FluidR3 beside TimGM6mb, and
recordings in their own style), each kind as often as the others; the first eight pairs of each
kind are left out, and their mean gain is printed. `--write` replaces
components/stylize/methods/parts/mixing_weights.py.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
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
from benchmarks.quality.synthetic import synthetic
from components.stylize.config import StylizeConfig
from components.stylize.methods.default import WAYS, Blend, Ways
from components.stylize.methods.parts import bands, mixing
from components.stylize.methods.parts.method import LEVEL, Contents
from components.stylize.methods.parts.pitch import track
from components.stylize.transfer import style_of

TARGET = Path(mixing.__file__).with_name("mixing_weights.py")
_HIDDEN, _RATE, _DECAY, _WORST, _VALIDATION = 32, 6e-3, 1e-3, 0.3, 8
_OWN_DB = 6.0  # a content in its own style may be off by a share of this


@dataclass(frozen=True)
class Example:
    """A pair's ways, and what they should give: log-mel target [80, frames]; apart: dB of it."""

    kind: str
    ways: Ways
    target: Tensor
    path: Tensor | None
    apart: float
    validation: bool


def training_pairs() -> Iterator[tuple[TruePair, bool]]:
    """Pairs of the development side, and whether they are for validation."""
    side, fluid = "development", example_module("catalogue").FLUIDR3
    sets = [
        *(kinds.pairs_of(kind, side, 16)[0] for kind in ("voice", "starnet", "starmix", "speech")),
        playing.chords(side, 40),
        playing.duet(side, 32),
        playing.drums(side, 48),
        playing.real(side, 44),
    ]
    for found in sets:
        for number, pair in enumerate(found):
            yield pair, number < _VALIDATION and pair.kind not in ("starnet", "starmix", "speech")
    further = [
        playing.melodies(side, 24),
        playing.melodies(side, 60, fluid)[24:],
        playing.chords(side, 64, fluid)[40:],
        playing.duet(side, 64, fluid)[40:],
        synthetic(48, playing.random_phrase),
    ]
    for found in further:
        yield from ((pair, False) for pair in found)


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
    ways = Ways(ways.logs.half(), ways.features.half(), ways.depth, ways.gate)
    target = pair.content if own else pair.target
    wanted = _log_mel(magnitude(torch.from_numpy(target), method.spectrogram))
    path = None
    if pair.kind == "speech" and not own:
        path = torch.from_numpy(measures.alignment(pair.content, pair.target).copy())
    apart = (
        _OWN_DB
        if own
        else measures.lsd(pair.content, pair.target, None if path is None else path.numpy())
    )
    return Example(f"{pair.kind}{'-own' if own else ''}", ways, wanted, path, apart, validation)


class Network(nn.Module):
    """As `mixing.Mixer`, to be trained."""

    def __init__(self, found: list[Example]) -> None:
        super().__init__()
        seen = torch.cat([x.ways.features.float()[:, :, ::7].flatten(1) for x in found], 1)
        self.mean, self.scale = seen.mean(1), seen.std(1) + 1e-3
        self.hidden = nn.Linear(len(seen), _HIDDEN)
        self.out = nn.Linear(_HIDDEN, len(WAYS))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def mixer(self) -> mixing.Mixer:
        """Its weights as the default takes them."""
        hidden, out = self.hidden, self.out
        return mixing.Mixer(
            self.mean, self.scale, hidden.weight.T, hidden.bias, out.weight.T, out.bias
        )

    def distance(self, example: Example, model: Classifier) -> Tensor:
        """Of the blend to the target, as a share of the content's."""
        ways, config = example.ways, model.spectrogram
        weights = self.mixer().weights(ways.features.float())
        mixed = (ways.logs.float() * bands.curve(weights, config)).sum(0)
        found = _log_mel((mixed.exp() - ways.depth).clamp_min(1e-9) * ways.gate)
        if example.path is None:
            frames = min(found.shape[1], example.target.shape[1])
            apart = found[:, :frames] - example.target[:, :frames]
        else:
            first = example.path[:, 0].clamp_max(found.shape[1] - 1)
            second = example.path[:, 1].clamp_max(example.target.shape[1] - 1)
            apart = found[:, first] - example.target[:, second]
        return (apart.square().mean() + 0.3).sqrt() / example.apart


def fitted(found: list[Example], model: Classifier, epochs: int) -> Network:
    """Trained on all examples that are not for validation."""
    torch.manual_seed(0)
    training = [x for x in found if not x.validation]
    made = Network(training)
    optimiser = torch.optim.AdamW(made.parameters(), lr=_RATE, weight_decay=_DECAY)
    steps = epochs * len(training)
    plan = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, _RATE, total_steps=steps + 1, pct_start=0.1
    )
    counts = {x.kind: sum(y.kind == x.kind for y in training) for x in training}
    chance = np.array(
        [(0.35 if x.kind.endswith("own") else 1.0) / counts[x.kind] ** 0.7 for x in training]
    )
    chance *= [2.0 if x.kind == "voice" else 1.0 for x in training]
    random = np.random.default_rng(0)
    for _ in range(steps):
        example = training[int(random.choice(len(training), p=chance / chance.sum()))]
        ratio = made.distance(example, model)
        loss = ratio + _WORST * functional.relu(ratio - 0.95)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(made.parameters(), 1.0)
        optimiser.step()
        plan.step()
    return made


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
        for row in value.reshape(-1, value.shape[-1]).tolist():
            words = [f"{number:.3f}" for number in row]
            parts = [", ".join(words[at : at + 12]) for at in range(0, len(words), 12)]
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
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    model = network.load(bundled.classifier(arguments.classifier))
    found = examples(model)
    made = fitted(found, model, arguments.epochs)
    with torch.no_grad():
        for kind in dict.fromkeys(x.kind for x in found if x.validation):
            gains = [
                1 - float(made.distance(x, model)) for x in found if x.validation and x.kind == kind
            ]
            print(f"{kind:10s} gain {np.mean(gains):.3f}, worst {min(gains):.3f}", flush=True)
    if arguments.write:
        TARGET.write_text(source_of(made.mixer()), "utf-8")


if __name__ == "__main__":
    main()
