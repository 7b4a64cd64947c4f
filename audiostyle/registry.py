"""Experiment tracking and the model registry: the only module that talks to MLflow.

A registered version holds the classifier twice, made from the same weights in one go: as MLflow's
own `pt2` (torch.export, no pickle) for whoever serves it, and as the classifier artifact that the
stages exchange (`extra_files/`) for whoever needs its features.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Before MLflow reads them: nothing pickled is loaded, no telemetry, no progress bars in logs.
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
import mlflow.pytorch
import torch
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from audiostyle import artifacts, network
from audiostyle.errors import AudiostyleError, InputError

MODEL = "audio-style-classifier"
EXPERIMENT = "audiostyle"
CHAMPION = "champion"
CHALLENGER = "challenger"
_DIGEST = "audiostyle.digest"
_PREDECESSOR = "audiostyle.predecessor"


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

    def champion(self) -> Version | None:
        """The version that is used by default, or None before the first."""
        try:
            return self.find(CHAMPION)
        except InputError:
            return None

    def download(self, version: Version, folder: Path) -> Path:
        """Fetch the classifier artifact of a version into `folder`; returns where it lies."""
        with _explained(self.uri):
            source = self._client.get_model_version_download_uri(MODEL, str(version.version))
            local = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{source}/extra_files", dst_path=str(folder), tracking_uri=self.uri
            )
        return Path(local)

    def register(
        self, classifier: Path, parameters: dict[str, Any], tags: dict[str, str]
    ) -> Version:
        """Track a training and register its classifier; one that is there already is returned.

        classifier: a classifier artifact. parameters: of the run. tags: of run and version.
        """
        opened = artifacts.opening(classifier, artifacts.CLASSIFIER)
        with _explained(self.uri):
            same = self._client.search_model_versions(
                f"name='{MODEL}' and tags.`{_DIGEST}` = '{opened.digest}'"
            )
            if same:
                return self._version(max(int(found.version) for found in same))
            return self._log(opened, parameters, {**tags, _DIGEST: opened.digest})

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

    def restore(self, version: Version) -> Version:
        """Make a version the champion, as it was before."""
        self.point(CHAMPION, version)
        return self.find(str(version.version))

    def _log(
        self, opened: artifacts.Artifact, parameters: dict[str, Any], tags: dict[str, str]
    ) -> Version:
        model = network.load(opened.folder)
        # Two clips, since torch.export would fix a batch of one.
        example = torch.rand(2, model.spectrogram.bins, model.spectrogram.clip_frames)
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        metrics = _read_metrics(opened)
        with mlflow.start_run(experiment_id=self._experiment()) as run:
            mlflow.set_tags(tags)
            mlflow.log_params({key: str(value)[:500] for key, value in parameters.items()})
            for row in metrics["history"]:
                step = int(row["epoch"])
                mlflow.log_metrics({k: v for k, v in row.items() if k != "epoch"}, step=step)
            test = metrics["test"]
            mlflow.log_metrics({f"test_{k}": v for k, v in test.items() if isinstance(v, float)})
            info = mlflow.pytorch.log_model(
                model,
                name="model",
                input_example=example.numpy(),
                serialization_format="pt2",
                registered_model_name=MODEL,
                extra_files=[str(path) for path in sorted(opened.folder.iterdir())],
                # Stated rather than inferred: inference starts another process and loads the model.
                pip_requirements=[f"torch=={torch.__version__.split('+')[0]}", "numpy"],
            )
        version = self._version(info.registered_model_version)
        self.tag(version, {**tags, "audiostyle.run": run.info.run_id})
        return self._version(version.version)

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


def _read_metrics(opened: artifacts.Artifact) -> dict[str, Any]:
    metrics: dict[str, Any] = json.loads(opened.path("metrics.json").read_text(encoding="utf-8"))
    return metrics


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Turn MLflow's errors into one line that names the server."""
    try:
        yield
    except MlflowException as error:
        raise AudiostyleError(f"model registry {uri}: {error.message}") from error
