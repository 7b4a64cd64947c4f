"""The end-to-end pipeline: data set and pairs in; classifier, recordings and report out."""

from collections.abc import Callable
from typing import Any, NamedTuple

from kfp import dsl

from components.preprocess.component import preprocess
from components.reconstruct.component import reconstruct
from components.stylize.component import stylize
from components.train.component import register, train
from pipeline import images


class Outputs(NamedTuple):
    """What a run leaves."""

    registration: dict  # type: ignore[type-arg]
    audio: dsl.Artifact
    metrics: dsl.Metrics


def build(image: Callable[[str], str] = images.of) -> Any:
    """The pipeline, with each stage in the image that `image` names."""

    @dsl.pipeline(
        name="audiostyle-end-to-end",
        description="Train a classifier on a data set, register it, stylise pairs with it.",
    )
    def end_to_end(
        data: str,
        pairs: str,
        tracking_uri: str,
        data_version: str = "",
        pairs_version: str = "",
        preprocess_config: dict = {},  # noqa: B006, kfp reads the default from the signature
        checkpoints: str = "",
        train_config: dict = {},  # noqa: B006
        gate_config: dict = {},  # noqa: B006
        stylize_config: dict = {},  # noqa: B006
        reconstruct_config: dict = {},  # noqa: B006
    ) -> Outputs:
        spectrograms = preprocess(
            data=data, config=preprocess_config, data_version=data_version
        ).set_container_image(image("preprocess"))
        trained = train(
            spectrograms=spectrograms.outputs["spectrograms"],
            config=train_config,
            checkpoints=checkpoints,
        ).set_container_image(image("train"))
        # Never from the cache: what counts is whether the registry has it, and the task asks.
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
        stylized = stylize(
            classifier=trained.outputs["classifier"],
            pairs=pairs,
            config=stylize_config,
            model_name=registered.outputs["model"],
            pairs_version=pairs_version,
        ).set_container_image(image("stylize"))
        reconstructed = reconstruct(
            stylized=stylized.outputs["stylized"],
            classifier=trained.outputs["classifier"],
            config=reconstruct_config,
            registration=registered.outputs["registration"],
        ).set_container_image(image("reconstruct"))
        return Outputs(  # type: ignore[return-value]
            registered.outputs["registration"],
            reconstructed.outputs["audio"],
            reconstructed.outputs["metrics"],
        )

    return end_to_end
