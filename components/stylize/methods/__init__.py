"""Methods of style transfer, one module each, which has the name that a user gives.

A hyphen of the name is an underscore of the module.

A module with a `METHOD` in this package is all that a new one needs; `names` and
`components.stylize.registry` find it there. What several methods share, and what a method is, lies
in `parts`.
"""

import pkgutil


def names() -> tuple[str, ...]:
    """The names of all methods, `default` first. Imports none of them, as they need torch."""
    modules = (
        module.name.replace("_", "-")
        for module in pkgutil.iter_modules(__path__)
        if not module.ispkg
    )
    return tuple(sorted(modules, key=lambda name: (name != "default", name)))
