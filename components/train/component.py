"""The kfp faces of the train stage: training, and registration behind the gate."""

from typing import NamedTuple

from kfp import dsl


@dsl.component(base_image="audiostyle/train", install_kfp_package=False)
def train(
    spectrograms: dsl.Input[dsl.Dataset],
    classifier: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    confusion: dsl.Output[dsl.ClassificationMetrics],
    config: dict = {},  # noqa: B006, kfp reads the default from the signature
    checkpoints: str = "",
) -> None:
    """Train a classifier on a spectrogram set.

    Args:
        spectrograms: The spectrogram set.
        classifier: The classifier.
        metrics: Accuracy on the test split, beside chance.
        confusion: Confusion matrix on the test split.
        config: Settings of the stage; the defaults are used for what is not there.
        checkpoints: Folder that outlives the task, for what a stopped training goes on from.
    """
    import json
    from pathlib import Path

    from audiostyle.command import task
    from components.train.fit import TrainConfig
    from components.train.train import train

    with task():
        done = train(
            spectrograms.path,
            classifier.path,
            TrainConfig.parse(config, "config of train"),
            checkpoints or None,
        )["test"]
        for name in ("accuracy", "balanced_accuracy", "chance", "ece"):
            metrics.log_metric(name, done[name])
        confusion.log_confusion_matrix(list(done["per_class"]), done["confusion"])
        # Metadata is what kfp shows, but its local cache trusts only artifacts that are there.
        for artifact in (metrics, confusion):
            Path(artifact.path).write_text(json.dumps(artifact.metadata), encoding="utf-8")


@dsl.component(base_image="audiostyle/train", install_kfp_package=False)
def register(
    spectrograms: dsl.Input[dsl.Dataset],
    classifier: dsl.Input[dsl.Model],
    tracking_uri: str,
    config: dict = {},  # noqa: B006, kfp reads the default from the signature
    pipeline_run: str = "",
) -> NamedTuple("Registered", [("registration", dict), ("model", str), ("verdict", str)]):  # type: ignore[valid-type]
    """Register a classifier in MLflow, and promote it if the gate lets it.

    Args:
        spectrograms: The spectrogram set on whose test split the gate compares.
        classifier: The classifier.
        tracking_uri: MLflow's address.
        config: Settings of the gate; the defaults are used for what is not there.
        pipeline_run: Id of the pipeline run, kept with the version.

    Returns:
        What the registry says of the version, its URI, and promote or hold.
    """
    from audiostyle.command import task
    from components.train.gate import GateConfig
    from components.train.register import register

    with task():
        settings = GateConfig.parse(config, "config of register")
        tags = {"audiostyle.pipeline_run": pipeline_run}
        told = register(classifier.path, spectrograms.path, tracking_uri, settings, tags)
        return told, told["uri"], told["verdict"]  # type: ignore[return-value]
