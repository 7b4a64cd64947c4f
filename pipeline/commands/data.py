"""The commands `audiostyle data`: data sets by name."""

from pathlib import Path

import click

from audiostyle.command import Group
from pipeline.commands.answers import Answer, answering

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


def _names(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """For shells: the names of data sets that begin so."""
    from components.preprocess.datasets.registry import published

    return [name for name in published() if name.startswith(incomplete)]


@click.group(cls=Group)
def data() -> None:
    """Data sets by name."""


@data.command("list")
@answering("data-list")
def list_() -> Answer:
    """List the data sets that are known by name."""
    from components.preprocess.datasets.registry import published

    known = published()
    width = max(map(len, known))
    rows, lines = [], []
    for data_set in known.values():
        size = f"{data_set.size / 1e9:5.1f} GB" if data_set.size else f"{'by hand':>8}"
        lines.append(f"{data_set.name:{width}}  {size}  {data_set.title}")
        bytes_ = data_set.size or None
        rows.append({"name": data_set.name, "title": data_set.title, "bytes": bytes_})
    return Answer.lines(rows, lines)


@data.command()
@click.argument("name", shell_complete=_names)
@answering("data-info")
def info(name: str) -> Answer:
    """Show what is known of a data set: addresses, hashes, license, citation."""
    from components.preprocess.datasets.registry import named

    data_set = named(name)
    lines = [("name", data_set.name), ("holds", data_set.title)]
    for file in data_set.files:
        lines += [("url", file.url), ("hash", file.hash or "none was published")]
    lines += [("size", f"about {data_set.size / 1e9:.1f} GB")] if data_set.size else []
    lines += [("license", data_set.license), ("cite", data_set.citation)]
    lines += [("note", data_set.note)] if data_set.note else []
    value = {
        "name": data_set.name,
        "title": data_set.title,
        "bytes": data_set.size or None,
        "files": [{"url": file.url, "hash": file.hash or None} for file in data_set.files],
        "license": data_set.license,
        "citation": data_set.citation,
        "note": data_set.note,
    }
    return Answer.lines(value, [f"{label:8} {text}" for label, text in lines])


@data.command()
@click.argument("name", shell_complete=_names)
@HOME
@MIRROR
@click.option("--hash", default="", metavar="md5:…|sha256:…", help="The archive's.")
@answering("data-fetch")
def fetch(name: str, home: Path, mirror: str, hash: str) -> Answer:
    """Download, check and extract a data set: NAME, or the address of an archive."""
    from components.preprocess.fetch import located

    folder = str(located(name, home, mirror=mirror, hash=hash))
    return Answer.lines({"name": name, "folder": folder}, [folder])
