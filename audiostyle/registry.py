"""Experiment tracking and the model registry: the only module that talks to MLflow.

A registered version holds the classifier twice, made from the same weights in one go: as MLflow's
own `pt2` (torch.export, no pickle) for whoever serves it, and as the classifier artifact that the
stages exchange (`extra_files/`) for whoever needs its features.
"""

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

# Before MLflow reads them: nothing pickled is loaded, no telemetry, no progress bars in logs.
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
# A request is tried again after 0, 4, 8, 16 and 32 s: a server that starts anew is waited for, and
# one that is gone is told within a minute; one that accepts and never answers, within four.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")

import mlflow
import mlflow.pytorch
import torch
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from audiostyle import artifacts, network
from audiostyle.errors import AudiostyleError, InputError

MODEL = "audio-style-classifier"
EXPERIMENT = "audiostyle"
CHAMPION = "champion"
CHALLENGER = "challenger"
CARD = "model_card.md"
_DIGEST = "audiostyle.digest"
_PREDECESSOR = "audiostyle.predecessor"
# Of a request that logs many values; MLflow takes up to 100 parameters and 1000 metrics.
_AT_ONCE = 100
# Whose errors come out of MLflow as they are, depending on where it keeps things.
_THEIRS = ("mlflow", "requests", "urllib3", "sqlalchemy", "botocore", "boto3")


