"""Command line of the stylize stage."""

from pathlib import Path
from typing import Any

import click

from audiostyle.command import Command, config_from, config_options, log_to_stderr
from components.stylize.pairs import read_pairs
from components.stylize.stylize import stylize
from components.stylize.transfer import StylizeConfig


@click.command(cls=Command)
@click.option(
    "--pairs",
    required=True,
    type=click.Path(path_type=Path),
    help="CSV: id,content,style[,target].",
)
@click.option("--classifier", required=True, type=click.Path(path_type=Path), help="Classifier.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Stylised set.")
@click.option("--model-name", default="", help="What to call the classifier, e.g. its version.")
@config_options(StylizeConfig)
def main(pairs: Path, classifier: Path, out: Path, model_name: str, **options: Any) -> None:
    """Stylise pairs of recordings: the content of one, the style of the other."""
    log_to_stderr()
    stylize(read_pairs(pairs), classifier, out, config_from(StylizeConfig, options), model_name)


if __name__ == "__main__":
    main()
