"""Command line of the preprocess stage."""

from pathlib import Path
from typing import Any

import click

from audiostyle.command import Command, config_from, config_options, log_to_stderr
from components.preprocess.preprocess import PreprocessConfig, preprocess


@click.command(cls=Command)
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder, archive, or CSV or JSONL manifest.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Spectrogram set.")
@config_options(PreprocessConfig)
def main(data: Path, out: Path, **options: Any) -> None:
    """Turn a labelled data set into a spectrogram set."""
    log_to_stderr()
    preprocess(data, out, config_from(PreprocessConfig, options))


if __name__ == "__main__":
    main()
