"""The command line: `audiostyle`."""

import logging
import sys
from pathlib import Path

import click

from audiostyle.command import Group
from audiostyle.errors import InputError
from audiostyle.files import replacing
from audiostyle.terminal import log_to_stderr, say
from pipeline.commands.cache import cache
from pipeline.commands.data import data as data_sets
from pipeline.commands.models import models
from pipeline.commands.options import (
    CACHE,
    TRACKING,
    WORKSPACE,
    registry_uri,
    with_cache,
)
from pipeline.commands.runs import runs
from pipeline.commands.schedule import schedule
from pipeline.commands.stylize import stylize
from pipeline.commands.submit import submit

# kfp, MLflow and torch take seconds to import: each command imports what it uses, so that
# `--help` and a mistyped option answer at once.

_EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "instruments"


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="audiostyle")
def main() -> None:
    """Deep audio style transfer: the content of one recording, the style of another."""
    log_to_stderr()
    for noisy in ("alembic", "mlflow", "numba", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


main.add_command(cache)
main.add_command(data_sets)
main.add_command(models)
main.add_command(runs)
main.add_command(schedule)
main.add_command(stylize)
main.add_command(submit)


@main.command()
@click.option(
    "--data", type=click.Path(path_type=Path), help="Data set. [default: the bundled one]"
)
@click.option(
    "--pairs", type=click.Path(path_type=Path), help="CSV of pairs. [default: the bundled]"
)
@click.option("--config", type=click.Path(path_type=Path), help="YAML with settings of the stages.")
@click.option(
    "--runner",
    type=click.Choice(["subprocess", "docker"]),
    default="subprocess",
    show_default=True,
    help="What a stage runs in: a process of this environment, or a container of its own.",
)
@click.option(
    "--network",
    metavar="NAME",
    help="Docker's network of the containers. [default: none, or host where a server is named]",
)
@click.option(
    "--publish", metavar="URI", help="Copy the artifacts there: s3://bucket/prefix or a folder."
)
@CACHE
@WORKSPACE
@TRACKING
def run(
    data: Path | None,
    pairs: Path | None,
    config: Path | None,
    runner: str,
    network: str | None,
    publish: str | None,
    cache: str | None,
    workspace: Path,
    tracking_uri: str | None,
) -> None:
    """Run the whole pipeline here: train, register, stylise, reconstruct, report."""
    from pipeline import containers, images, local, publication, settings, versions
    from pipeline.definitions import end_to_end

    if network and runner != "docker":
        raise click.UsageError("--network is for --runner docker")

    data = _existing(data or _EXAMPLES, "data")
    pairs = _existing(pairs or _EXAMPLES / "pairs" / "pairs.csv", "pairs")
    chosen = with_cache(settings.load(config), cache)
    if runner == "docker" and (place := chosen.preprocess.cache) and not place.startswith("s3://"):
        raise InputError(f"cache: {place} is no bucket, and containers see no folder of this host")
    store = publication.target(publish) if publish else None
    address = registry_uri(workspace, tracking_uri)
    values = {
        "data": str(data),
        "data_version": versions.of_data(data, chosen.preprocess.layout),
        "pairs": str(pairs),
        "pairs_version": versions.of_pairs(pairs),
        "tracking_uri": address,
        "checkpoints": str(workspace.resolve() / "checkpoints"),
        "work": str(workspace.resolve() / "unfinished"),
        **chosen.arguments(),
    }
    if runner == "docker":
        network = network or containers.network_for(address, chosen.preprocess.cache)
        readable = containers.inputs(data, pairs)
        with containers.prepared(workspace, readable, network) as (image, arguments):
            built = end_to_end.build(image)
            outputs = local.run(built, values, workspace, arguments)
    else:
        outputs = local.run(end_to_end.build(images.local_of), values, workspace)
    registration, figures = outputs["registration"], outputs["metrics"].metadata
    report = local.show(Path(outputs["audio"].uri), workspace / "latest") / "report.html"
    say()
    say(
        f"Model     {registration['name']} version {registration['version']}:"
        f" {registration['verdict']}, {registration['reason']}"
    )
    say(
        f"Accuracy  {figures['test accuracy']:.3f} on the test split"
        f" (chance {figures['chance']:.3f})"
    )
    say(f"Registry  audiostyle ui --workspace {workspace}")
    say(f"Report    {report}")
    if store:
        for name, form in publication.FORMATS.items():
            say(f"Published {publication.publish(Path(outputs[name].uri), form, store)}")


@main.command()
@click.argument("data")
@click.option("--config", type=click.Path(path_type=Path), help="YAML with settings of the stages.")
@click.option("--from", "mirror", default="", metavar="URI", help="Where to fetch DATA from.")
@click.option(
    "--if-changed", is_flag=True, help="Only if data, settings or release are not the champion's."
)
@click.option(
    "--folds",
    type=click.Choice(["all"]),
    help="Measure instead: a training a fold, tested on that fold; mean and deviation.",
)
@click.option("--fold", metavar="NAME", help="Measure on one fold.")
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
    cache: str | None,
    workspace: Path,
    tracking_uri: str | None,
) -> None:
    """Train a classifier on DATA and register it.

    DATA: the name of a data set (`audiostyle data list`), a folder, a manifest, or an archive.
    With --folds or --fold nothing is registered.
    """
    from components.preprocess.fetch import located
    from pipeline import images, local, settings, versions
    from pipeline.definitions import cross_validation, training

    if sum(map(bool, (if_changed, folds, fold))) > 1:
        raise click.UsageError("give one of --if-changed, --folds all, --fold NAME")
    chosen = with_cache(settings.load(config), cache)
    folder = located(data, workspace / "data", mirror=mirror)
    values = {
        "data": str(folder),
        "data_version": versions.of_data(folder, chosen.preprocess.layout, data),
        "checkpoints": str(workspace.resolve() / "checkpoints"),
        **chosen.arguments("preprocess", "train"),
    }
    if which := folds or fold:
        built = cross_validation.build(images.local_of)
        outputs = local.run(built, {**values, "fold": which}, workspace)
        figures = outputs["metrics"].metadata
        say(
            f"accuracy {figures['accuracy_mean']:.3f} +- {figures['accuracy_std']:.3f},"
            f" balanced {figures['balanced_accuracy_mean']:.3f}"
            f" +- {figures['balanced_accuracy_std']:.3f}, chance {figures['chance']:.3f}"
        )
        say(Path(outputs["folds"].uri) / "folds.json")
        return
    values |= {
        "tracking_uri": registry_uri(workspace, tracking_uri),
        "if_changed": if_changed,
        **chosen.arguments("gate"),
    }
    outputs = local.run(training.build(images.local_of), values, workspace)
    told = outputs["registration"]
    say(f"{told['name']} version {told['version']}: {told['verdict']}, {told['reason']}")


