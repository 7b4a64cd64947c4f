"""The gate's verdict on a version, in words that say what to do."""

import shlex
from pathlib import Path
from typing import Any

from audiostyle.errors import AudiostyleError

_STATUS = {"promote": "promoted", "hold": "held", "unchanged": "unchanged"}


def status_of(registration: dict[str, Any]) -> dict[str, Any]:
    """What a registration came to, for `--json`: its status is promoted, held or unchanged."""
    return {
        "status": _STATUS.get(registration["verdict"], registration["verdict"]),
        "model": registration["name"],
        "version": int(registration["version"]),
        "uri": registration["uri"],
        "reason": registration["reason"],
        "warning": registration.get("warning", ""),
        "accuracy": registration.get("accuracy"),
        "chance": registration.get("chance"),
    }


def accuracy_line(registration: dict[str, Any]) -> list[str]:
    """The line with the accuracy of a version, if the registration knows it."""
    if "accuracy" not in registration:
        return []
    accuracy, chance = registration["accuracy"], registration["chance"]
    return [f"Accuracy  {accuracy:.3f} on the test split (chance {chance:.3f})"]


def verdict_line(
    registration: dict[str, Any], workspace: Path, tracking_uri: str | None = None
) -> str:
    """Version, verdict and reason in a line; where it is held, what that means and what to do."""
    version = registration["version"]
    line = (
        f"{registration['name']} version {version}: {registration['verdict']},"
        f" {registration['reason']}"
    )
    if warning := registration.get("warning"):
        line += f". Warning: {warning}"
    if registration["verdict"] != "hold":
        return line
    champion = _champion(workspace, tracking_uri)
    now = f"version {champion}, the champion" if champion else f"none but with `--model {version}`"
    where = shlex.join(
        ["--tracking-uri", tracking_uri] if tracking_uri else ["--workspace", str(workspace)]
    )
    return (
        f"{line}. Held means: registered, but not used; stylize uses {now}. To use version"
        f" {version}: `audiostyle models promote {version} {where}`; to ask for less next time:"
        " `gate: {floor: …}` in --config (a multiple of chance)"
    )


def _champion(workspace: Path, tracking_uri: str | None) -> int | None:
    from audiostyle.registry import Registry
    from pipeline.commands.options import registry_uri

    try:
        champion = Registry(registry_uri(workspace, tracking_uri)).champion()
    except AudiostyleError:
        return None  # the run is done, whatever has become of the server since
    return champion.version if champion else None
