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
    image: str = "",
) -> None:
    """Train a classifier on a spectrogram set.

    Args:
        spectrograms: The spectrogram set.
        classifier: The classifier.
        metrics: Accuracy on the test split, beside chance.
        confusion: Confusion matrix on the test split.
        config: Settings of the stage; the defaults are used for what is not there.
        checkpoints: Folder that outlives the task, for what a stopped training goes on from.
        image: Name of the image that this runs in, by digest where it is known; kept as lineage.
    """
    import json
    import os
    from pathlib import Path

    from audiostyle.command import task
    from audiostyle.network import device_of
    from components.train.config import TrainConfig
    from components.train.lineage import lineage
    from components.train.train import train

    with task(checkpoints=checkpoints):
        settings = TrainConfig.parse(config, "config of train")
        metrics_of = train(spectrograms.path, classifier.path, settings, checkpoints or None)
        classifier.metadata.update(lineage(os.environ, device_of(settings.device), image))
        classifier.metadata["seconds"] = f"{metrics_of['seconds']:.1f}"
        done = metrics_of["test"]
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
        # kfp adds two of its own when it reads an artifact back.
        own = ("store_session_info", "display_name")
        known = {k: str(v) for k, v in classifier.metadata.items() if k not in own}
        known["pipeline_run"] = pipeline_run
        row = register(classifier.path, spectrograms.path, tracking_uri, settings, known)
        return row, row["uri"], row["verdict"]  # type: ignore[return-value]


@dsl.component(base_image="audiostyle/train", install_kfp_package=False)
def attach_report(
    excerpt: dsl.Input[dsl.Artifact],
    tracking_uri: str,
    registration: dict,
) -> None:
    """Attach the report of a run, and a few of its recordings, to the training's run in MLflow.

    Args:
        excerpt: The report as one file and a few recordings.
        tracking_uri: MLflow's address.
        registration: What the registry says of the classifier.
    """
    from audiostyle.command import task
    from components.train.attach_report import attach_report

    with task():
        attach_report(excerpt.path, tracking_uri, registration)


@dsl.component(base_image="audiostyle/train", install_kfp_package=False)
def check_changes(
    spectrograms: dsl.Input[dsl.Dataset],
    tracking_uri: str,
    if_changed: bool = False,
    config: dict = {},  # noqa: B006, kfp reads the default from the signature
) -> NamedTuple("Changed", [("decision", str), ("reason", str), ("registration", dict)]):  # type: ignore[valid-type]
    """Decide whether to train: always, or only where it would be of something else.

    Args:
        spectrograms: The spectrogram set.
        tracking_uri: MLflow's address.
        if_changed: Train only if data, settings or release are not those of the champion.
        config: Settings of the train stage.

    Returns:
        The word train or skip, why, and what is registered already where it is skip.
    """
    from audiostyle.command import task
    from components.train.config import TrainConfig

    with task():
        settings = TrainConfig.parse(config, "config of train")
        if not if_changed:
            return "train", "asked for", {}  # type: ignore[return-value]
        from components.train.retraining import decide

        choice = decide(spectrograms.path, tracking_uri, settings)
        return choice.decision, choice.reason, choice.registration()  # type: ignore[return-value]


@dsl.component(base_image="audiostyle/train", install_kfp_package=False)
def cross_validate(
    spectrograms: dsl.Input[dsl.Dataset],
    folds: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    config: dict = {},  # noqa: B006, kfp reads the default from the signature
    fold: str = "all",
    checkpoints: str = "",
) -> None:
    """Train a classifier for each fold, tested on that fold.

    Args:
        spectrograms: The spectrogram set, of a data set that has folds.
        folds: A classifier a fold, and folds.json.
        metrics: Mean and deviation over the folds.
        config: Settings of the stage; the defaults are used for what is not there.
        fold: One fold, or all.
        checkpoints: Folder that outlives the task, for what a stopped training goes on from.
    """
    import json
    from pathlib import Path

    from audiostyle.command import task
    from components.train.config import TrainConfig
    from components.train.folds import cross_validate

    with task(checkpoints=checkpoints):
        settings = TrainConfig.parse(config, "config of train")
        done = cross_validate(spectrograms.path, folds.path, settings, fold, checkpoints or None)
        for name, value in done.items():
            if isinstance(value, float):
                metrics.log_metric(name, value)
        Path(metrics.path).write_text(json.dumps(metrics.metadata), encoding="utf-8")


@dsl.component(base_image="audiostyle/train", install_kfp_package=False)
def fetch(
    classifier: dsl.Output[dsl.Model],
    model: str,
    tracking_uri: str,
) -> NamedTuple("Fetched", [("model", str)]):  # type: ignore[valid-type]
    """Give out a registered classifier as an artifact.

    Args:
        classifier: The classifier.
        model: Version, alias or URI.
        tracking_uri: MLflow's address.

    Returns:
        The URI of the version that it is.
    """
    from audiostyle.command import task
    from components.train.fetch import fetch

    with task():
        uri = fetch(model, tracking_uri, classifier.path)
        classifier.metadata["model"] = uri
        return (uri,)  # type: ignore[return-value]


@dsl.component(base_image="audiostyle/train", install_kfp_package=False)
def current_champion(registration: dict) -> dict:
    """Say of the champion what `register` says of a new version: kfp wants one of either branch.

    Args:
        registration: What the registry says of the champion.

    Returns:
        The same.
    """
    return registration
