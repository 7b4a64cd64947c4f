"""All checks beside each other, each in a process of its own and for a limited time."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from audiostyle.environment_secrets import hidden
from audiostyle.uris import without_secrets
from pipeline.doctor.finding import Finding, Surroundings

NAMES = ("python", "packages", "torch", "disk", "docker", "s3", "mlflow", "kubeflow")

# Characters of a detail: a server may answer with a page.
_LONGEST = 600


def examine(around: Surroundings, limit: float) -> dict[str, Finding]:
    """The findings by the names of the checks. limit: seconds for each of them."""
    with ThreadPoolExecutor(len(NAMES)) as threads:
        return dict(zip(NAMES, threads.map(partial(_bounded, around, limit), NAMES), strict=True))


def _bounded(around: Surroundings, limit: float, name: str) -> Finding:
    """One check; what it starts ends with it, at the latest after `limit` seconds."""
    process = subprocess.Popen(
        # -P: a folder `pipeline` where the command is given is not ours.
        [sys.executable, "-P", "-m", "pipeline.doctor", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        printed, errors = process.communicate(json.dumps(asdict(around)), timeout=limit)
        finding = Finding(**json.loads(printed.splitlines()[-1]))
    except subprocess.TimeoutExpired:
        finding = Finding(
            "problem", f"no answer within {limit:g} s", "--limit gives it longer; see what hangs"
        )
    except (ValueError, IndexError, TypeError):
        last = (errors.strip().splitlines() or ["no message"])[-1]
        finding = Finding(
            "problem",
            f"the check ended with {process.returncode}: {last}",
            "install audiostyle again; report it if that does not help",
        )
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return replace(finding, detail=_public(finding.detail, around))


def _public(text: str, around: Surroundings) -> str:
    """A text in one line, without passwords in addresses and secrets that this process knows."""
    # A server may repeat what it was sent.
    line = hidden(" ".join(without_secrets(text).split()), _token(around))
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _token(around: Surroundings) -> list[str]:
    if file := around.connection.get("token_file"):
        with suppress(OSError, UnicodeDecodeError):
            return [Path(file).expanduser().read_text(encoding="utf-8").strip()]
    return []
