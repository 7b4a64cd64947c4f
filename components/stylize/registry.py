"""From a method's name to the method: the `METHOD` of its module."""

import importlib

from audiostyle.network import Classifier
from components.stylize import methods
from components.stylize.config import StylizeConfig
from components.stylize.methods.parts.method import Method


def make(config: StylizeConfig, model: Classifier) -> Method:
    """The method that the settings name. model: in evaluation mode, where it is to compute."""
    module = importlib.import_module(f"{methods.__name__}.{config.method.replace('-', '_')}")
    kind: type[Method] = module.METHOD
    return kind(config, model)
