"""The bulk pipeline: a registered classifier and a manifest in, results straight to their place."""

from collections.abc import Callable
from typing import Any

from kfp import dsl

from components.train.component import fetch
from pipeline import images
from pipeline.bulk.component import bulk, join
from pipeline.cluster_config import ClusterConfig
from pipeline.definitions.task_settings import TaskSettings


def build(
    image: Callable[[str], str] = images.of,
    cluster: ClusterConfig | None = None,
    *,
    pinned: bool = False,
    shards: int = 1,
    parallelism: int = 4,
) -> Any:
    """The pipeline, with each stage in the image that `image` names.

    Other than the stylization pipeline's, its tasks do both stages, and on CPUs alone: they are
    those of `audiostyle stylize --manifest`, in reconstruct's image, which has what both need.
    cluster, pinned, shards, parallelism: as of `stylization.build`.
    """
    settings = TaskSettings(image, cluster)

    @dsl.pipeline(
        name="audiostyle-bulk-stylization",
        description="Stylize every row of a manifest exactly once, with a registered classifier.",
        pipeline_config=settings.pipeline_config(),
    )
    def bulk_stylization(
        manifest: str,
        out: str,
        tracking_uri: str,
        model: str = "champion",
        work: str = "",
        stylize_config: dict = {},  # noqa: B006, kfp reads the default from the signature
        reconstruct_config: dict = {},  # noqa: B006
        bulk_config: dict = {},  # noqa: B006
    ) -> None:
        fetched = settings.apply(
            fetch(model=model, tracking_uri=tracking_uri), "train", cached=pinned
        )
        job = {
            "classifier": fetched.outputs["classifier"],
            "manifest": manifest,
            "out": out,
            "stylize_config": stylize_config,
            "reconstruct_config": reconstruct_config,
            "bulk_config": bulk_config,
        }

        def worked(**shard: Any) -> Any:
            # Never from kfp's cache: what is done is for the place of the results to say.
            return settings.apply(bulk(**job, work=work, **shard), "reconstruct", cached=False)

        if shards == 1:
            done = worked()
        else:
            with dsl.ParallelFor(list(range(shards)), name="shards", parallelism=parallelism) as n:
                done = worked(shard=n, shards=shards)
        settings.apply(join(**job).after(done), "reconstruct", cached=False)

    return bulk_stylization
