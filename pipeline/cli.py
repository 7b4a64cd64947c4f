"""The command line: `audiostyle`."""

import logging
import sys
import tempfile
from pathlib import Path

import click

from audiostyle import audio
from audiostyle.command import Group, log_to_stderr
from audiostyle.errors import InputError
from pipeline.cache_cli import cache
from pipeline.data_cli import data as data_sets
from pipeline.models_cli import models
from pipeline.options import TRACKING, WORKSPACE, registry_uri

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


@main.command()
@click.option(
    "--data", type=click.Path(path_type=Path), help="Data set. [default: the bundled one]"
)
@click.option(
    "--pairs", type=click.Path(path_type=Path), help="CSV of pairs. [default: the bundled]"
)
@click.option("--config", type=click.Path(path_type=Path), help="YAML with settings of the stages.")
@WORKSPACE
@TRACKING
def run(
    data: Path | None,
    pairs: Path | None,
    config: Path | None,
    workspace: Path,
    tracking_uri: str | None,
) -> None:
    """Run the whole pipeline here: train, register, stylise, reconstruct, report."""
    from pipeline import end_to_end, images, local, settings

    data = _existing(data or _EXAMPLES, "data")
    pairs = _existing(pairs or _EXAMPLES / "pairs" / "pairs.csv", "pairs")
    chosen = settings.load(config)
    outputs = local.run(
        end_to_end.build(images.local_of),
        {
            "data": str(data),
            "data_version": local.fingerprint(data),
            "pairs": str(pairs),
            "pairs_version": local.fingerprint(pairs.parent),
            "tracking_uri": registry_uri(workspace, tracking_uri),
            "checkpoints": str(workspace.resolve() / "checkpoints"),
            **chosen.arguments(),
        },
        workspace,
    )
    registration, figures = outputs["registration"], outputs["metrics"].metadata
    report = local.show(Path(outputs["audio"].uri), workspace / "latest") / "report.html"
    click.echo(
        f"\nModel     {registration['name']} version {registration['version']}:"
        f" {registration['verdict']}, {registration['reason']}\n"
        f"Accuracy  {figures['test accuracy']:.3f} on the test split"
        f" (chance {figures['chance']:.3f})\n"
        f"Registry  audiostyle ui --workspace {workspace}\n"
        f"Report    {report}"
    )


@main.command()
@click.argument("data")
@click.option("--config", type=click.Path(path_type=Path), help="YAML with settings of the stages.")
@click.option("--from", "mirror", default="", metavar="URI", help="Where to fetch DATA from.")
@WORKSPACE
@TRACKING
def train(
    data: str, config: Path | None, mirror: str, workspace: Path, tracking_uri: str | None
) -> None:
    """Train a classifier on DATA and register it.

    DATA: the name of a data set (`audiostyle data list`), a folder, a manifest, or an archive.
    """
    from components.preprocess.fetch import located
    from pipeline import images, local, settings, training

    chosen = settings.load(config)
    folder = located(data, workspace / "data", mirror=mirror)
    outputs = local.run(
        training.build(images.local_of),
        {
            "data": str(folder),
            "data_version": local.fingerprint(folder if folder.is_dir() else folder.parent),
            "tracking_uri": registry_uri(workspace, tracking_uri),
            "checkpoints": str(workspace.resolve() / "checkpoints"),
            **chosen.arguments("preprocess", "train", "gate"),
        },
        workspace,
    )
    told = outputs["registration"]
    click.echo(f"{told['name']} version {told['version']}: {told['verdict']}, {told['reason']}")


@main.command()
@click.argument("content", required=False, type=click.Path(path_type=Path))
@click.argument("style", required=False, type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write, .wav or .flac."
)
@click.option("--manifest", type=click.Path(path_type=Path), help="CSV: id,content,style[,target].")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the manifest's results.")
@click.option(
    "--model", default="champion", show_default=True, help="Version, alias, URI or folder."
)
@click.option("--config", type=click.Path(path_type=Path), help="YAML with settings of the stages.")
@WORKSPACE
@TRACKING
def stylize(
    content: Path | None,
    style: Path | None,
    output: Path | None,
    manifest: Path | None,
    out: Path | None,
    model: str,
    config: Path | None,
    workspace: Path,
    tracking_uri: str | None,
) -> None:
    """Give CONTENT the style of STYLE, or do so for every row of a manifest."""
    from components.reconstruct.reconstruct import publish, reconstruct
    from components.stylize.pairs import Pair, read_pairs
    from components.stylize.stylize import stylize as run_stage
    from pipeline import settings

    one = content is not None and style is not None and output is not None
    many = manifest is not None and out is not None
    if one == many or (one and (manifest or out)) or (many and (content or output)):
        raise click.UsageError("give CONTENT STYLE -o OUT.wav, or --manifest PAIRS.csv --out DIR")
    chosen = settings.load(config)
    if one:
        assert content is not None and style is not None and output is not None  # noqa: S101
        audio.check_writable(output, chosen.reconstruct.subtype)
        pairs = [Pair("result", content, style)]
    else:
        assert manifest is not None  # noqa: S101
        pairs = read_pairs(manifest)
    with tempfile.TemporaryDirectory(prefix="audiostyle-") as temporary:
        folder = Path(temporary)
        classifier, name = _model(model, registry_uri(workspace, tracking_uri), folder)
        run_stage(pairs, classifier, folder / "stylized", chosen.stylize, name)
        form = output.suffix[1:].lower() if output else chosen.reconstruct.format
        made = chosen.reconstruct.model_copy(update={"format": form})
        reconstruct(folder / "stylized", folder / "audio", made)
        if output:
            publish(folder / "audio", output.parent, {f"result.{form}": output.name})
        elif out:
            publish(folder / "audio", out)
    click.echo(output if output else f"{out}/report.html")


@main.command("compile")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the YAML.")
def compile_(out: Path) -> None:
    """Write the three pipelines as kfp's IR YAML."""
    from kfp import compiler

    from pipeline import end_to_end, stylization, training

    out.mkdir(parents=True, exist_ok=True)
    for name, module in (
        ("end_to_end", end_to_end),
        ("training", training),
        ("stylization", stylization),
    ):
        path = out / f"{name}.yaml"
        temporary = out / f".{name}.tmp.yaml"
        compiler.Compiler().compile(module.build(), str(temporary))
        temporary.replace(path)
        click.echo(path)


@main.command()
@click.option("--port", default=5000, show_default=True, help="TCP port on this machine.")
@WORKSPACE
def ui(port: int, workspace: Path) -> None:
    """Open the registry of the workspace in MLflow's web interface."""
    import os

    uri = registry_uri(workspace)
    if not Path(uri.removeprefix("sqlite:///")).is_file():
        raise InputError(f"workspace: {workspace} has no registry yet; run `audiostyle run` first")
    click.echo(f"http://127.0.0.1:{port}/#/models")
    sys.stdout.flush()
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    arguments = ["--backend-store-uri", uri, "--host", "127.0.0.1", "--port", str(port)]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "server", *arguments])  # noqa: S606


def _existing(path: Path, name: str) -> Path:
    if not path.exists():
        raise InputError(f"{name}: {path} does not exist")
    return path.resolve()


def _model(reference: str, tracking_uri: str, folder: Path) -> tuple[Path, str]:
    """Folder and name of a classifier: a folder as it is, anything else from the registry."""
    if Path(reference).is_dir():
        return Path(reference), Path(reference).name
    from audiostyle.registry import Registry

    registry = Registry(tracking_uri)
    found = registry.find(reference)
    return registry.download(found, folder / "model"), found.uri


if __name__ == "__main__":
    main()
