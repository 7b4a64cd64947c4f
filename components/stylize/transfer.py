"""From the spectrograms of contents and the statistics of styles to stylized spectrograms."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audiostyle.network import Classifier
from components.stylize.bursts import restrained
from components.stylize.config import StylizeConfig
from components.stylize.methods.parts.method import (
    LEVEL,
    Contents,
    Defaults,
    Heard,
    Method,
    Style,
)
from components.stylize.methods.parts.transposition import moved, register, semitones_to
from components.stylize.optimize import Descended, Plan, descend
from components.stylize.registry import make

__all__ = [
    "StylizeConfig",
    "Transferred",
    "noise_like",
    "resolved",
    "settings_used",
    "style_of",
    "transfer",
    "transfer_pair",
]

log = logging.getLogger(__name__)

# Frames of noise drawn at a time, each block from a seed of its own, so that windows of one
# recording have the same noise where they overlap.
_NOISE_FRAMES = 64
# Of the loudest cell, 75 dB down: where `strength` averages logarithms, nothing is fainter.
_FAINT = 10 ** (-75 / 20)
# A step in nepers for Adam; for L-BFGS the whole of what curvature asks for.
_RATES = {"adam": 0.01, "lbfgs": 1.0}


@dataclass(frozen=True)
class Transferred:
    """Outcome for one window. magnitude: [bins, frames] linear, at the content's level.

    losses: term -> value at the start and after each step; empty where nothing is optimized.
    error: what stopped it early, in which case magnitude is its last good state; else "".
    heard: see `components.stylize.heard`.
    """

    magnitude: Tensor
    losses: dict[str, list[float]]
    error: str = ""
    heard: Heard = field(default_factory=dict)


def resolved(method: Method, config: StylizeConfig) -> Defaults:
    """The settings with the method's own choices where they leave it open."""
    settings = {
        name: value
        for name in Defaults.__dataclass_fields__
        if (value := getattr(config, name)) is not None
    }
    own = method.defaults
    if settings.get("optimizer", own.optimizer) != own.optimizer:
        own = replace(own, learning_rate=_RATES[settings["optimizer"]])
    return replace(own, **settings)


def settings_used(method: Method, config: StylizeConfig) -> dict[str, Any]:
    """All settings, as JSON holds them: the method's own choices where they leave it open."""
    choices = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in vars(resolved(method, config)).items()
    }
    chosen = {**config.plain(), **choices}
    if config.weights:
        chosen["weights"] = Path(config.weights).name  # not where this machine has them
    return chosen


@torch.no_grad()
def style_of(method: Method, magnitude: Tensor) -> Style:
    """Statistics of a style clip [bins, frames], linear, at any level."""
    scale = LEVEL / magnitude.square().mean().sqrt()
    scaled = (magnitude * scale).to(method.device)
    return {
        **method.style(scaled),
        "register": register(scaled.square().mean(1), method.spectrogram),
    }


def transfer(
    method: Method,
    contents: Contents,
    styles: Sequence[Style],
    config: StylizeConfig,
    *,
    names: Sequence[str],
    first_frames: Sequence[int] | None = None,
) -> list[Transferred]:
    """Give each content the statistics of its style, as one batch.

    contents: at any level, on any device. first_frames: where each window begins in its
    recording. A batch that does not fit into the GPU's memory is halved.
    """
    first_frames = first_frames or [0] * len(names)
    try:
        return _transfer(method, contents, styles, config, names, first_frames)
    except torch.cuda.OutOfMemoryError:
        half = len(names) // 2
        if not half:
            raise
    # Outside the handler: its traceback holds on to the tensors that did not fit.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    log.info("stylize: %d windows do not fit into memory together; halved", len(names))
    return [
        done
        for part in (slice(half), slice(half, None))
        for done in transfer(
            method,
            contents.some(part),
            styles[part],
            config,
            names=names[part],
            first_frames=first_frames[part],
        )
    ]


