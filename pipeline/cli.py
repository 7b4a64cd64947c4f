"""The command line: `audiostyle`."""

import logging

import click

from audiostyle.command import Group
from audiostyle.terminal import log_to_stderr
from pipeline.commands.backup import backup, restore
from pipeline.commands.cache import cache
from pipeline.commands.cluster import cluster
from pipeline.commands.compile import compile_
from pipeline.commands.completion import completion
from pipeline.commands.data import data
from pipeline.commands.demo import demo
from pipeline.commands.doctor import doctor
from pipeline.commands.models import models
from pipeline.commands.networks import networks
from pipeline.commands.run import run
from pipeline.commands.runs import runs
from pipeline.commands.schedule import schedule
from pipeline.commands.stylize import stylize
from pipeline.commands.submit import submit
from pipeline.commands.train import train
from pipeline.commands.try_ import try_
from pipeline.commands.ui import ui

# kfp, MLflow and torch take seconds to import, and are not there without the extras: each command
# imports what it uses, so that `--help` and a mistyped option answer at once, everywhere.


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="audiostyle")
def main() -> None:
    """Deep audio style transfer: the content of one recording, the style of another."""
    log_to_stderr()
    for noisy in ("alembic", "mlflow", "numba", "matplotlib", "torch"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


_COMMANDS = (
    backup,
    cache,
    cluster,
    compile_,
    completion,
    data,
    demo,
    doctor,
    models,
    networks,
    restore,
    run,
    runs,
    schedule,
    stylize,
    submit,
    train,
    try_,
    ui,
)
for command in _COMMANDS:
    main.add_command(command)


if __name__ == "__main__":
    main()
