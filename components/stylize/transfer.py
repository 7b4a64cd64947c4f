"""Style transfer by optimising a spectrogram against the activations of a network.

Gatys, Ecker and Bethge 2016, 'Image style transfer using convolutional neural networks', carried
over to audio by Vedak and Bhatia, 'Deep Audio Style Transfer': content is kept as activations,
style as their Gram matrices.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from audiostyle.command import bar
from audiostyle.config import Config
from audiostyle.errors import AudiostyleError
from audiostyle.network import TAPS, Classifier
from components.stylize.equaliser import equalise

Tap = Literal["conv1", "conv2", "conv3", "conv4"]


class StylizeConfig(Config):
    """Settings of the stage."""

    method: Literal["trained"] = Field("trained", description="the classifier's activations")
    init: Literal["equalised", "content", "noise"] = Field(
        "equalised",
        description="what to start from; equalised is the content under the style's mean spectrum",
    )
    content_layers: tuple[Tap, ...] = Field(("conv1",), min_length=1, description="taps to keep")
    style_layers: tuple[Tap, ...] = Field(
        ("conv1", "conv2", "conv3", "conv4"), min_length=1, description="taps to match"
    )
    content_weight: float = Field(1.0, ge=0, description="of the content term")
    style_weight: float = Field(1.0, ge=0, description="of the style term")
    iterations: int = Field(80, ge=1, description="steps of Adam")
    learning_rate: float = Field(0.01, gt=0, description="of Adam, in nepers of magnitude")
    seed: int = Field(0, description="of the noise to start from")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")


@dataclass(frozen=True)
class Transferred:
    """Outcome of one transfer. magnitude: [bins, frames] linear; losses: term -> value a step."""

    magnitude: Tensor
    losses: dict[str, list[float]]


# 100 dB below the clip's level nothing is heard, nor seen by the network, whose floor is above:
# what keeps logarithms finite.
FLOOR = 1e-5


def transfer(
    model: Classifier, content: Tensor, style: Tensor, config: StylizeConfig, name: str = ""
) -> Transferred:
    """Give the content's spectrogram the style's statistics.

    content: [bins, frames], style: [bins, frames'], linear magnitudes of any length, on the
    model's device. The logarithm of the magnitude is what is optimised: it keeps magnitudes
    positive, and a step is as large for a faint partial as for a loud one. Started from the
    equalised content, what is kept is the equalised content's structure. From noise, more and
    larger steps are needed than the default's.
    Raises AudiostyleError, naming `name`, when a loss stops being finite.
    """
    model.requires_grad_(False)
    style_grams = {
        tap: gram(value) for tap, value in model.features(style[None], config.style_layers).items()
    }
    if config.init == "equalised":
        content = equalise(content, style, model.spectrogram)
    kept = model.features(content[None], config.content_layers)
    # Each term is relative to what it starts from, so that one weight fits every layer and model.
    content_scale = {tap: value.square().mean() for tap, value in kept.items()}
    style_scale = {tap: value.square().sum() for tap, value in style_grams.items()}
    start = _noise(content, config.seed) if config.init == "noise" else content
    log_magnitude = (start + FLOOR * content.square().mean().sqrt()).log().requires_grad_()
    optimiser = torch.optim.Adam([log_magnitude], lr=config.learning_rate)
    taps = tuple(tap for tap in TAPS if tap in {*config.content_layers, *config.style_layers})
    # Kept on the device and fetched once: reading a value each step would stall a GPU.
    terms = torch.zeros(config.iterations, 2, device=content.device)
    for step in bar(range(config.iterations), f"stylize {name}".rstrip(), config.iterations):
        seen = model.features(log_magnitude.exp()[None], taps)
        content_loss = torch.stack(
            [functional.mse_loss(seen[tap], kept[tap]) / content_scale[tap] for tap in kept]
        ).mean()
        style_loss = torch.stack(
            [
                (gram(seen[tap]) - style_grams[tap]).square().sum() / style_scale[tap]
                for tap in style_grams
            ]
        ).mean()
        loss = config.content_weight * content_loss + config.style_weight * style_loss
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimiser.step()
        terms[step, 0], terms[step, 1] = content_loss.detach(), style_loss.detach()
    values = terms.cpu()
    if not values.isfinite().all():
        step = int((~values.isfinite()).any(1).nonzero()[0])
        raise AudiostyleError(f"{name}: the loss is not finite at step {step}; lower learning_rate")
    weights = torch.tensor([config.content_weight, config.style_weight])
    return Transferred(
        log_magnitude.detach().exp(),
        {
            "total": (values @ weights).tolist(),
            "content": values[:, 0].tolist(),
            "style": values[:, 1].tolist(),
        },
    )


def gram(features: Tensor) -> Tensor:
    """Gram matrix of activations, mean over bands and frames: lengths need not be equal.

    Input: [batch, channels, bands, frames]. Output: [batch, channels, channels].
    """
    flat = features.flatten(2)
    return flat @ flat.mT / flat.shape[2]


def _noise(content: Tensor, seed: int) -> Tensor:
    """Magnitudes of white noise of the content's level: Rayleigh distributed in every cell."""
    random = torch.Generator(content.device).manual_seed(seed)
    uniform = torch.rand(content.shape, generator=random, device=content.device)
    level = content.square().mean().sqrt()
    return level * (-torch.log1p(-uniform)).sqrt()
