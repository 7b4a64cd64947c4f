"""The model registry: versions of the classifier in MLflow, and the aliases that choose one.

A registered version holds the classifier twice, made from the same weights in one go: as MLflow's
own `pt2` (torch.export, no pickle) for whoever serves it, and as the classifier artifact that the
stages exchange (`extra_files/`) for whoever needs its features. `registration` writes it.
"""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from audiostyle import workspace_database
from audiostyle.errors import AudiostyleError, InputError
from audiostyle.mlflow_client import (
    MlflowException,
    after_collisions,
    connect,
    explained,
    mlflow,
)
from audiostyle.tracking_uris import sqlite_path, tracking_uri
from audiostyle.workspace_database import EXPERIMENT

__all__ = ["CARD", "CHALLENGER", "CHAMPION", "EXPERIMENT", "MODEL", "Registry", "Version"]

MODEL = "audio-style-classifier"
CHAMPION = "champion"
CHALLENGER = "challenger"
CARD = "model_card.md"
# Of a version; a longer one is none, and more than databases take.
_NUMBER = re.compile(r"[0-9]{1,18}")
_PREDECESSOR = "audiostyle.predecessor"
# With it, MLflow's page shows trainings, their metrics and versions rather than chats.
_KIND = "mlflow.experimentKind", "custom_model_development"


@dataclass(frozen=True)
class Version:
    """A registered version of the classifier."""

    version: int
    run_id: str
    created: int  # milliseconds since 1970
    aliases: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    summary: str = ""

    @property
    def uri(self) -> str:
        """Address by which MLflow and `--model` know it."""
        return f"models:/{MODEL}/{self.version}"


