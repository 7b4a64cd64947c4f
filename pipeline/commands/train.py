"""`audiostyle train`: a data set becomes a registered classifier, or a measurement."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from audiostyle.command import Command
from pipeline.commands.answers import Answer, answering
from pipeline.commands.options import (
    CACHE,
    DETAIL,
    TRACKING,
    WORKSPACE,
    registry_uri,
    with_cache,
)
from pipeline.commands.verdict import accuracy_line, status_of, verdict_line
from pipeline.run_display import Detail, Display


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
@answering("train")
@DETAIL
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
    detail: Detail,
    cache: str | None,
    workspace: Path,
    tracking_uri: str | None,
) -> Answer:
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
    if which:
        pipeline = cross_validation.build(images.local_of)
        values["fold"] = which
    else:
        pipeline = training.build(images.local_of)
        values |= {"tracking_uri": address, "if_changed": if_changed, **chosen.arguments("gate")}
    outputs = local.run(pipeline, values, workspace, display=Display(detail))
    if which:
        return _measures(outputs)
    registration = outputs["registration"]
    value = {**status_of(registration), "log": str(outputs["log"])}
    lines = [
        f"Model     {verdict_line(registration, workspace, tracking_uri)}",
        *accuracy_line(registration),
        f"Log       {outputs['log']}",
    ]
    return Answer.lines(value, lines)


def _measures(outputs: Mapping[str, Any]) -> Answer:
    from components.train.folds import line

    figures = outputs["metrics"].metadata
    report = Path(outputs["folds"].uri) / "folds.json"
    value = {"status": "measured", **figures, "report": str(report), "log": str(outputs["log"])}
    lines = [
        f"Accuracy  {line(figures)}",
        f"Report    {report}",
        f"Log       {outputs['log']}",
    ]
    return Answer.lines(value, lines)
