"""Methods of style transfer, one module each; `method.py` says what a method is."""

from audiostyle.network import Classifier
from components.stylize.config import StylizeConfig
from components.stylize.methods.attention import Attention
from components.stylize.methods.base import Base
from components.stylize.methods.blend import Blend
from components.stylize.methods.method import Method
from components.stylize.methods.shallow import Shallow
from components.stylize.methods.trained import Trained

METHODS: dict[str, type[Method]] = {
    "default": Blend,
    "notes": Attention,
    "trained": Trained,
    "shallow": Shallow,
    "base": Base,
}


def make(config: StylizeConfig, model: Classifier) -> Method:
    """The method that the settings name. model: in evaluation mode, where it is to compute."""
    return METHODS[config.method](config, model)