class Registry:
    """A tracking server or database, by MLflow's URI (sqlite:///…, http://…).

    Reading makes nothing: a database that is not there has no versions. The first registration
    makes it. Raises InputError for a URI that is none, and for a database that is damaged or of
    another release of MLflow.
    """

    def __init__(self, uri: str) -> None:
        self.uri = tracking_uri("tracking-uri", uri)
        self._database = sqlite_path(self.uri)
        if self._database:
            workspace_database.check(self._database)

    @property
    def exists(self) -> bool:
        """Whether there is a registry: always for a server, which makes its own."""
        return self._database is None or workspace_database.exists(self._database)

    @property
    def artifact_root(self) -> str | None:
        """Where models of a database are kept, beside it; None for a server, which has its own."""
        return workspace_database.artifact_root(self._database) if self._database else None

    @cached_property
    def client(self) -> Any:
        """MLflow's client. Makes the database where there is none."""
        if self._database:
            workspace_database.prepare(self._database)
        return connect(self.uri)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other processes of this machine from writing to the same database.

        A server answers one request at a time by itself; nothing is held there.
        """
        if self._database is None:
            yield
            return
        _ = self.client  # which may take the same lock to make the database
        with workspace_database.exclusive(self._database):
            yield

    def versions(self) -> list[Version]:
        """All registered versions, newest first."""
        if not self.exists:
            return []
        with explained(self.uri):
            # Aliases come with single versions only, not with a search.
            return sorted(
                (
                    self.version(row.version)
                    for row in self.client.search_model_versions(f"name='{MODEL}'")
                ),
                key=lambda version: -version.version,
            )

    def find(self, reference: str) -> Version:
        """A version by number, alias or URI: `3`, `champion`, `models:/NAME/3`, `…@champion`.

        Raises InputError where there is none.
        """
        if not self.exists:
            raise InputError(
                f"model {reference!r}: there is no registry at {self.uri} yet; `audiostyle run` and"
                " `audiostyle train DATA` make one"
            )
        name = reference.removeprefix(f"models:/{MODEL}").lstrip("/@")
        with explained(self.uri):
            try:
                if _NUMBER.fullmatch(name):
                    return self.version(name)
                return self.version(self.client.get_model_version_by_alias(MODEL, name).version)
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                raise InputError(
                    f"model {reference!r}: {self.uri} has no such version of {MODEL};"
                    " `audiostyle models list` shows what there is, and `audiostyle models promote"
                    " V` makes a version the champion"
                ) from None

    def version(self, number: str | int) -> Version:
        """A version by its number. Raises MlflowException where there is none."""
        row = self.client.get_model_version(MODEL, str(number))
        return Version(
            int(row.version),
            row.run_id or "",
            row.creation_timestamp,
            tuple(row.aliases),
            dict(row.tags),
            row.description or "",
        )

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
        with explained(self.uri):
            return dict(self.client.get_run(version.run_id).data.params)

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
        with explained(self.uri):
            source = self.client.get_model_version_download_uri(MODEL, str(version.version))
            if source.startswith("file://") and not Path(_local(source)).exists():
                raise InputError(
                    f"model {version.uri}: its files are not at {source}; where the workspace was"
                    f" moved or copied, its folder {workspace_database.ARTIFACTS} must come along"
                )
            local = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{source}/{name}", dst_path=str(folder), tracking_uri=self.uri
            )
        return Path(local)

    def tag(self, version: Version, tags: dict[str, str]) -> None:
        """Set tags on a version."""
        with explained(self.uri):
            for key, value in tags.items():
                after_collisions(
                    partial(
                        self.client.set_model_version_tag, MODEL, str(version.version), key, value
                    )
                )

    def point(self, alias: str, version: Version) -> None:
        """Let an alias mean this version."""
        with explained(self.uri):
            after_collisions(
                lambda: self.client.set_registered_model_alias(MODEL, alias, str(version.version))
            )

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
        self.describe()
        return self.find(str(version.version))

    def describe(self) -> None:
        """Say of the registered model, where people browse it, what its champion is and is worth.

        Its description and tags follow the champion's; without one, they say that there is none.
        """
        champion = self.champion()
        text, tags = model_description(champion), model_tags(champion)
        with explained(self.uri):
            model = self.client.get_registered_model(MODEL)
            if model.description != text:
                after_collisions(lambda: self.client.update_registered_model(MODEL, text))
            for key, value in tags.items() - model.tags.items():
                after_collisions(partial(self.client.set_registered_model_tag, MODEL, key, value))
            experiment = self.client.get_experiment_by_name(EXPERIMENT)
            if experiment and _KIND[0] not in experiment.tags:
                after_collisions(
                    partial(self.client.set_experiment_tag, experiment.experiment_id, *_KIND)
                )


_ABOUT = (
    "Classifiers of recordings whose features guide audio style transfer (audiostyle). A card of"
    f" each version is among the artifacts of its run, as `model/{CARD}`."
)


def model_description(champion: Version | None) -> str:
    """Of the registered model, in Markdown."""
    if champion is None:
        return (
            f"{_ABOUT}\n\nNo version is the default yet: `audiostyle models promote V` makes one."
        )
    return (
        f"{_ABOUT}\n\n**Version {champion.version} is the default** (alias `{CHAMPION}`)."
        f" {champion.summary}"
    )


def model_tags(champion: Version | None) -> dict[str, str]:
    """Of the registered model: data, licenses, accuracy and verdict of the champion."""
    names = {
        "data": "data_name",
        "licenses": "licenses",
        "balanced accuracy": "balanced_accuracy",
        "verdict": "verdict",
    }
    if champion is None:
        return {}
    tags = {new: champion.tags.get(f"audiostyle.{old}", "") for new, old in names.items()}
    with contextlib.suppress(ValueError):  # anybody may have set the tag to something else
        tags["balanced accuracy"] = f"{float(tags['balanced accuracy']):.3f}"
    return {"champion": str(champion.version)} | {k: v[:500] for k, v in tags.items() if v}


def _local(source: str) -> str:
    return unquote(urlsplit(source).path)
