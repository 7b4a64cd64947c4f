"""The end-to-end pipeline: data set and pairs in; classifier, recordings and report out."""

from collections.abc import Callable
from typing import Any, NamedTuple

from kfp import dsl

from pipeline import images
from pipeline.cluster_config import ClusterConfig
from pipeline.definitions import steps
from pipeline.definitions.task_settings import TaskSettings


class Outputs(NamedTuple):
    """What a run leaves."""

    registration: dict  # type: ignore[type-arg]
    spectrograms: dsl.Dataset
    classifier: dsl.Model
    stylized: dsl.Artifact
    audio: dsl.Artifact
    metrics: dsl.Metrics


def build(
    image: Callable[[str], str] = images.of,
    cluster: ClusterConfig | None = None,
    *,
    data_known: bool = True,
    pairs_known: bool = True,
) -> Any:
    """The pipeline, with each stage in the image that `image` names.

    cluster: what its tasks are given on Kubernetes. data_known, pairs_known: whether the
    parameters `…_version` will say when the data and the pairs change; what is not known is not
    taken from kfp's cache.
    """
    settings = TaskSettings(image, cluster)

    @dsl.pipeline(
        name="audiostyle-end-to-end",
        description="Train a classifier on a data set, register it, stylize pairs with it.",
        pipeline_config=settings.pipeline_config(),
    )
    def end_to_end(
        data: str,
        pairs: str,
        tracking_uri: str,
        data_version: str = "",
        mirror: str = "",
        cache: str = "",
        pairs_version: str = "",
        work: str = "",
        preprocess_config: dict = {},  # noqa: B006, kfp reads the default from the signature
        checkpoints: str = "",
        train_config: dict = {},  # noqa: B006
        gate_config: dict = {},  # noqa: B006
        stylize_config: dict = {},  # noqa: B006
        reconstruct_config: dict = {},  # noqa: B006
    ) -> Outputs:
        spectrograms = steps.prepared(
            settings, data, preprocess_config, data_version, mirror, cache, cached=data_known
        ).outputs["spectrograms"]
        trained, registered = steps.trained(
            settings, spectrograms, tracking_uri, checkpoints, train_config, gate_config
        )
        registration = registered.outputs["registration"]
        stylizing = {
            "pairs": pairs,
            "config": stylize_config,
            "model_name": registered.outputs["model"],
            "pairs_version": pairs_version,
            "work": work,
        }
        stylized, audio = steps.transferred(
            settings,
            trained.outputs["classifier"],
            stylizing,
            {"config": reconstruct_config, "registration": registration},
            cached=pairs_known,
        )
        steps.attached(settings, audio.outputs["excerpt"], tracking_uri, registration)
        return Outputs(  # type: ignore[return-value]
            registration,
            spectrograms,
            trained.outputs["classifier"],
            stylized.outputs["stylized"],
            audio.outputs["audio"],
            audio.outputs["metrics"],
        )

    return end_to_end
