"""The training pipeline: data set in, registered classifier out."""

from collections.abc import Callable
from typing import Any, NamedTuple

from kfp import dsl

from components.preprocess.component import preprocess
from components.train.component import register, train
from pipeline import images


class Outputs(NamedTuple):
    """What a run leaves."""

    registration: dict  # type: ignore[type-arg]


def build(image: Callable[[str], str] = images.of) -> Any:
    """The pipeline, with each stage in the image that `image` names."""

    @dsl.pipeline(
        name="audiostyle-training",
        description="Train a classifier on a data set and register it behind the gate.",
    )
    def training(
        data: str,
        tracking_uri: str,
        data_version: str = "",
        preprocess_config: dict = {},  # noqa: B006, kfp reads the default from the signature
        checkpoints: str = "",
        train_config: dict = {},  # noqa: B006
        gate_config: dict = {},  # noqa: B006
    ) -> Outputs:
        spectrograms = preprocess(
            data=data, config=preprocess_config, data_version=data_version
        ).set_container_image(image("preprocess"))
        trained = train(
            spectrograms=spectrograms.outputs["spectrograms"],
            config=train_config,
            checkpoints=checkpoints,
        ).set_container_image(image("train"))
        registered = (
            register(
                spectrograms=spectrograms.outputs["spectrograms"],
                classifier=trained.outputs["classifier"],
                tracking_uri=tracking_uri,
                config=gate_config,
                pipeline_run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            )
            .set_container_image(image("train"))
            .set_caching_options(False)
        )
        return Outputs(registered.outputs["registration"])  # type: ignore[return-value]

    return training