@main.command("compile")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the YAML.")
@click.option("--config", type=click.Path(path_type=Path), help="YAML with the section `cluster`.")
def compile_(out: Path, config: Path | None) -> None:
    """Write the pipelines as kfp's IR YAML."""
    from pipeline import settings
    from pipeline.cluster.submission import compiled
    from pipeline.definitions import bulk_stylization, end_to_end, stylization, training

    cluster = settings.load(config).cluster
    out.mkdir(parents=True, exist_ok=True)
    for name, pipeline in (
        ("end_to_end", end_to_end.build(cluster=cluster, data_known=False, pairs_known=False)),
        ("training", training.build(cluster=cluster, data_known=False)),
        ("stylization", stylization.build(cluster=cluster, pairs_known=False)),
        ("bulk_stylization", bulk_stylization.build(cluster=cluster)),
    ):
        path = out / f"{name}.yaml"
        with replacing(path) as temporary:
            compiled(pipeline, temporary)
        say(path)


@main.command()
@click.option("--port", default=5000, show_default=True, help="TCP port on this machine.")
@WORKSPACE
def ui(port: int, workspace: Path) -> None:
    """Open the registry of the workspace in MLflow's web interface."""
    import os

    uri = registry_uri(workspace)
    if not Path(uri.removeprefix("sqlite:///")).is_file():
        raise InputError(f"workspace: {workspace} has no registry yet; run `audiostyle run` first")
    say(f"http://127.0.0.1:{port}/#/models")
    sys.stdout.flush()
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    arguments = ["--backend-store-uri", uri, "--host", "127.0.0.1", "--port", str(port)]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "server", *arguments])  # noqa: S606


def _existing(path: Path, name: str) -> Path:
    if not path.exists():
        raise InputError(f"{name}: {path} does not exist")
    return path.resolve()


if __name__ == "__main__":
    main()
