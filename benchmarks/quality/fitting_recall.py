"""Train the networks whose keys recall the style's levels; see `fitting`.

A mean of the style's levels, weighed by how like its frames are to the content's, should be the
target's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from audiostyle.audio import Samples
from audiostyle.spectrogram import SpectrogramConfig, magnitude
from benchmarks.quality.descent import Plan, descend
from benchmarks.quality.fitting_pairs import Fitting
from components.stylize.methods.notes import times_of
from components.stylize.methods.parts import bands, recall
from components.stylize.methods.parts.onsets import find_notes
from components.stylize.methods.parts.pitch import track

_STEPS, _HALF_STEPS, _RATE, _DECAY, _DROP = 16_000, 10_000, 2e-3, 1e-2, 0.1
_ALIKE = 0.15  # nepers: a pair that is nearer has nothing to learn from


@dataclass(frozen=True)
class Example:
    """What is seen of content and style, [n, frames]; levels [frames, bands]; the content's apart.

    apart: of the content's levels to the target's, nepers.
    """

    kind: str
    content: Tensor
    style: Tensor
    style_levels: Tensor
    target: Tensor
    apart: float
    half: int | None


@torch.no_grad()
def examples(pairs: Sequence[Fitting], config: SpectrogramConfig) -> list[Example]:
    """Of all pairs that differ."""
    made = []
    for fitting in pairs:
        pair = fitting.pair
        assert pair.target is not None
        content, own = _seen(pair.content, config, style=False)
        style, levels = _seen(pair.style, config, style=True)
        target = recall.levels_of(bands.envelope(_leveled(pair.target, config), config))
        frames = min(len(own), len(target))
        target = target[:frames]
        apart = float((own[:frames] - target).square().mean().sqrt())
        if apart > _ALIKE:
            made.append(Example(pair.kind, content, style, levels, target, apart, fitting.half))
    return made


def _leveled(sound: Samples, config: SpectrogramConfig) -> Tensor:
    spectrum = magnitude(torch.from_numpy(sound), config)
    return spectrum / spectrum.square().mean().sqrt()


def _seen(sound: Samples, config: SpectrogramConfig, *, style: bool) -> tuple[Tensor, Tensor]:
    spectrum = _leveled(sound, config)
    pitch = track(spectrum[None], config)
    times = times_of(find_notes(spectrum, pitch, 0, config))[:, 0]
    return recall.seen_of(spectrum, times, pitch, 0, config, style=style)


def distance(keys: recall.Network, example: Example, drop: float = 0.0) -> Tensor:
    """Of what is recalled to the target, as a share of the content's."""
    content, style = (functional.dropout(x, drop) for x in (example.content, example.style))
    answer = recall.recalled(keys(content), keys(style), example.style_levels).T
    apart = answer[: len(example.target)] - example.target
    return (apart.square().mean() + 0.01).sqrt() / example.apart


def trained(training: Sequence[Example], steps: int = _STEPS) -> recall.Network:
    """On these, each kind nearly as often as the others."""
    torch.manual_seed(0)
    keys = recall.Network()
    plan = Plan(steps, _RATE, _DECAY)
    descend(keys, training, lambda example: distance(keys, example, _DROP), plan)
    return keys.eval()


def trained_networks(known: Sequence[Example]) -> dict[int | None, recall.Network]:
    """Of all that is not for validation (None), and of each half by its number."""
    training = [x for x in known if x.half is not None]
    networks: dict[int | None, recall.Network] = {None: trained(training)}
    for half in (0, 1):
        networks[half] = trained([x for x in training if x.half == half], _HALF_STEPS)
    return networks
