"""Cross-validation on this machine: a data set with folds in; classifiers and means out."""

from collections.abc import Callable
from typing import Any, NamedTuple

from kfp import dsl

from components.preprocess.component import preprocess
from components.train.component import cross_validate
from pipeline import images
from pipeline.definitions.task_settings import TaskSettings


class Outputs(NamedTuple):
    """What a run leaves."""

    folds: dsl.Artifact
    metrics: dsl.Metrics


def build(image: Callable[[str], str] = images.of) -> Any:
    """The pipeline, with each stage in the image that `image` names."""
    settings = TaskSettings(image)

    @dsl.pipeline(
        name="audiostyle-cross-validation",
        description="Train a classifier for each fold of a data set, tested on that fold.",
    )
    def cross_validation(
        data: str,
        data_version: str = "",
        fold: str = "all",
        preprocess_config: dict = {},  # noqa: B006, kfp reads the default from the signature
        checkpoints: str = "",
        train_config: dict = {},  # noqa: B006
    ) -> Outputs:
        prepared = settings.apply(
            preprocess(data=data, config=preprocess_config, data_version=data_version),
            "preprocess",
        )
        validation = settings.apply(
            cross_validate(
                spectrograms=prepared.outputs["spectrograms"],
                config=train_config,
                fold=fold,
                checkpoints=checkpoints,
            ),
            "train",
        )
        folds, metrics = validation.outputs["folds"], validation.outputs["metrics"]
        return Outputs(folds, metrics)  # type: ignore[return-value]

    return cross_validation
