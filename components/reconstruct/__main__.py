"""Command line of the reconstruct stage."""

from pathlib import Path
from typing import Any

import click

from audiostyle.command import Command
from audiostyle.options import config_from, config_options
from audiostyle.terminal import log_to_stderr
from components.reconstruct.config import ReconstructConfig
from components.reconstruct.reconstruct import reconstruct


@click.command(cls=Command)
@click.option("--stylized", required=True, type=click.Path(path_type=Path), help="Stylized set.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Audio set.")
@click.option("--classifier", type=click.Path(path_type=Path), help="To report its training.")
@config_options(ReconstructConfig)
def main(stylized: Path, out: Path, classifier: Path | None, **options: Any) -> None:
    """Turn stylized spectrograms into recordings and a report page."""
    log_to_stderr()
    reconstruct(stylized, out, config_from(ReconstructConfig, options), classifier)


if __name__ == "__main__":
    main()
