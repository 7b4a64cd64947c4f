"""The tasks that pipelines share, wired: each function adds its part to the pipeline around it."""

from typing import Any

from kfp import dsl

from components.preprocess.component import preprocess
from components.reconstruct.component import reconstruct
from components.stylize.component import stylize
from components.train.component import attach_report, register, train
from pipeline.definitions.task_settings import TaskSettings


def prepared(
    settings: TaskSettings,
    data: Any,
    config: Any,
    version: Any,
    mirror: Any,
    cache: Any,
    *,
    cached: bool,
) -> Any:
    """Data set in, spectrogram set out.

    cached: whether `version` changes when the data does; kfp cannot see it otherwise.
    """
    return settings.apply(
        preprocess(data=data, config=config, data_version=version, mirror=mirror, cache=cache),
        "preprocess",
        cached=cached,
    )


def trained(
    settings: TaskSettings,
    spectrograms: Any,
    tracking_uri: Any,
    checkpoints: Any,
    train_config: Any,
    gate_config: Any,
) -> tuple[Any, Any]:
    """Spectrogram set in; the training's and the registration's tasks."""
    training = settings.apply(
        train(
            spectrograms=spectrograms,
            config=train_config,
            checkpoints=checkpoints,
            image=settings.image("train"),
        ),
        "train",
    )
    # Never from the cache: what counts is whether the registry has it, and the task asks.
    registration = settings.apply(
        register(
            spectrograms=spectrograms,
            classifier=training.outputs["classifier"],
            tracking_uri=tracking_uri,
            config=gate_config,
            pipeline_run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        ),
        "train",
        cached=False,
    )
    return training, registration


def transferred(
    settings: TaskSettings,
    classifier: Any,
    stylizing: dict[str, Any],
    making: dict[str, Any],
    *,
    cached: bool,
) -> tuple[Any, Any]:
    """Classifier and pairs in; the tasks of the stylized set and of the audio set.

    Two tasks, so that a GPU is given back before the phase is searched for.
    stylizing, making: further arguments of the one and of the other.
    cached: whether `pairs_version` changes when the recordings do.
    """
    stylized = settings.apply(stylize(classifier=classifier, **stylizing), "stylize", cached=cached)
    audio = settings.apply(
        reconstruct(stylized=stylized.outputs["stylized"], classifier=classifier, **making),
        "reconstruct",
    )
    return stylized, audio


def attached(settings: TaskSettings, excerpt: Any, tracking_uri: Any, registration: Any) -> Any:
    """Excerpt of a report in, nothing out: it lies beside the training in MLflow."""
    # Never from the cache: what counts is whether MLflow has it, and the task asks.
    return settings.apply(
        attach_report(excerpt=excerpt, tracking_uri=tracking_uri, registration=registration),
        "train",
        cached=False,
    )
