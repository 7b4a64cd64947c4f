"""One check in a process of its own: its name as the argument, the surroundings on stdin as JSON.

The finding is the last line of standard output, as JSON. A process can be ended when it hangs,
and takes nothing with it when a native library fails.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict

from audiostyle.errors import AudiostyleError
from pipeline.doctor import machine, servers
from pipeline.doctor.finding import Finding, Surroundings

CHECKS: dict[str, Callable[[Surroundings], Finding]] = {
    "python": machine.python,
    "packages": machine.packages,
    "torch": machine.torch,
    "disk": machine.disk,
    "docker": machine.docker,
    "s3": servers.s3,
    "mlflow": servers.mlflow,
    "kubeflow": servers.kubeflow,
}


def main() -> None:
    """Do the check that the command line names."""
    around = Surroundings(**json.load(sys.stdin))
    try:
        finding = CHECKS[sys.argv[1]](around)
    except (AudiostyleError, ImportError, OSError, RuntimeError) as error:
        finding = Finding("problem", str(error), "see the message")
    print(f"\n{json.dumps(asdict(finding))}")


if __name__ == "__main__":
    main()
