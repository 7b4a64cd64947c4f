"""Which extra of the distribution installs a module that is missing."""

import re
from importlib.metadata import PackageNotFoundError, requires

from audiostyle.stages import STAGES

# Modules that are not called like their packages.
_PACKAGES = {"yaml": "pyyaml", "pil": "pillow"}
_REQUIREMENT = re.compile(r"([\w.-]+).*extra == ['\"]([\w-]+)['\"]")


def extra_of(module: str) -> str:
    """The extra with a module; empty where none has it.

    `pipeline`, which installs all stages, for whatever a stage needs: a command that lacks one
    package of it is about to lack the next.
    """
    top = module.partition(".")[0].replace("_", "-").lower()
    package = _PACKAGES.get(top, top)
    try:
        matches = map(_REQUIREMENT.match, requires("audiostyle") or [])
    except PackageNotFoundError:  # sources that are not installed
        return ""
    extras = [m[2] for m in matches if m and m[1].replace("_", "-").lower() == package]
    return "pipeline" if {*STAGES, "pipeline"} & set(extras) else next(iter(extras), "")
