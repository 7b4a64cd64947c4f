"""`audiostyle run`: the whole pipeline on this machine."""

from pathlib import Path

import click

from audiostyle.command import Command
from audiostyle.errors import InputError
from pipeline.commands.answers import Answer, answering
from pipeline.commands.options import CACHE, DETAIL, TRACKING, WORKSPACE, registry_uri, with_cache
from pipeline.commands.verdict import accuracy_line, status_of, verdict_line
from pipeline.run_display import Detail, Display

_EXAMPLES = Path("examples", "instruments")
# With the sources, or, for an installed package, in the checkout that the command is run in.
_CHECKOUTS = (Path(__file__).resolve().parents[2], Path())


@click.command(cls=Command, short_help="Run the whole pipeline on this machine.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Data set. [default: the bundled one]"
)
@click.option(
    "--pairs", type=click.Path(path_type=Path), help="Manifest of pairs. [default: the bundled]"
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
@answering("run")
@DETAIL
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
    detail: Detail,
    cache: str | None,
    workspace: Path,
    tracking_uri: str | None,
) -> Answer:
    """Run the whole pipeline here: train, register, stylize, reconstruct, report."""
    if network and runner != "docker":
        raise click.UsageError("--network is for --runner docker")
    address = registry_uri(workspace, tracking_uri)
    bundled = data is None
    data = _existing(data or _bundled("data"), "data")
    pairs = _existing(pairs or _bundled("pairs") / "pairs" / "pairs.csv", "pairs")

    from components.stylize.networks.weights import pinned
    from pipeline import containers, images, local, publication, settings, versions
    from pipeline.definitions import end_to_end

    chosen = with_cache(settings.load(config), cache)
    # Weights are looked at before the hour in which the classifier is trained.
    chosen = chosen.model_copy(update={"stylize": pinned(chosen.stylize)})
    if runner == "docker" and (uri := chosen.preprocess.cache) and not uri.startswith("s3://"):
        raise InputError(f"cache: {uri} is no bucket, and containers see no folder of this host")
    store = publication.target(publish) if publish else None
    values = {
        "data": str(data),
        "data_version": versions.of_data(data, chosen.preprocess),
        "pairs": str(pairs),
        "pairs_version": versions.of_pairs(pairs),
        "tracking_uri": address,
        "checkpoints": str(workspace.resolve() / "checkpoints"),
        "work": str(workspace.resolve() / "unfinished"),
        **chosen.arguments(),
    }
    # Of the bundled recordings nothing is to be done about what is not read.
    display = Display(detail, unshown=f"data: {data}: " if bundled else "")
    if runner == "docker":
        weights = chosen.stylize.weights or ""
        servers = (address, chosen.preprocess.cache, weights, *containers.objects(pairs))
        network = network or containers.network_for(*servers)
        readable = containers.inputs(data, pairs)
        if Path(weights).is_file():
            # The file alone; where it is a link, what it leads to as well.
            readable += [Path(weights), Path(weights).resolve()]
        with containers.prepared(workspace, readable, network) as (image, arguments):
            pipeline = end_to_end.build(image)
            outputs = local.run(pipeline, values, workspace, arguments, display)
    else:
        pipeline = end_to_end.build(images.local_of)
        outputs = local.run(pipeline, values, workspace, display=display)
    registration, figures = outputs["registration"], outputs["metrics"].metadata
    report = local.show(Path(outputs["audio"].uri), workspace / "latest") / "report.html"
    published = [
        publication.publish(Path(outputs[name].uri), form, store)
        for name, form in publication.FORMATS.items()
        if store
    ]
    value = {
        **status_of(registration),
        "accuracy": figures["test accuracy"],
        "chance": figures["chance"],
        "report": str(report),
        "log": str(outputs["log"]),
        "published": published,
    }
    lines = [
        f"Model     {verdict_line(registration, workspace, tracking_uri)}",
        *accuracy_line(value),
        f"Registry  audiostyle ui --workspace {workspace}",
        f"Report    {report}",
        f"Log       {outputs['log']}",
        *(f"Published {address}" for address in published),
    ]
    return Answer.lines(value, lines)


def _bundled(option: str) -> Path:
    """Folder of the recordings that come with the sources."""
    for checkout in _CHECKOUTS:
        if (checkout / _EXAMPLES / "manifest.csv").is_file():
            return checkout / _EXAMPLES
    raise InputError(
        f"{option}: the bundled recordings come with the repository ({_EXAMPLES}), not with the"
        " installed package; run this in a checkout, or give --data FOLDER and --pairs FILE.csv"
    )


def _existing(path: Path, name: str) -> Path:
    if not path.exists():
        raise InputError(f"{name}: {path} does not exist")
    return path.resolve()
