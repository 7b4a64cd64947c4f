"""Registration: the run of a training and a version of its classifier, written into the registry.

Whatever stops it halfway is completed by the next registration of the same classifier, and any
number of processes may register at once: a run and a version are known by the classifier's digest.
"""

import json
import tempfile
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from audiostyle import artifacts, network
from audiostyle.mlflow_client import (
    MlflowException,
    after_collisions,
    entities,
    explained,
    mlflow,
)
from audiostyle.registry import CARD, EXPERIMENT, MODEL, Registry, Version

_DIGEST = "audiostyle.digest"
# Of a request that logs many values; MLflow takes up to 100 parameters and 1000 metrics.
_AT_ONCE = 100


@dataclass(frozen=True)
class Record:
    """What is registered of a training beside its classifier.

    parameters: of the run, by dotted name. tags: of run and version. data: name of the data set;
    data_digest: its SHA-256; data_profile: anything JSON holds. seconds: that the training took.
    card: Markdown, kept with the version; summary: its first sentence. figures: folder of pictures.
    """

    parameters: dict[str, Any]
    tags: dict[str, str]
    data: str
    data_digest: str
    data_profile: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    card: str = ""
    summary: str = ""
    figures: Path | None = None


def register(registry: Registry, classifier: Path, record: Record) -> Version:
    """Track a training and register its classifier; one that is there already is returned.

    classifier: a classifier artifact. May be called again at any time, and by several processes.
    """
    opened = artifacts.opening(classifier, artifacts.CLASSIFIER)
    record = replace(record, tags={**record.tags, _DIGEST: opened.digest})
    with explained(registry.uri), tempfile.TemporaryDirectory() as folder:
        if version := _same(registry, opened.digest):
            return version
        files = _write_files(opened, record, Path(folder))
        with registry.exclusive():
            if version := _same(registry, opened.digest):
                return version
            run_id = after_collisions(lambda: _track(registry, opened, record))
            registry.client.log_artifacts(run_id, str(files), "model")
            number = after_collisions(lambda: _create(registry, run_id, record, opened.digest))
            return _same(registry, opened.digest) or registry.version(number)


def _same(registry: Registry, digest: str) -> Version | None:
    """The version that holds this classifier: the oldest, where there are several.

    A request whose answer was lost is sent again, and another process may have registered the same
    at the same time: the others are deleted.
    """
    rows = registry.client.search_model_versions(
        f"name='{MODEL}' and tags.`{_DIGEST}` = '{digest}'"
    )
    first, *more = sorted(int(row.version) for row in rows) or [0]
    for number in more:
        try:
            registry.client.delete_model_version(MODEL, str(number))
        except MlflowException as error:
            # Another process deleted it first.
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    return registry.version(first) if first else None


def _track(registry: Registry, opened: artifacts.Artifact, record: Record) -> str:
    """Write the run of a training, or complete the one that is there; returns its id.

    Everything is logged under names and times of its own, so that a second time adds nothing.
    """
    client = registry.client
    metrics = json.loads(opened.path("metrics.json").read_text(encoding="utf-8"))
    experiment = _experiment(registry)
    before = client.search_runs(
        [experiment], f"tags.`{_DIGEST}` = '{opened.digest}'", order_by=["start_time ASC"]
    )
    milliseconds = round(1000 * record.seconds)
    run = (
        before[0]
        if before
        else client.create_run(
            experiment,
            start := round(1000 * time.time()) - milliseconds,
            record.tags,
            _run_name(record.data, start, metrics["test"]["balanced_accuracy"]),
        )
    )
    run_id, start = run.info.run_id, run.info.start_time
    params = [entities.Param(key, str(value)[:500]) for key, value in record.parameters.items()]
    values = [
        entities.Metric(key, value, start, int(row["epoch"]))
        for row in metrics["history"]
        for key, value in row.items()
        if key != "epoch"
    ]
    test = {f"test_{k}": v for k, v in metrics["test"].items() if isinstance(v, float)}
    test["seconds"] = record.seconds
    values += [entities.Metric(key, value, start, 0) for key, value in test.items()]
    for at in range(0, len(params), _AT_ONCE):
        client.log_batch(run_id, params=params[at : at + _AT_ONCE])
    for at in range(0, len(values), _AT_ONCE):
        client.log_batch(run_id, metrics=values[at : at + _AT_ONCE])
    client.log_inputs(run_id, [_data_set(record)])
    if record.figures:
        client.log_artifacts(run_id, str(record.figures), "figures")
    client.set_terminated(run_id, "FINISHED", start + milliseconds)
    return str(run_id)


def _run_name(data: str, start: int, accuracy: float) -> str:
    """What a person knows a run by: its data, when it began (UTC), its balanced accuracy.

    start: milliseconds since 1970.
    >>> _run_name("instruments", 1795662600000, 0.7166)
    'instruments · 2026-11-26 03:10 · 0.717'
    """
    began = datetime.fromtimestamp(start / 1000, UTC)
    return f"{data[:100]} · {began:%Y-%m-%d %H:%M} · {accuracy:.3f}"


def _create(registry: Registry, run_id: str, record: Record, digest: str) -> int:
    """Create the version; returns its number."""
    client = registry.client
    source = f"{client.get_run(run_id).info.artifact_uri}/model"
    try:
        _create_model(client)
        # Tags come with the version in one request: there is no version without its digest.
        row = client.create_model_version(
            MODEL, source, run_id, tags=record.tags, description=record.summary
        )
        return int(row.version)
    except MlflowException:
        if version := _same(registry, digest):
            return version.version  # it is there, whatever the answer was
        raise


def _create_model(client: Any) -> None:
    try:
        client.get_registered_model(MODEL)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        try:
            client.create_registered_model(MODEL)
        except MlflowException as also:
            if also.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def _experiment(registry: Registry) -> str:
    """Id of the experiment; a database that was made here has it from the beginning."""
    client = registry.client
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment:
        return str(experiment.experiment_id)
    return str(client.create_experiment(EXPERIMENT, artifact_location=registry.artifact_root))


def _write_files(opened: artifacts.Artifact, record: Record, folder: Path) -> Path:
    """Write a version's files: the model as MLflow serves it, the artifact, the card."""
    model = network.load(opened.folder)
    # Two clips, since torch.export would fix a batch of one; few digits, since they become JSON.
    example = torch.rand(2, model.spectrogram.bins, model.spectrogram.clip_frames).round(decimals=2)
    files = folder / "model"
    mlflow.pytorch.save_model(
        model,
        files,
        input_example=example.numpy(),
        serialization_format="pt2",
        # As addresses: in a path, MLflow takes what follows a # or ? for a part of one.
        extra_files=[path.resolve().as_uri() for path in sorted(opened.folder.iterdir())],
        # Stated rather than inferred: inference starts another process and loads the model.
        pip_requirements=[f"torch=={torch.__version__.split('+')[0]}", "numpy"],
    )
    if record.card:
        (files / CARD).write_text(record.card, encoding="utf-8")
    return files


def _data_set(record: Record) -> Any:
    # MLflow keeps 36 characters of a digest; the whole one is in the profile.
    profile = json.dumps({"sha256": record.data_digest, **record.data_profile})
    source = json.dumps({"tags": {"audiostyle.data": record.data}})
    data_set = entities.Dataset(
        record.data, record.data_digest[:32], "code", source, profile=profile
    )
    return entities.DatasetInput(data_set, [entities.InputTag("mlflow.data.context", "training")])
