"""The stylization pipeline: a classifier and pairs in, recordings and report out."""

from collections.abc import Callable
from typing import Any

from kfp import dsl

from components.reconstruct.component import reconstruct
from components.stylize.component import stylize
from pipeline import images


def build(image: Callable[[str], str] = images.of) -> Any:
    """The pipeline, with each stage in the image that `image` names."""

    @dsl.pipeline(
        name="audiostyle-stylization",
        description="Stylise pairs of recordings with a classifier that was trained before.",
    )
    def stylization(
        classifier_uri: str,
        pairs: str,
        model_name: str = "",
        pairs_version: str = "",
        stylize_config: dict = {},  # noqa: B006, kfp reads the default from the signature
        reconstruct_config: dict = {},  # noqa: B006
    ) -> None:
        classifier = dsl.importer(
            artifact_uri=classifier_uri, artifact_class=dsl.Model, reimport=False
        )
        stylized = stylize(
            classifier=classifier.output,
            pairs=pairs,
            config=stylize_config,
            model_name=model_name,
            pairs_version=pairs_version,
        ).set_container_image(image("stylize"))
        reconstruct(
            stylized=stylized.outputs["stylized"],
            classifier=classifier.output,
            config=reconstruct_config,
        ).set_container_image(image("reconstruct"))

    return stylization
