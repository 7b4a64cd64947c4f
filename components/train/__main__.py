"""Command line of the train stage."""

from pathlib import Path
from typing import Any

import click

from audiostyle.command import Command
from audiostyle.options import config_from, config_options
from audiostyle.terminal import log_to_stderr
from components.train.config import TrainConfig
from components.train.folds import ALL, cross_validate
from components.train.train import train


@click.command(cls=Command)
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Spectrogram set.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Classifier.")
@click.option(
    "--checkpoints",
    type=click.Path(path_type=Path),
    help="Folder for checkpoints. [default: beside OUT]",
)
@click.option(
    "--folds",
    type=click.Choice([ALL]),
    help="One training for each fold, tested on it; OUT gets the classifiers and folds.json.",
)
@click.option("--fold", metavar="NAME", help="The same for one fold.")
@config_options(TrainConfig)
def main(
    data: Path,
    out: Path,
    checkpoints: Path | None,
    folds: str | None,
    fold: str | None,
    **options: Any,
) -> None:
    """Train a classifier on a spectrogram set."""
    if folds and fold:
        raise click.UsageError("give --folds all or --fold NAME")
    log_to_stderr()
    config = config_from(TrainConfig, options)
    if chosen := folds or fold:
        cross_validate(data, out, config, chosen, checkpoints)
    else:
        train(data, out, config, checkpoints)


if __name__ == "__main__":
    main()
