"""The stylization pipeline: a registered classifier and pairs in, recordings and report out."""

from collections.abc import Callable
from typing import Any

from kfp import dsl

from components.train.component import fetch
from pipeline import images
from pipeline.cluster_config import ClusterConfig
from pipeline.definitions import steps
from pipeline.definitions.task_settings import TaskSettings


def build(
    image: Callable[[str], str] = images.of,
    cluster: ClusterConfig | None = None,
    *,
    pairs_known: bool = True,
    pinned: bool = False,
    shards: int = 1,
    parallelism: int = 4,
) -> Any:
    """The pipeline, with each stage in the image that `image` names.

    cluster: what its tasks are given on Kubernetes. pairs_known: whether the parameter
    `pairs_version` will say when the pairs change. pinned: whether `model` will be a version's
    number, which is the same classifier for ever; an alias is looked up anew.
    shards: among how many tasks the pairs are dealt; `parallelism` of them at a time at most.
    Tens are fine; every one costs a driver and two pods.
    """
    settings = TaskSettings(image, cluster)

    @dsl.pipeline(
        name="audiostyle-stylization",
        description="Stylize pairs of recordings with a registered classifier.",
        pipeline_config=settings.pipeline_config(),
    )
    def stylization(
        pairs: str,
        tracking_uri: str,
        model: str = "champion",
        pairs_version: str = "",
        work: str = "",
        stylize_config: dict = {},  # noqa: B006, kfp reads the default from the signature
        reconstruct_config: dict = {},  # noqa: B006
    ) -> None:
        fetched = settings.apply(
            fetch(model=model, tracking_uri=tracking_uri), "train", cached=pinned
        )
        stylizing = {
            "pairs": pairs,
            "config": stylize_config,
            "pairs_version": pairs_version,
            "work": work,
        }

        def transferred(**shard: Any) -> None:
            steps.transferred(
                settings,
                fetched.outputs["classifier"],
                {**stylizing, **shard},
                {"config": reconstruct_config},
                cached=pairs_known,
            )

        if shards == 1:
            transferred()
        else:
            with dsl.ParallelFor(list(range(shards)), name="shards", parallelism=parallelism) as n:
                transferred(shard=n, shards=shards)

    return stylization
