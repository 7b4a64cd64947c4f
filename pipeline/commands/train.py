"""`audiostyle train`: a data set becomes a registered classifier, or a measurement."""

import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from audiostyle.command import Command
from audiostyle.terminal import say, say_json
from pipeline.commands.options import CACHE, JSON, TRACKING, WORKSPACE, registry_uri, with_cache
from pipeline.commands.verdict import status_of, verdict_line


@click.command(cls=Command)
@click.argument("data")
@click.option("--config", type=click.Path(path_type=Path), help="YAML with settings of the stages.")
@click.option("--from", "mirror", default="", metavar="URI", help="Where to fetch DATA from.")
@click.option(
    "--if-changed",
    is_flag=True,
    help="Train only if data, settings or release differ from the champion's.",
)
@click.option(
    "--folds",
    type=click.Choice(["all"]),
    help="Cross-validate: one training for each fold; prints mean and deviation.",
)
@click.option("--fold", metavar="NAME", help="Train on all folds but one, and test on that one.")
@JSON
@CACHE
@WORKSPACE
@TRACKING
def train(
    data: str,
    config: Path | None,
    mirror: str,
    if_changed: bool,
    folds: str | None,
    fold: str | None,
    as_json: bool,
    cache: str | None,
    workspace: Path,
    tracking_uri: str | None,
) -> None:
    """Train a classifier on DATA and register it.

    DATA: the name of a data set (`audiostyle data list`), a folder, a manifest, or an archive.
    With --folds or --fold nothing is registered. A version that the gate holds is registered but
    not used; see the line that says so, or `status` with --json: promoted, held, unchanged or
    measured.
    """
    if sum(map(bool, (if_changed, folds, fold))) > 1:
        raise click.UsageError("give one of --if-changed, --folds all, --fold NAME")
    which = folds or fold
    address = "" if which else registry_uri(workspace, tracking_uri)

    from components.preprocess.fetch import discarding, located
    from pipeline import images, local, settings, versions
    from pipeline.definitions import cross_validation, training

    chosen = with_cache(settings.load(config), cache)
    folder = located(data, workspace / "data", mirror=mirror)
    with discarding(folder, data, workspace / "data"):
        version = versions.of_data(folder, chosen.preprocess, data)
    values = {
        "data": str(folder),
        "data_version": version,
        "checkpoints": str(workspace.resolve() / "checkpoints"),
        **chosen.arguments("preprocess", "train"),
    }
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        if which:
            pipeline = cross_validation.build(images.local_of)
            outputs = local.run(pipeline, {**values, "fold": which}, workspace)
        else:
            values |= {"tracking_uri": address, "if_changed": if_changed}
            values |= chosen.arguments("gate")
            outputs = local.run(training.build(images.local_of), values, workspace)
    if which:
        _show_measures(outputs, as_json)
    elif as_json:
        say_json(status_of(outputs["registration"]))
    else:
        say(verdict_line(outputs["registration"], workspace, tracking_uri))


def _show_measures(outputs: Mapping[str, Any], as_json: bool) -> None:
    figures = outputs["metrics"].metadata
    report = Path(outputs["folds"].uri) / "folds.json"
    if as_json:
        say_json({"status": "measured", **figures, "report": str(report)})
        return
    from components.train.folds import line

    say(line(figures))
    say(report)
