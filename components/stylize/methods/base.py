"""The paper's base model: three untrained 1-D convolutions."""

from audiostyle.network import Classifier
from components.stylize.config import StylizeConfig
from components.stylize.methods.parts.method import Defaults
from components.stylize.methods.parts.random_layers import RandomLayers

WIDTHS = (128, 256, 512)


class Base(RandomLayers):
    """128, 256 and 512 filters of 11 frames."""

    defaults = Defaults(init="content", iterations=2000, learning_rate=1e-3)

    def __init__(self, config: StylizeConfig, model: Classifier) -> None:
        super().__init__(config, model, WIDTHS)


METHOD = Base
