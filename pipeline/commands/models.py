"""`audiostyle models`: the registry on the command line."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audiostyle.command import Group
from audiostyle.errors import InputError
from audiostyle.terminal import say, say_fields, say_table
from pipeline.commands.answers import Answer, answering
from pipeline.commands.options import TRACKING, WORKSPACE, registry_uri

if TYPE_CHECKING:  # it imports MLflow, for which `--help` does not wait
    from audiostyle.registry import Registry, Version

_PREFIX = "audiostyle."


@click.group(cls=Group)
def models() -> None:
    """The model registry."""


@models.command("list")
@answering("models-list")
@WORKSPACE
@TRACKING
def list_(workspace: Path, tracking_uri: str | None) -> Answer:
    """List the registered versions, newest first."""
    versions = _registry(workspace, tracking_uri).versions()
    rows = [("version", "aliases", "balanced accuracy", "verdict")]
    for version in versions:
        rows.append(
            (
                str(version.version),
                ", ".join(sorted(version.aliases)),
                _figure(version.tags.get(f"{_PREFIX}balanced_accuracy", "")),
                version.tags.get(f"{_PREFIX}verdict", ""),
            )
        )
    return Answer([_plain(version) for version in versions], partial(say_table, rows))


@models.command()
@click.argument("reference", default="champion")
@answering("models-show")
@WORKSPACE
@TRACKING
def show(reference: str, workspace: Path, tracking_uri: str | None) -> Answer:
    """Show a version: REFERENCE is a number, an alias or a URI."""
    version = _registry(workspace, tracking_uri).find(reference)
    return Answer(_plain(version), partial(_show, version))


@models.command()
@click.argument("reference", default="champion")
@WORKSPACE
@TRACKING
def card(reference: str, workspace: Path, tracking_uri: str | None) -> None:
    """Print a version's model card: data, protocol, accuracy, license, limits."""
    registry = _registry(workspace, tracking_uri)
    for line in registry.card(registry.find(reference)).splitlines():
        say(line)


@models.command()
@click.argument("first")
@click.argument("second")
@answering("models-compare")
@WORKSPACE
@TRACKING
def compare(first: str, second: str, workspace: Path, tracking_uri: str | None) -> Answer:
    """Compare two versions tag by tag: what differs, side by side."""
    registry = _registry(workspace, tracking_uri)
    left, right = registry.find(first), registry.find(second)
    differing = {
        key.removeprefix(_PREFIX): values
        for key in sorted({*left.tags, *right.tags})
        if len(set(values := [v.tags.get(key, "") for v in (left, right)])) == 2
    }
    lines = [f"{'':24}  {f'version {left.version}':32}  version {right.version}"]
    lines += [f"{name:24}  {one:32}  {other}" for name, (one, other) in differing.items()]
    value = {"versions": [left.version, right.version], "differing": differing}
    return Answer.lines(value, lines)


@models.command()
@click.argument("reference")
@answering("models-promote")
@WORKSPACE
@TRACKING
def promote(reference: str, workspace: Path, tracking_uri: str | None) -> Answer:
    """Make a version the champion by hand, whatever the gate said."""
    registry = _registry(workspace, tracking_uri)
    with registry.exclusive():
        before = registry.champion()
        version = registry.promote(registry.find(reference))
    return _champion(version, before, f"champion is version {version.version}")


@models.command()
@answering("models-rollback")
@WORKSPACE
@TRACKING
def rollback(workspace: Path, tracking_uri: str | None) -> Answer:
    """Make the champion's predecessor the champion again."""
    registry = _registry(workspace, tracking_uri)
    with registry.exclusive():
        champion = registry.champion()
        before = registry.predecessor(champion) if champion else None
        if champion is None or before is None:
            raise InputError("there is no champion, or it had no predecessor")
        version = registry.restore(before)
    line = f"champion is version {version.version}, no longer {champion.version}"
    return _champion(version, champion, line)


def _registry(workspace: Path, tracking_uri: str | None) -> "Registry":
    """The registry, if it is there: to look at one makes none. Raises InputError."""
    uri = registry_uri(workspace, tracking_uri)

    from audiostyle.tracking_uris import sqlite_path
    from audiostyle.workspace_database import exists

    if (path := sqlite_path(uri)) and not exists(path):
        where = uri if tracking_uri else workspace
        raise InputError(
            f"{'tracking-uri' if tracking_uri else 'workspace'}: {where} has no registry yet;"
            " `audiostyle run` and `audiostyle train DATA` make one"
        )
    from audiostyle.registry import Registry

    return Registry(uri)


def _show(version: "Version") -> None:
    say_fields(
        [("uri", version.uri), ("run", version.run_id), ("aliases", ", ".join(version.aliases))]
    )
    for key, value in sorted(version.tags.items()):
        say(f"{key.removeprefix(_PREFIX)}  {value}")


def _champion(version: "Version", before: "Version | None", line: str) -> Answer:
    value = {"champion": version.version, "before": before.version if before else None}
    return Answer.lines(value, [line])


def _plain(version: "Version") -> dict[str, Any]:
    return {
        "version": version.version,
        "uri": version.uri,
        "run": version.run_id,
        "aliases": sorted(version.aliases),
        "tags": {key.removeprefix(_PREFIX): value for key, value in version.tags.items()},
    }


def _figure(text: str) -> str:
    """A tag as a figure; anybody may have set it to something else."""
    try:
        return f"{float(text):.3f}"
    except ValueError:
        return text
