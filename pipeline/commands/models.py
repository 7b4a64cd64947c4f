"""`audiostyle models`: the registry on the command line."""

from pathlib import Path

import click

from audiostyle.command import Group
from audiostyle.errors import InputError
from audiostyle.terminal import say, say_fields, say_table
from pipeline.commands.options import TRACKING, WORKSPACE, registry_uri


@click.group(cls=Group)
def models() -> None:
    """The model registry."""


@models.command("list")
@WORKSPACE
@TRACKING
def list_(workspace: Path, tracking_uri: str | None) -> None:
    """List the registered versions, newest first."""
    from audiostyle.registry import Registry

    rows = [("version", "aliases", "balanced accuracy", "verdict")]
    for found in Registry(registry_uri(workspace, tracking_uri)).versions():
        accuracy = found.tags.get("audiostyle.balanced_accuracy", "")
        rows.append(
            (
                str(found.version),
                ", ".join(sorted(found.aliases)),
                _figure(accuracy),
                found.tags.get("audiostyle.verdict", ""),
            )
        )
    say_table(rows)


def _figure(text: str) -> str:
    """A tag as a figure; anybody may have set it to something else."""
    try:
        return f"{float(text):.3f}"
    except ValueError:
        return text


@models.command()
@click.argument("reference", default="champion")
@WORKSPACE
@TRACKING
def show(reference: str, workspace: Path, tracking_uri: str | None) -> None:
    """Show a version: REFERENCE is a number, an alias or a URI."""
    from audiostyle.registry import Registry

    found = Registry(registry_uri(workspace, tracking_uri)).find(reference)
    say_fields([("uri", found.uri), ("run", found.run_id), ("aliases", ", ".join(found.aliases))])
    for key, value in sorted(found.tags.items()):
        say(f"{key.removeprefix('audiostyle.')}  {value}")


@models.command()
@click.argument("reference", default="champion")
@WORKSPACE
@TRACKING
def card(reference: str, workspace: Path, tracking_uri: str | None) -> None:
    """Print a version's model card: data, protocol, accuracy, licence, limits."""
    from audiostyle.registry import Registry

    registry = Registry(registry_uri(workspace, tracking_uri))
    for line in registry.card(registry.find(reference)).splitlines():
        say(line)


@models.command()
@click.argument("first")
@click.argument("second")
@WORKSPACE
@TRACKING
def compare(first: str, second: str, workspace: Path, tracking_uri: str | None) -> None:
    """Compare two versions tag by tag: what differs, side by side."""
    from audiostyle.registry import Registry

    registry = Registry(registry_uri(workspace, tracking_uri))
    left, right = registry.find(first), registry.find(second)
    say(f"{'':24}  {f'version {left.version}':32}  version {right.version}")
    for key in sorted({*left.tags, *right.tags}):
        values = [v.tags.get(key, "") for v in (left, right)]
        if values[0] != values[1]:
            name = key.removeprefix("audiostyle.")
            say(f"{name:24}  {values[0]:32}  {values[1]}")


@models.command()
@click.argument("reference")
@WORKSPACE
@TRACKING
def promote(reference: str, workspace: Path, tracking_uri: str | None) -> None:
    """Make a version the champion by hand, whatever the gate said."""
    from audiostyle.registry import Registry

    registry = Registry(registry_uri(workspace, tracking_uri))
    version = registry.promote(registry.find(reference))
    say(f"champion is version {version.version}")


@models.command()
@WORKSPACE
@TRACKING
def rollback(workspace: Path, tracking_uri: str | None) -> None:
    """Make the champion's predecessor the champion again."""
    from audiostyle.registry import Registry

    registry = Registry(registry_uri(workspace, tracking_uri))
    champion = registry.champion()
    before = registry.predecessor(champion) if champion else None
    if champion is None or before is None:
        raise InputError("there is no champion, or it had no predecessor")
    registry.restore(before)
    say(f"champion is version {before.version}, no longer {champion.version}")