@dataclass(frozen=True)
class Record:
    """What is kept of a training beside its classifier.

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


@dataclass(frozen=True)
class Version:
    """A registered version of the classifier."""

    version: int
    run_id: str
    created: int  # milliseconds since 1970
    aliases: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        """Address by which MLflow and `--model` know it."""
        return f"models:/{MODEL}/{self.version}"


class Registry:
    """A tracking server or database, by MLflow's URI (sqlite:///…, http://…)."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        if uri.startswith("sqlite:///"):
            Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    def versions(self) -> list[Version]:
        """All registered versions, newest first."""
        with _explained(self.uri):
            # Aliases come with single versions only, not with a search.
            return sorted(
                (
                    self._version(found.version)
                    for found in self._client.search_model_versions(f"name='{MODEL}'")
                ),
                key=lambda version: -version.version,
            )

    def find(self, reference: str) -> Version:
        """A version by number, alias or URI: `3`, `champion`, `models:/NAME/3`, `…@champion`.

        Raises InputError where there is none.
        """
        place = reference.removeprefix(f"models:/{MODEL}").lstrip("/@")
        with _explained(self.uri):
            try:
                if place.isdigit():
                    return self._version(place)
                found = self._client.get_model_version_by_alias(MODEL, place)
                return self._version(found.version)
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                raise InputError(
                    f"model {reference!r}: {self.uri} has no such version of {MODEL};"
                    " `audiostyle models list` shows what there is"
                ) from None

    def latest(self, alias: str) -> Version | None:
        """The version that an alias means, or None where it means none yet."""
        try:
            return self.find(alias)
        except InputError:
            return None

    def champion(self) -> Version | None:
        """The version that is used by default, or None before the first."""
        return self.latest(CHAMPION)

    def parameters(self, version: Version) -> dict[str, str]:
        """Parameters of the training that a version is of, as text."""
        with _explained(self.uri):
            return dict(self._client.get_run(version.run_id).data.params)

    def card(self, version: Version) -> str:
        """The model card of a version, in Markdown. Raises InputError where it has none."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                return self._fetch(version, CARD, Path(folder)).read_text(encoding="utf-8")
            except (AudiostyleError, OSError) as error:
                raise InputError(f"model {version.uri}: has no {CARD}: {error}") from None

    def download(self, version: Version, folder: Path) -> Path:
        """Fetch the classifier artifact of a version into `folder`; returns where it lies."""
        return self._fetch(version, "extra_files", folder)

    def _fetch(self, version: Version, name: str, folder: Path) -> Path:
        with _explained(self.uri):
            source = self._client.get_model_version_download_uri(MODEL, str(version.version))
            local = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{source}/{name}", dst_path=str(folder), tracking_uri=self.uri
            )
        return Path(local)

    def register(self, classifier: Path, record: Record) -> Version:
        """Track a training and register its classifier; one that is there already is returned.

        classifier: a classifier artifact. May be called again at any time: what a registration
        that broke off has left is found by the classifier's digest, and completed.
        """
        opened = artifacts.opening(classifier, artifacts.CLASSIFIER)
        record = replace(record, tags={**record.tags, _DIGEST: opened.digest})
        with _explained(self.uri):
            if same := self._same(opened.digest):
                return self._version(same[0])
            run_id = self._track(opened, record)
            with tempfile.TemporaryDirectory() as folder:
                self._client.log_artifacts(
                    run_id, str(_served(opened, record, Path(folder))), "model"
                )
            self._create(run_id, record)
            first, *more = self._same(opened.digest)
            for number in more:
                # A request whose answer was lost is sent again, and may have been heard twice.
                self._client.delete_model_version(MODEL, str(number))
            return self._version(first)

    def tag(self, version: Version, tags: dict[str, str]) -> None:
        """Set tags on a version."""
        with _explained(self.uri):
            for key, value in tags.items():
                self._client.set_model_version_tag(MODEL, str(version.version), key, value)

    def point(self, alias: str, version: Version) -> None:
        """Let an alias mean this version."""
        with _explained(self.uri):
            self._client.set_registered_model_alias(MODEL, alias, str(version.version))

    def promote(self, version: Version) -> Version:
        """Make a version the champion; it remembers its predecessor, for `rollback`."""
        before = self.champion()
        if before and before.version != version.version:
            self.tag(version, {_PREDECESSOR: str(before.version)})
        return self.restore(version)

    def predecessor(self, champion: Version) -> Version | None:
        """The version that was champion before this one, or None for the first."""
        before = champion.tags.get(_PREDECESSOR)
        return self.find(before) if before else None

    def restore(self, version: Version) -> Version:
        """Make a version the champion, as it was before."""
        self.point(CHAMPION, version)
        return self.find(str(version.version))

    def _same(self, digest: str) -> list[int]:
        """Numbers of the versions that hold this classifier, oldest first."""
        found = self._client.search_model_versions(
            f"name='{MODEL}' and tags.`{_DIGEST}` = '{digest}'"
        )
        return sorted(int(version.version) for version in found)

    def _track(self, opened: artifacts.Artifact, record: Record) -> str:
        """Write the run of a training, or complete the one that is there; returns its id.

        Everything is logged under names and times of its own, so that a second time adds nothing.
        """
        metrics = json.loads(opened.path("metrics.json").read_text(encoding="utf-8"))
        experiment = self._experiment()
        left = self._client.search_runs(
            [experiment], f"tags.`{_DIGEST}` = '{opened.digest}'", order_by=["start_time ASC"]
        )
        took = round(1000 * record.seconds)
        run = (
            left[0]
            if left
            else self._client.create_run(
                experiment, round(1000 * time.time()) - took, record.tags, record.data
            )
        )
        run_id, start = run.info.run_id, run.info.start_time
        params = [Param(key, str(value)[:500]) for key, value in record.parameters.items()]
        values = [
            Metric(key, value, start, int(row["epoch"]))
            for row in metrics["history"]
            for key, value in row.items()
            if key != "epoch"
        ]
        test = {f"test_{k}": v for k, v in metrics["test"].items() if isinstance(v, float)}
        test["seconds"] = record.seconds
        values += [Metric(key, value, start, 0) for key, value in test.items()]
        for at in range(0, len(params), _AT_ONCE):
            self._client.log_batch(run_id, params=params[at : at + _AT_ONCE])
        for at in range(0, len(values), _AT_ONCE):
            self._client.log_batch(run_id, metrics=values[at : at + _AT_ONCE])
        self._client.log_inputs(run_id, [_data_set(record)])
        if record.figures:
            self._client.log_artifacts(run_id, str(record.figures), "figures")
        self._client.set_terminated(run_id, "FINISHED", start + took)
        return str(run_id)

    def _create(self, run_id: str, record: Record) -> None:
        try:
            self._client.create_registered_model(MODEL)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{self._client.get_run(run_id).info.artifact_uri}/model"
        # Tags come with the version in one request: there is no version without its digest.
        self._client.create_model_version(
            MODEL, source, run_id, tags=record.tags, description=record.summary
        )

    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found:
            return str(found.experiment_id)
        location = None
        if self.uri.startswith("sqlite:///"):
            # Beside the database; a server has an artifact root of its own.
            database = Path(self.uri.removeprefix("sqlite:///")).resolve()
            location = (database.parent / "mlartifacts").as_uri()
        return str(self._client.create_experiment(EXPERIMENT, artifact_location=location))

    def _version(self, number: str | int) -> Version:
        found = self._client.get_model_version(MODEL, str(number))
        return Version(
            int(found.version),
            found.run_id or "",
            found.creation_timestamp,
            tuple(found.aliases),
            dict(found.tags),
        )


def _served(opened: artifacts.Artifact, record: Record, folder: Path) -> Path:
    """Write a version's files: the model as MLflow serves it, the artifact, the card."""
    model = network.load(opened.folder)
    # Two clips, since torch.export would fix a batch of one; few digits, since they become JSON.
    example = torch.rand(2, model.spectrogram.bins, model.spectrogram.clip_frames).round(decimals=2)
    made = folder / "model"
    mlflow.pytorch.save_model(
        model,
        made,
        input_example=example.numpy(),
        serialization_format="pt2",
        extra_files=[str(path) for path in sorted(opened.folder.iterdir())],
        # Stated rather than inferred: inference starts another process and loads the model.
        pip_requirements=[f"torch=={torch.__version__.split('+')[0]}", "numpy"],
    )
    if record.card:
        (made / CARD).write_text(record.card, encoding="utf-8")
    return made


def _data_set(record: Record) -> DatasetInput:
    # MLflow keeps 36 characters of a digest; the whole one is in the profile.
    profile = json.dumps({"sha256": record.data_digest, **record.data_profile})
    source = json.dumps({"tags": {"audiostyle.data": record.data}})
    found = Dataset(record.data, record.data_digest[:32], "code", source, profile=profile)
    return DatasetInput(found, [InputTag("mlflow.data.context", "training")])


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Turn errors of MLflow, and of what it keeps things in, into one line naming the server."""
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in _THEIRS:
            raise
        told = error.message if isinstance(error, MlflowException) else str(error)
        raise AudiostyleError(f"model registry {uri}: {told}") from error
