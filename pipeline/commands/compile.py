"""`audiostyle compile`: the pipelines as files for a Kubeflow Pipelines cluster."""

from pathlib import Path

import click

from audiostyle.command import Command
from pipeline.commands.answers import Answer, answering


@click.command("compile", cls=Command)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the YAML.")
@click.option("--config", type=click.Path(path_type=Path), help="YAML with the section `cluster`.")
@answering("compile")
def compile_(out: Path, config: Path | None) -> Answer:
    """Write the pipelines as kfp's IR YAML."""
    from audiostyle.files import replacing
    from pipeline import settings
    from pipeline.cluster.submission import compiled
    from pipeline.definitions import bulk_stylization, end_to_end, stylization, training

    cluster = settings.load(config).cluster
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, pipeline in (
        ("end_to_end", end_to_end.build(cluster=cluster, data_known=False, pairs_known=False)),
        ("training", training.build(cluster=cluster, data_known=False)),
        ("stylization", stylization.build(cluster=cluster, pairs_known=False)),
        ("bulk_stylization", bulk_stylization.build(cluster=cluster)),
    ):
        path = out / f"{name}.yaml"
        with replacing(path) as temporary:
            compiled(pipeline, temporary)
        paths.append(str(path))
    return Answer.lines({"files": paths}, paths)
