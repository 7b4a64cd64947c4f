"""The commands `audiostyle data`: data sets by name."""

from pathlib import Path

import click

from audiostyle.command import Group
from audiostyle.terminal import say

HOME = click.option(
    "--to",
    "home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="AUDIOSTYLE_DATA",
    default=Path("outputs/data"),
    show_default=True,
    help="Folder of data sets; NAME goes to a folder in it.",
)
MIRROR = click.option(
    "--from",
    "mirror",
    default="",
    metavar="URI",
    help="Fetch from here: a folder (s3://, https://, path) with the files, or an archive.",
)


@click.group(cls=Group)
def data() -> None:
    """Data sets by name."""


@data.command("list")
def list_() -> None:
    """List the data sets that are known by name."""
    from components.preprocess.datasets.registry import published

    known = published()
    width = max(map(len, known))
    for data_set in known.values():
        size = f"{data_set.size / 1e9:5.1f} GB" if data_set.size else f"{'by hand':>8}"
        say(f"{data_set.name:{width}}  {size}  {data_set.title}")


@data.command()
@click.argument("name")
def info(name: str) -> None:
    """Show what is known of a data set: addresses, hashes, licence, citation."""
    from components.preprocess.datasets.registry import named

    data_set = named(name)
    lines = [("name", data_set.name), ("holds", data_set.title)]
    for file in data_set.files:
        lines += [("url", file.url), ("hash", file.hash or "none was published")]
    lines += [("size", f"about {data_set.size / 1e9:.1f} GB")] if data_set.size else []
    lines += [("licence", data_set.licence), ("cite", data_set.citation)]
    lines += [("note", data_set.note)] if data_set.note else []
    for label, text in lines:
        say(f"{label:8} {text}")


@data.command()
@click.argument("name")
@HOME
@MIRROR
@click.option("--hash", default="", metavar="md5:…|sha256:…", help="The archive's.")
def fetch(name: str, home: Path, mirror: str, hash: str) -> None:
    """Download, check and extract a data set: NAME, or the address of an archive."""
    from components.preprocess.fetch import located

    say(located(name, home, mirror=mirror, hash=hash))
