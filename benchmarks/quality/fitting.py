"""Fit the default's networks: whose keys recall the style, and how far its ways are trusted.

    python -m benchmarks.quality.fitting --classifier DIR [--write]

Trained on pairs of the development side alone (`fitting_pairs`) and on recordings in their own
style, each kind as often as the others. What is recalled of a training pair, and so how far it can
be trusted, comes from a network that was trained on the other half of them. The first eight pairs
of each kind and all of StarNet's are left out, and their mean gain is printed: what comes of
recordings unlike all others. `--write` replaces the two files of weights of
components/stylize/methods/parts.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from librosa.filters import mel
from torch import Tensor

from audiostyle import network
from audiostyle.network import Classifier
from audiostyle.spectrogram import SpectrogramConfig, magnitude
from benchmarks import bundled, measures
from benchmarks.quality import fitting_recall
from benchmarks.quality.descent import Plan, descend
from benchmarks.quality.fitting_pairs import Fitting, fitting_pairs
from components.stylize.config import StylizeConfig
from components.stylize.methods.default import WAYS, Blend, Ways, blended
from components.stylize.methods.parts import mixing, recall
from components.stylize.methods.parts.method import LEVEL, Contents
from components.stylize.methods.parts.mixing import Mixture, Network
from components.stylize.methods.parts.pitch import track
from components.stylize.transfer import style_of

_DECAY = 1e-3
_FRAMES = 2  # every second one is compared
_OFTEN, _OWN_SHARE = {"voice": 2.0, "ensemble": 2.0}, 0.35
_ALIKE_DB = 1.0  # a pair that is nearer has nothing to learn from
_OWN_DB = 6.0  # a content in its own style may be off by a share of this


@dataclass(frozen=True)
class Recipe:
    """How a network is fitted.

    seen: how many features it sees, the others being as in the mean. drop: of these, the share
    that it does without at each step.
    """

    steps: int
    rate: float
    seen: int | None = None
    drop: float = 0.0


# The second does without the features that say how far the ways reach beyond the style: it goes
# less far astray on recordings unlike those that it was fitted on.
RECIPES = (Recipe(5000, 4e-3), Recipe(4500, 3e-3, seen=32, drop=0.1))


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


class Crossed(Blend):
    """The default with another network for what it recalls."""

    def __init__(self, model: Classifier, network: recall.Network) -> None:
        super().__init__(StylizeConfig(), model)
        self.network = network

    @property
    def recall_network(self) -> recall.Network:
        """See Blend."""
        return self.network


def examples(
    pairs: Sequence[Fitting], model: Classifier, networks: Mapping[int | None, recall.Network]
) -> list[Example]:
    """All of them, a fifth once more in their own style.

    networks: that recall the style; of a half, for the pairs of the other.
    """
    methods = {half: Crossed(model, network) for half, network in networks.items()}
    made = []
    for number, fitting in enumerate(pairs):
        method = methods[None if fitting.half is None else 1 - fitting.half]
        example = _example(method, fitting, own=False)
        if example.apart < _ALIKE_DB:
            continue
        made.append(example)
        if number % 5 == 0 and fitting.half is not None:
            made.append(_example(method, fitting, own=True))
    return made


@torch.no_grad()
def _example(method: Blend, fitting: Fitting, *, own: bool) -> Example:
    pair = fitting.pair
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
    kind = f"{pair.kind}{'-own' if own else ''}"
    return Example(kind, ways, wanted, apart, fitting.half is None)


def distance(
    networks: Sequence[Network], example: Example, config: SpectrogramConfig, stays: float
) -> Tensor:
    """Of the blend to the target, as a share of the content's. stays: see `mixing`."""
    mixture = mixing.mixture(networks, example.ways.features.float(), stays)
    some = Mixture(mixture.weights[:, :, ::_FRAMES], mixture.gain[:, ::_FRAMES])
    ways = replace(example.ways, logs=example.ways.logs.float())
    log_mel = _log_mel(blended(ways, some, config).clamp_min(1e-9))
    frames = min(log_mel.shape[1], example.target.shape[1])
    apart = log_mel[:, :frames] - example.target[:, :frames]
    return (apart.square().mean() + 0.3).sqrt() / example.apart


class Partial(Network):
    """A network in training that sees some of its features."""

    def __init__(self, training: list[Example], recipe: Recipe) -> None:
        values = [x.ways.features.float()[:, :, ::7].flatten(1) for x in training[::3]]
        known = torch.cat(values, 1)
        super().__init__(len(known), len(WAYS))
        self.mean.copy_(known.mean(1))
        self.scale.copy_(known.std(1) + 1e-3)
        self.seen = torch.arange(len(known)) < (recipe.seen or len(known))
        self.drop = recipe.drop

    def forward(self, features: Tensor) -> Tensor:
        """See Network."""
        seen = self.seen
        if self.training and self.drop:
            seen = seen & (torch.rand(len(seen)) > self.drop)
        mean = self.mean[:, None, None]
        return super().forward(mean + (features - mean) * seen[:, None, None])

    def whole(self) -> Network:
        """The same as a network to which the others' weights are zero."""
        network = Network(len(self.mean), len(WAYS))
        network.load_state_dict(self.state_dict())
        with torch.no_grad():
            network.first.weight *= self.seen
        return network.eval()


def fitted(known: list[Example], config: SpectrogramConfig, recipe: Recipe) -> Network:
    """Trained on all examples that are not for validation."""
    torch.manual_seed(0)
    training = [x for x in known if not x.validation]
    network = Partial(training, recipe)
    descend(
        network,
        training,
        lambda example: distance([network], example, config, 0.0),
        Plan(recipe.steps, recipe.rate, _DECAY),
        lambda kind: (_OWN_SHARE if kind.endswith("own") else 1.0) * _OFTEN.get(kind, 1.0),
    )
    return network.whole()


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
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    model = network.load(bundled.classifier(arguments.classifier))
    pairs = list(fitting_pairs())
    recalling = fitting_recall.trained_networks(fitting_recall.examples(pairs, model.spectrogram))
    known = examples(pairs, model, recalling)
    print(f"{len(known)} examples, {sum(x.validation for x in known)} for validation", flush=True)
    networks = [fitted(known, model.spectrogram, recipe) for recipe in RECIPES]
    with torch.no_grad():
        for kind in dict.fromkeys(x.kind for x in known if x.validation):
            gains = [
                1 - float(distance(networks, x, model.spectrogram, mixing.STAYS))
                for x in known
                if x.validation and x.kind == kind
            ]
            print(f"{kind:10s} gain {np.mean(gains):.3f}, worst {min(gains):.3f}", flush=True)
    if arguments.write:
        recall.save(recalling[None], recall.WEIGHTS)
        mixing.save(networks, mixing.WEIGHTS)


if __name__ == "__main__":
    main()
