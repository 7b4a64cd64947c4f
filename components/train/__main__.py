"""Command line of the train stage."""

from pathlib import Path
from typing import Any

import click

from audiostyle.command import Command, config_from, config_options, log_to_stderr
from components.train.fit import TrainConfig
from components.train.train import train


@click.command(cls=Command)
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Spectrogram set.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Classifier.")
@click.option(
    "--checkpoints",
    type=click.Path(path_type=Path),
    help="Folder for what a stopped training goes on from. [default: beside OUT]",
)
@config_options(TrainConfig)
def main(data: Path, out: Path, checkpoints: Path | None, **options: Any) -> None:
    """Train a classifier on a spectrogram set."""
    log_to_stderr()
    train(data, out, config_from(TrainConfig, options), checkpoints)


if __name__ == "__main__":
    main()
