"""The kfp faces of bulk jobs: the work of a shard, and what joins the shards."""

from typing import NamedTuple

from kfp import dsl


@dsl.component(base_image="audiostyle/reconstruct", install_kfp_package=False)
def bulk(
    classifier: dsl.Input[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    manifest: str,
    out: str,
    shard: int = 0,
    shards: int = 1,
    work: str = "",
    stylize_config: dict = {},  # noqa: B006, kfp reads the default from the signature
    reconstruct_config: dict = {},  # noqa: B006
    bulk_config: dict = {},  # noqa: B006
) -> None:
    """Do what is missing of a shard of a manifest: recordings and rows, straight to where they go.

    Args:
        classifier: The classifier whose activations are matched.
        metrics: How many items there are, were done before, are done now, and were set aside.
        manifest: CSV, JSON lines or YAML; a file or s3://.
        out: Folder or s3:// of the results.
        shard: Number of the task, from 0, of those among which the rows are dealt.
        shards: How many tasks these are.
        work: Folder, not an output, in which an interrupted task leaves what it has begun.
        stylize_config: Settings of the stage; the defaults are used for what is not there.
        reconstruct_config: Settings of the stage, likewise.
        bulk_config: How the job is done, likewise.
    """
    from audiostyle.command import task
    from pipeline.bulk import tasks

    with task(work=work):
        configs = stylize_config, reconstruct_config, bulk_config
        model = classifier.path, classifier.metadata["model"]  # as `fetch` named it
        figures = tasks.shard(manifest, out, (shard, shards), configs, model, work)
        tasks.log(metrics, figures)


@dsl.component(base_image="audiostyle/reconstruct", install_kfp_package=False)
def join(
    classifier: dsl.Input[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.HTML],
    manifest: str,
    out: str,
    stylize_config: dict = {},  # noqa: B006, kfp reads the default from the signature
    reconstruct_config: dict = {},  # noqa: B006
    bulk_config: dict = {},  # noqa: B006
) -> NamedTuple("Joined", [("results", str), ("set_aside", int)]):  # type: ignore[valid-type]
    """Join what the shards of a manifest have done into results.jsonl and the report page.

    Args:
        classifier: The classifier that they were done with.
        metrics: How many items there are, are done, and were set aside.
        report: The report as one page, for the cluster's UI.
        manifest: As the shards were given it.
        out: Folder or s3:// of the results.
        stylize_config: Settings that the shards were given.
        reconstruct_config: Settings that the shards were given.
        bulk_config: How the job is done.

    Returns:
        The address of results.jsonl, and how many items were set aside.
    """
    from pathlib import Path

    from audiostyle.command import task
    from pipeline.bulk import tasks

    with task():
        configs = stylize_config, reconstruct_config, bulk_config
        model = classifier.path, classifier.metadata["model"]  # as `fetch` named it
        joined = tasks.join(manifest, out, configs, model)
        tasks.log(metrics, joined.figures)
        Path(report.path).write_text(joined.page, encoding="utf-8")
        return joined.results, joined.figures["set aside"]  # type: ignore[return-value]
