"""`audiostyle networks`: networks that others trained, for the method pretrained."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from audiostyle.command import Group
from audiostyle.errors import InputError
from audiostyle.terminal import say, say_fields, say_table
from components.stylize.networks.catalog import CATALOG
from pipeline.commands.answers import Answer, answering


@click.group(cls=Group)
def networks() -> None:
    """Networks that others trained, for --method pretrained."""


@networks.command("list")
@answering("networks-list")
def list_() -> Answer:
    """List the networks, their layers, and the files of weights that are published."""
    rows = [("network", "layers", "input", "published weights")]
    for name, entry in CATALOG.items():
        layers = f"{entry.layers[0]} to {entry.layers[-1]}"
        files = ", ".join(file for file, _ in entry.published)
        rows.append((name, layers, entry.hears, files or "sound8.pth of a port"))
    values = [{"name": name, **vars(entry)} for name, entry in CATALOG.items()]
    return Answer(values, partial(say_table, rows))


@networks.command()
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--network", type=click.Choice(list(CATALOG)), help="Match it with this network.")
@click.option("--sha256", default="", metavar="HEX", help="SHA-256 that IN must have.")
@click.option("--license", "license_", default="", metavar="TEXT", help="License of the weights.")
@answering("networks-convert")
def convert(source: Path, target: Path, network: str | None, sha256: str, license_: str) -> Answer:
    """Make safetensors of a PyTorch file of weights (.pth), without running code in it.

    IN is a state_dict() that torch.save wrote. If its name ends with digits of its SHA-256, as
    vgg19-dcbb9e9d.pth, they are checked. OUT must not exist, and ends with .safetensors.
    """
    if target.suffix != ".safetensors":
        raise InputError(f"output: {target}: must end with .safetensors")
    if target.exists() or target.is_symlink():
        raise InputError(f"output: {target}: is there already, and is not replaced")
    if not target.absolute().parent.is_dir():
        raise InputError(f"output: {target}: {target.parent} is not a folder")
    from components.stylize.networks.conversion import convert as converted

    facts = converted(source, target, network=network, sha256=sha256, license=license_)
    value = {"output": str(target), **facts}
    return Answer(value, partial(_show, value, network))


def _show(facts: dict[str, Any], network: str | None) -> None:
    say_fields(facts.items())
    if network:
        say(f"use it with --method pretrained --network {network} --weights {facts['output']}")
