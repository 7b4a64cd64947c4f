"""Augmentation of spectrograms: what differs between recordings of one class without changing it.

All of it works on a batch of log powers by band, where a filter is an addition, a room a decay
along time, and a change of tuning a shift along the bands; so it costs little and runs where the
batch is. Input and output: [batch, bands, frames] float32, natural log of power.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from components.train.config import AugmentationConfig


def augment(x: Tensor, config: AugmentationConfig, random: torch.Generator) -> Tensor:
    """Apply every kind of augmentation but mixup to a batch."""
    if config.crop < 1:
        x = _crop(x, config.crop, random)
    if config.tuning:
        x = _tune(x, config.tuning, random)
    if config.room:
        x = _reverberate(x, config.room, random)
    if config.filter_db:
        x = _filter(x, config.filter_db, random)
    if config.noise:
        x = _add_noise(x, config.noise, random)
    for _ in range(config.masks):
        x = _mask(_mask(x, 1, random), 2, random)
    return x


def mix(
    x: Tensor, targets: Tensor, config: AugmentationConfig, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Mixup: each clip is blended with another, its target likewise.

    targets: [batch, classes] probabilities. A blend of log powers is a cross-fade in level, which
    regularises and stays in the range of the data. A blend of powers is what the sum of both
    sounds has on average, at amplitudes of the target's shares and the level of one alone:
    between-class learning (Tokozume, Ushiku and Harada 2018, equation 2).
    random: on the host, since torch's Beta takes no generator of its own.
    """
    if not config.mixup:
        return x, targets
    share = random.beta(config.mixup, config.mixup, len(x)).astype(np.float32)
    weight = torch.from_numpy(share).to(x.device)[:, None]
    other = torch.from_numpy(random.permutation(len(x))).to(x.device)
    blended = targets * weight + targets[other] * (1 - weight)
    weight = weight[..., None]
    if config.mixing == "level":
        return x * weight + x[other] * (1 - weight), blended
    level = weight.square() + (1 - weight).square()
    one, two = ((w.square() / level).clamp_min(1e-12).log() for w in (weight, 1 - weight))
    return torch.logaddexp(x + one, x[other] + two), blended


def _uniform(n: int, low: float, high: float, x: Tensor, random: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=random, device=x.device)


def _crop(x: Tensor, share: float, random: torch.Generator) -> Tensor:
    """A stretch of each clip at its own random place, running on from end to start."""
    start = torch.randint(x.shape[2], (len(x), 1), generator=random, device=x.device)
    length = max(1, round(share * x.shape[2]))
    frame = (start + torch.arange(length, device=x.device)) % x.shape[2]  # [batch, length]
    return x.gather(2, frame[:, None].expand(-1, x.shape[1], -1))


def _tune(x: Tensor, bands: float, random: torch.Generator) -> Tensor:
    """Shift by a fraction of bands, interpolating between neighbors."""
    place = (
        torch.arange(x.shape[1], device=x.device)
        + _uniform(len(x), -bands, bands, x, random)[:, None]
    )
    place = place.clamp(0, x.shape[1] - 1)
    low = place.floor().long()
    part = (place - low)[..., None]
    below = x.gather(1, low[..., None].expand_as(x))
    above = x.gather(1, (low + 1).clamp_max(x.shape[1] - 1)[..., None].expand_as(x))
    return below + part * (above - below)


def _reverberate(x: Tensor, share: float, random: torch.Generator) -> Tensor:
    """Add an exponential tail to the power, decaying by 60 dB in about 0.2 to 1.5 s."""
    # Decay a frame of 23 ms, in nepers of power; the tail's strength against the direct sound.
    decay = _uniform(len(x), 0.2, 1.6, x, random)[:, None, None]
    strength = _uniform(len(x), 0.02, 0.3, x, random)[:, None, None]
    strength = strength * (_uniform(len(x), 0, 1, x, random)[:, None, None] < share)
    time = torch.arange(x.shape[2], device=x.device)
    lag = time - time[:, None]  # [from, to]
    tail = strength * torch.exp(-decay * lag.clamp_min(0)) * (lag > 0)
    kernel = tail + (lag == 0)
    return (x.exp() @ kernel).clamp_min(1e-9).log()


def _filter(x: Tensor, deviation: float, random: torch.Generator) -> Tensor:
    """Random equalizer: normal gains at 6 points along the bands, cubic in between."""
    points = torch.randn(len(x), 1, 6, 1, generator=random, device=x.device)
    curve = functional.interpolate(
        points, size=(x.shape[1], 1), mode="bicubic", align_corners=True
    )[:, 0]
    nepers = deviation * 0.2302585  # dB to natural log of power
    return x + nepers * curve


def _add_noise(x: Tensor, share: float, random: torch.Generator) -> Tensor:
    """Stationary noise of random slope, 25 to 60 dB below the clip's mean power."""
    level = -_uniform(len(x), 25, 60, x, random) * 0.2302585
    slope = _uniform(len(x), -3, 0, x, random)
    silent = _uniform(len(x), 0, 1, x, random) >= share
    level = level.masked_fill(silent, -100.0)
    along = torch.linspace(0, 1, x.shape[1], device=x.device)
    floor = (level[:, None] + slope[:, None] * along)[..., None]
    # The power of a noise's spectrogram is exponentially distributed in every cell; averaging
    # over a band narrows it. One draw of it keeps the floor from being a flat color.
    grain = torch.rand(x.shape, generator=random, device=x.device) * 0.7
    return torch.logaddexp(x, floor + grain)


def _mask(x: Tensor, axis: int, random: torch.Generator) -> Tensor:
    """Replace a stretch of up to an eighth of an axis by the clip's mean."""
    n = x.shape[axis]
    width = _uniform(len(x), 0, n / 8, x, random)[:, None]
    start = _uniform(len(x), 0, 1, x, random)[:, None] * (n - width)
    place = torch.arange(n, device=x.device)
    inside = (place >= start) & (place < start + width)  # [batch, n]
    inside = inside[:, None] if axis == 2 else inside[..., None]
    return torch.where(inside, x.mean((1, 2), keepdim=True), x)
