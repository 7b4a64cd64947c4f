"""The entry point of a stage's image: the command line of the stage that it was built for."""

import os
import runpy
import sys

from audiostyle.stages import STAGES

# Set in deploy/Dockerfile.
VARIABLE = "AUDIOSTYLE_STAGE"

if __name__ == "__main__":
    stage = os.environ.get(VARIABLE, "")
    if stage not in STAGES:
        sys.exit(f"{VARIABLE} must be one of {', '.join(STAGES)} (got {stage!r})")
    runpy.run_module(f"components.{stage}", run_name="__main__", alter_sys=True)