def _transfer(
    method: Method,
    contents: Contents,
    styles: Sequence[Style],
    config: StylizeConfig,
    names: Sequence[str],
    first_frames: Sequence[int],
) -> list[Transferred]:
    chosen = resolved(method, config)
    sound = contents.magnitude.to(method.device)
    power = contents.power.to(method.device)
    # [batch]; a recording is not silent, so there is a level.
    level = power.mean(1).sqrt() / LEVEL
    scaled = Contents(sound / level[:, None, None], power / level[:, None].square())
    if config.transpose != 0:
        scaled = _transposed(method, scaled, styles, config)
    with torch.no_grad():
        problem = method.prepare(scaled, styles)
    result = problem.start
    done = Descended(result, [{} for _ in names], [None for _ in names])
    # Where nothing is optimized there is no loss to tell of.
    if problem.terms is not None and (chosen.iterations or chosen.init != "method"):
        if chosen.init == "content":
            result = scaled.magnitude
        elif chosen.init == "noise":
            result = method.noise * noise_like(scaled.magnitude, first_frames, config.seed)
        plan = Plan(
            optimizer=chosen.optimizer,
            iterations=chosen.iterations,
            learning_rate=chosen.learning_rate,
            content_weight=chosen.content_weight,
            style_weight=chosen.style_weight,
            tolerance=config.tolerance,
        )
        label = names[0] if len(names) == 1 else f"{len(names)} windows"
        done = descend(problem.terms, method.encode(result), plan, label)
        result = method.decode(done.x)
    if config.strength < 1 and not method.own_strength:
        floor = scaled.magnitude.amax((1, 2), keepdim=True) * _FAINT
        result = torch.lerp(
            (scaled.magnitude + floor).log(), (result + floor).log(), config.strength
        )
        result = (result.exp() - floor).clamp_min(0)
    result = restrained(sound, result * _gain(sound, result)[:, None, None])
    errors = [
        ""
        if step is None
        else f"{name}: the loss is not finite at step {step}; lower learning_rate"
        for name, step in zip(names, done.broken, strict=True)
    ]
    heard = problem.heard or [{} for _ in names]
    rows = zip(result.cpu(), done.losses, errors, heard, strict=True)
    return [Transferred(*row) for row in rows]


def _transposed(
    method: Method, contents: Contents, styles: Sequence[Style], config: StylizeConfig
) -> Contents:
    """Contents moved in pitch as asked; a whole recording by as much, whatever its window."""
    magnitudes, powers = [], []
    for magnitude, power, style in zip(contents.magnitude, contents.power, styles, strict=True):
        own = register(power, method.spectrogram)
        semitones = semitones_to(own, style["register"], config.transpose)
        magnitudes.append(moved(magnitude, semitones))
        powers.append(moved(power[:, None], semitones)[:, 0])
    return Contents(torch.stack(magnitudes), torch.stack(powers))


def transfer_pair(
    model: Classifier, content: Tensor, style: Tensor, config: StylizeConfig, name: str = ""
) -> Transferred:
    """Transfer between two whole spectrograms. content, style: [bins, frames], linear."""
    method = make(config, model)
    contents = Contents(content[None], content.square().mean(1)[None])
    (done,) = transfer(method, contents, [style_of(method, style)], config, names=[name])
    return done


def _gain(content: Tensor, result: Tensor) -> Tensor:
    """What brings each result to its content's level, so that windows join. Output: [batch].

    The mean of the frames' gains in dB, each weighed by what the content's frame has of the
    energy: a click at a cut edge, which a style may lift by 30 dB, does not turn the rest down.
    """
    energy = [x.square().sum(1) for x in (content, result)]  # [batch, frames]
    weight = energy[0] / energy[0].sum(1, keepdim=True).clamp_min(1e-30)
    ratio = (energy[0].clamp_min(1e-30) / energy[1].clamp_min(1e-30)).log()
    return (0.5 * (weight * ratio).sum(1)).exp()


def noise_like(magnitude: Tensor, first_frames: Sequence[int], seed: int) -> Tensor:
    """Magnitudes of white noise of each window's level: Rayleigh distributed in every cell."""
    _, bins, frames = magnitude.shape

    def block(number: int) -> Tensor:
        random = torch.Generator().manual_seed(seed * 1_000_003 + number)
        return torch.rand(bins, _NOISE_FRAMES, generator=random)

    uniform = []
    for first in first_frames:
        low, high = first // _NOISE_FRAMES, -(-(first + frames) // _NOISE_FRAMES)
        drawn = torch.cat([block(number) for number in range(low, high)], 1)
        uniform.append(drawn[:, first - low * _NOISE_FRAMES :][:, :frames])
    level = magnitude.square().mean((1, 2), keepdim=True).sqrt()
    return level * (-torch.log1p(-torch.stack(uniform).to(magnitude.device))).sqrt()
