"""Command line of the stylize stage."""

from pathlib import Path
from typing import Any

import click

from audiostyle.command import Command
from audiostyle.errors import AudiostyleError
from audiostyle.options import config_from, config_options
from audiostyle.terminal import log_to_stderr
from components.stylize.config import StylizeConfig
from components.stylize.pairs import read_pairs
from components.stylize.stylize import stylize


@click.command(cls=Command)
@click.option(
    "--pairs",
    required=True,
    metavar="FILE",
    help="id, content, style[, target] in CSV, JSON lines or YAML; a file or s3://.",
)
@click.option("--classifier", required=True, type=click.Path(path_type=Path), help="Classifier.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Stylized set.")
@click.option("--model-name", default="", help="What to call the classifier, e.g. its version.")
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="Folder for what an interrupted run has finished. [default: beside OUT]",
)
@config_options(StylizeConfig)
def main(
    pairs: str, classifier: Path, out: Path, model_name: str, work: Path | None, **options: Any
) -> None:
    """Stylize pairs of recordings: the content of one, the style of the other."""
    log_to_stderr()
    config = config_from(StylizeConfig, options)
    errors = stylize(read_pairs(pairs), classifier, out, config, model_name, work)
    if errors:
        raise AudiostyleError("; ".join(errors))


if __name__ == "__main__":
    main()
