"""A network from elsewhere in the classifier's place: VGG-19, AlexNet, SoundNet, or VGGish.

The paper and those it cites compare such networks; content and style terms are `trained`'s, on
named layers of the network. Weights come from a file, or are drawn: a network that never learned
anything is the comparison that shows what its training is worth.
"""

from typing import Any

from torch import Tensor

from audiostyle.network import Classifier
from components.stylize.config import StylizeConfig
from components.stylize.methods.parts.method import Defaults
from components.stylize.methods.trained import Observer, Trained
from components.stylize.networks.catalog import CATALOG
from components.stylize.networks.hearing import hearing
from components.stylize.networks.stacks import build
from components.stylize.networks.weights import load


class Pretrained(Trained):
    """Activations of `content_layers` stay, Grams of `style_layers` become the style's."""

    def __init__(self, config: StylizeConfig, model: Classifier) -> None:
        super().__init__(config, model)
        assert config.network is not None  # noqa: S101, the settings are checked
        self.network = build(config.network)
        self.weights = load(self.network, config)
        self.network.requires_grad_(False).to(self.device)
        entry = CATALOG[config.network]
        self.defaults = Defaults(
            init="content",
            iterations=100,
            learning_rate=0.1,
            content_layers=entry.content,
            style_layers=entry.style,
        )

    @property
    def layers(self) -> tuple[str, ...]:
        """Of the network from elsewhere."""
        return self.config.layers

    def observer(self, start: Tensor) -> Observer:
        """Activations of what the network hears of magnitudes; see `networks/hearing.py`."""
        hear = hearing(self.network.name, start, self.spectrogram)
        return lambda magnitude, layers: self.network.activations(hear(magnitude), layers)

    def origin(self) -> dict[str, Any]:
        """Network, layers, and where its weights are from."""
        return {
            "name": self.network.name,
            "content_layers": list(self.content_layers),
            "style_layers": list(self.style_layers),
            "weights": self.weights.plain(),
        }


METHOD = Pretrained
