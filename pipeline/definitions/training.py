"""The training pipeline: data set in, registered classifier out, where anything has changed."""

from collections.abc import Callable
from typing import Any, NamedTuple

from kfp import dsl

from components.train.component import check_changes, current_champion
from pipeline import images
from pipeline.cluster_config import ClusterConfig
from pipeline.definitions import steps
from pipeline.definitions.task_settings import TaskSettings


class Outputs(NamedTuple):
    """What a run leaves: what the registry says of the new version, or of the one that stays."""

    registration: dict  # type: ignore[type-arg]


def build(
    image: Callable[[str], str] = images.of,
    cluster: ClusterConfig | None = None,
    *,
    data_known: bool = True,
) -> Any:
    """The pipeline, with each stage in the image that `image` names.

    cluster: what its tasks are given on Kubernetes. data_known: whether the parameter
    `data_version` will say when the data change; if not, preprocess always looks.
    """
    settings = TaskSettings(image, cluster)

    @dsl.pipeline(
        name="audiostyle-training",
        description="Train a classifier on a data set and register it behind the gate.",
        pipeline_config=settings.pipeline_config(),
    )
    def training(
        data: str,
        tracking_uri: str,
        data_version: str = "",
        mirror: str = "",
        cache: str = "",
        if_changed: bool = False,
        preprocess_config: dict = {},  # noqa: B006, kfp reads the default from the signature
        checkpoints: str = "",
        train_config: dict = {},  # noqa: B006
        gate_config: dict = {},  # noqa: B006
    ) -> Outputs:
        spectrograms = steps.prepared(
            settings, data, preprocess_config, data_version, mirror, cache, cached=data_known
        ).outputs["spectrograms"]
        # Never from the cache: the registry's champion is what is compared with.
        seen = settings.apply(
            check_changes(
                spectrograms=spectrograms,
                tracking_uri=tracking_uri,
                if_changed=if_changed,
                config=train_config,
            ),
            "train",
            cached=False,
        )
        with dsl.If(seen.outputs["decision"] == "train", name="changed"):
            _, registered = steps.trained(
                settings, spectrograms, tracking_uri, checkpoints, train_config, gate_config
            )
        with dsl.Else(name="unchanged"):
            champion = settings.apply(
                current_champion(registration=seen.outputs["registration"]), "train"
            )
        return Outputs(  # type: ignore[return-value]
            dsl.OneOf(registered.outputs["registration"], champion.output)
        )

    return training
