"""The data sets that there are: every module of this package that has a `DEFINITION`."""

import importlib
import pkgutil

from audiostyle.errors import InputError
from components.preprocess import datasets
from components.preprocess.datasets.base import Definition


def definitions() -> tuple[Definition, ...]:
    """All data sets and layouts, in the order in which they are looked for."""
    modules = (
        importlib.import_module(f"{datasets.__name__}.{module.name}")
        for module in pkgutil.iter_modules(datasets.__path__)
    )
    there = [module.DEFINITION for module in modules if hasattr(module, "DEFINITION")]
    return tuple(sorted(there, key=lambda definition: (definition.rank, definition.name)))


def published() -> dict[str, Definition]:
    """The data sets that are known by name, by name."""
    return {d.name: d for d in definitions() if d.title}


def named(name: str) -> Definition:
    """The data set of a name. Raises InputError listing the names there are."""
    known = published()
    if name not in known:
        raise InputError(
            f"data: {name} does not exist, and no data set has that name; by name:"
            f" {', '.join(known)}"
        )
    return known[name]
