"""Command line of the preprocess stage."""

import tempfile
from pathlib import Path
from typing import Any

import click

from audiostyle.command import Command
from audiostyle.options import config_from, config_options
from audiostyle.terminal import log_to_stderr
from components.preprocess.config import PreprocessConfig
from components.preprocess.fetch import located
from components.preprocess.preprocess import preprocess


@click.command(cls=Command)
@click.option(
    "--data",
    required=True,
    help="Folder, archive or manifest; an archive's address, or a data set's name.",
)
@click.option("--from", "mirror", default="", metavar="URI", help="Where to fetch DATA from.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Spectrogram set.")
@config_options(PreprocessConfig)
def main(data: str, mirror: str, out: Path, **options: Any) -> None:
    """Turn a labeled data set into a spectrogram set."""
    log_to_stderr()
    config = config_from(PreprocessConfig, options)
    with tempfile.TemporaryDirectory(prefix="audiostyle-") as home:
        preprocess(located(data, Path(home), mirror=mirror), out, config, name=data)


if __name__ == "__main__":
    main()
