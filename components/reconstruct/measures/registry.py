"""The measures that there are: every module of this package that has a function `measure`."""

import importlib
import math
import pkgutil
from collections.abc import Mapping
from pathlib import Path

from components.reconstruct import measures
from components.reconstruct.measures.sounds import Sounds


def measured(result: Path, sources: Mapping[str, Path]) -> dict[str, float]:
    """All measures of a result, by name. sources: files by role (content, style, target).

    A measure that lacks a recording, or is no number (a share of no distance), has no value.
    """
    sounds = Sounds(result, sources)
    values: dict[str, float] = {}
    for module in sorted(pkgutil.iter_modules(measures.__path__), key=lambda m: m.name):
        loaded = importlib.import_module(f"{measures.__name__}.{module.name}")
        if hasattr(loaded, "measure"):
            values |= loaded.measure(sounds)
    return {name: value for name, value in values.items() if math.isfinite(value)}
