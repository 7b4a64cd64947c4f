"""What is made of a pair: baselines, methods, their parts, and oracles that look at the target."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from audiostyle.network import Classifier
from audiostyle.spectrogram import SpectrogramConfig, filterbank
from components.stylize.config import StylizeConfig
from components.stylize.methods.default import WAYS, Blend, Ways
from components.stylize.methods.parts import recall
from components.stylize.methods.parts.equalizer import equalize
from components.stylize.methods.parts.method import Contents
from components.stylize.methods.parts.mixing import Mixture
from components.stylize.transfer import style_of, transfer, transfer_pair

# content, style, target: [bins, frames], linear; output the same, of as many frames as content.
Row = Callable[[Tensor, Tensor, Tensor | None], Tensor]

BASELINES = ("content", "style", "target", "equalizer")
METHODS = ("base", "shallow", "trained", "notes", "default")
ORACLES = ("oracle-equalizer", "oracle-envelope")
# The default with the trained classifier's activations among its keys, an untrained one's, none;
# with an untrained network for what it recalls; then without each of its ways.
KEYED = tuple(f"keys:{keys}" for keys in ("trained", "untrained", "none"))
UNTRAINED = "recall:untrained"
ABLATION = (*KEYED, UNTRAINED, *(f"without:{way}" for way in WAYS))
_BANDS = 40


class NoKeys(Blend):
    """The default without the network."""

    key_weights = (0.0, 0.0)


class UntrainedRecall(Blend):
    """The default with keys of recall that nobody trained."""

    @property
    def recall_network(self) -> recall.Network:
        """See Blend."""
        torch.manual_seed(0)
        return recall.Network().eval().requires_grad_(False).to(self.device)


class Without(Blend):
    """The default without one of its ways; the others share its weight."""

    way = 0

    def trust(self, ways: Ways) -> Mixture:
        """See Blend."""
        mixture = super().trust(ways)
        weights = mixture.weights.clone()
        weights[self.way] = 0
        return Mixture(weights / weights.sum(0).clamp_min(1e-9), mixture.gain)


def untrained(model: Classifier, seed: int = 0) -> Classifier:
    """The same network as before its training, but for the normalization of its input."""
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
        "target": lambda content, style, target: content if target is None else target,
        "equalizer": lambda content, style, target: _equalized(content, style, config),
        "oracle-equalizer": partial(_oracle, config, steady=True),
        "oracle-envelope": partial(_oracle, config, steady=False),
    }
    for method in METHODS:
        known[method] = partial(_stylized, model, _settings(method, quick))
    keyed = ((Blend, model), (Blend, untrained(model)), (NoKeys, model))
    for name, (kind, network) in zip(KEYED, keyed, strict=True):
        known[name] = partial(_attending, kind, network)
    known[UNTRAINED] = partial(_attending, UntrainedRecall, model)
    for number, way in enumerate(WAYS):
        lacking = type(f"Without{number}", (Without,), {"way": number})
        known[f"without:{way}"] = partial(_attending, lacking, model)
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


def _stylized(
    model: Classifier, settings: StylizeConfig, content: Tensor, style: Tensor, _: Tensor | None
) -> Tensor:
    return transfer_pair(model, content, style, settings).magnitude


def _attending(
    kind: type[Blend], model: Classifier, content: Tensor, style: Tensor, _: Tensor | None
) -> Tensor:
    settings = StylizeConfig()
    method = kind(settings, model)
    contents = Contents(content[None], content.square().mean(1)[None])
    return transfer(method, contents, [style_of(method, style)], settings, names=[""])[0].magnitude


def _equalized(content: Tensor, style: Tensor, config: SpectrogramConfig) -> Tensor:
    own, wanted = (x.square().mean(1)[None] for x in (content, style))
    return equalize(content[None], own, wanted, config)[0]


def _oracle(
    config: SpectrogramConfig,
    content: Tensor,
    style: Tensor,
    target: Tensor | None,
    *,
    steady: bool,
) -> Tensor:
    """The content with what the target has more in each of 40 mel bands."""
    if target is None or target.shape != content.shape:
        return content
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
