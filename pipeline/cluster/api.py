"""Pipelines, runs and schedules of a Kubeflow Pipelines server."""

import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kfp_server_api import (
    V2beta1CronSchedule,
    V2beta1Experiment,
    V2beta1Pipeline,
    V2beta1RecurringRun,
    V2beta1Run,
    V2beta1Trigger,
)

from audiostyle.errors import InputError
from pipeline.cluster.client import Client
from pipeline.cluster.names import named
from pipeline.cluster.run_spec import RunSpec
from pipeline.cluster.server_errors import NotFoundError, ServerUnavailableError, UnstoredError

DONE = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
ACTIVE = ("PENDING", "RUNNING", "CANCELING", "PAUSED", "RUNTIME_STATE_UNSPECIFIED")
# Runs and schedules have no unique names, so each is sent with a key in its description, by which
# a retry finds it again where the answer to its creation got lost.
_KEY = "audiostyle-request "


class Api:
    """A server's pipelines, experiments, runs and schedules. Objects are kfp_server_api's."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._kfp = client.kfp
        self._ask = client.ask

    # Pipelines

    def version(self, package: Path, name: str) -> tuple[str, str, bool]:
        """The version with the content of a compiled pipeline; uploaded where there is none yet.

        name: of the pipeline. Returns its id, the version's id, and whether it was uploaded now.
        """
        digest = package_digest(package)
        pipeline = self._pipeline(name)
        if known := self._version(pipeline, digest):
            return pipeline, known, False
        uploaded = self.client.create(
            lambda **limit: self._kfp.pipeline_uploads.upload_pipeline_version(
                str(package), name=digest, pipelineid=pipeline, **limit
            ),
            lambda: self._version(pipeline, digest),
        )
        return (
            pipeline,
            uploaded if isinstance(uploaded, str) else uploaded.pipeline_version_id,
            True,
        )

    def pipeline_name(self, pipeline_id: str) -> str:
        """The name of a pipeline, by its id."""
        pipeline = self._ask(self._kfp.pipelines.pipeline_service_get_pipeline, pipeline_id)
        return str(pipeline.name or pipeline.display_name or "")

    def _pipeline(self, name: str) -> str:
        def find() -> Any:
            listed = self._ask(
                self._kfp.pipelines.pipeline_service_list_pipelines,
                filter=named(name),
                **self._namespaced(),
            )
            return next(iter(listed.pipelines or ()), None)

        # Made empty and not by an upload, which would name its first version after it.
        pipeline = find() or self.client.create(
            lambda **limit: self._kfp.pipelines.pipeline_service_create_pipeline(
                V2beta1Pipeline(name=name, display_name=name, namespace=self.client.namespace),
                **limit,
            ),
            find,
        )
        return str(pipeline.pipeline_id)

    def _version(self, pipeline: str, digest: str) -> str | None:
        listed = self._ask(
            self._kfp.pipelines.pipeline_service_list_pipeline_versions,
            pipeline,
            filter=named(digest),
        )
        return next((str(v.pipeline_version_id) for v in listed.pipeline_versions or ()), None)

    # Experiments

    def experiment(self, name: str, *, make: bool = True) -> str | None:
        """Id of an experiment; made where there is none, or None."""

        def find() -> Any:
            listed = self._ask(
                self._kfp.experiments.experiment_service_list_experiments,
                filter=named(name),
                **self._namespaced(),
            )
            return next(iter(listed.experiments or ()), None)

        existing = find()
        if existing is None and make:
            existing = self.client.create(
                lambda **limit: self._kfp.experiments.experiment_service_create_experiment(
                    V2beta1Experiment(display_name=name, namespace=self.client.namespace), **limit
                ),
                find,
            )
        return str(existing.experiment_id) if existing else None

    # Runs

    def start(self, experiment: str, name: str, spec: RunSpec, about: str = "") -> Any:
        """Start a run; returns it. Starts one and not two where an answer is lost."""
        description = _described(about)

        def find() -> Any:
            runs = self._runs(experiment, named(name))
            return next((run for run in runs if run.description == description), None)

        run = V2beta1Run(
            experiment_id=experiment,
            display_name=name,
            description=description,
            **spec.fields(),
        )
        try:
            return self.client.create(
                lambda **limit: self._kfp.runs.run_service_create_run(run, **limit), find
            )
        except UnstoredError as error:
            raise UnstoredError(
                f"{error}; it starts a run before it stores it, so one may run that it does not"
                f" know: kubectl --namespace {self.client.pods} get workflows --sort-by"
                " .metadata.creationTimestamp"
            ) from None

    def run(self, run_id: str) -> Any:
        """A run by its id. Raises NotFoundError where there is none."""
        # The id becomes a part of the address.
        if re.fullmatch(r"[0-9A-Za-z-]+", run_id):
            try:
                return self._ask(self._kfp.runs.run_service_get_run, run_id)
            except NotFoundError:
                pass
        raise NotFoundError(
            f"run: {self.client.connection.host} has no {run_id!r}; `audiostyle runs list` shows"
            " the ids of runs"
        )

    def runs(self, experiment: str | None, most: int) -> list[Any]:
        """The newest runs, of one experiment or of all."""
        newest: list[Any] = []
        for run in self._runs(experiment, None):
            if len(newest) == most:
                break
            newest.append(run)
        return newest

    def require_access(self) -> None:
        """Raise AudiostyleError unless the server shows runs: to say how it is needs no token."""
        self.runs(None, 1)

    def cancel(self, run_id: str) -> str:
        """Stop a run; what has finished stays. Returns the state that it was in before.

        Asked for once: the server refuses a second time, and cannot stop a run without a Workflow.
        """
        state = str(self.run(run_id).state or "")
        if state in (*DONE, "CANCELING"):
            return state
        try:
            self.client.once(self._kfp.runs.run_service_terminate_run, run_id)
        except (InputError, ServerUnavailableError):
            # The first answer may have been lost; else somebody was faster, or the run has ended.
            now = str(self.run(run_id).state or "")
            if now not in (*DONE, "CANCELING"):
                raise
            return now if now in DONE else state
        return state

    def page(self, run_id: str) -> str:
        """Address of a run's page."""
        return f"{self.client.ui}/#/runs/details/{run_id}"

    def _runs(self, experiment: str | None, filter: str | None) -> Iterator[Any]:
        where = {"experiment_id": experiment} if experiment else self._namespaced()
        return self._pages(
            self._kfp.runs.run_service_list_runs,
            "runs",
            sort_by="created_at desc",
            **({"filter": filter} if filter else {}),
            **where,
        )

    # Schedules

    def schedules(self, name: str | None = None) -> list[Any]:
        """Schedules, newest first; only those of a name where one is given."""
        return list(
            self._pages(
                self._kfp.recurring_runs.recurring_run_service_list_recurring_runs,
                "recurring_runs",
                sort_by="created_at desc",
                **({"filter": named(name)} if name else {}),
                **self._namespaced(),
            )
        )

    def schedule(
        self, experiment: str, name: str, cron: str, spec: RunSpec, about: str = ""
    ) -> Any:
        """Make a schedule that is paused: one run at a time, and none for what was missed."""
        description = _described(f"audiostyle schedule\n{about}".strip())

        def find() -> Any:
            return next((s for s in self.schedules(name) if s.description == description), None)

        schedule = V2beta1RecurringRun(
            experiment_id=experiment,
            display_name=name,
            description=description,
            namespace=self.client.namespace,
            trigger=V2beta1Trigger(cron_schedule=V2beta1CronSchedule(cron=cron)),
            mode="DISABLE",
            no_catchup=True,
            max_concurrency="1",
            **spec.fields(),
        )
        return self.client.create(
            lambda **limit: self._kfp.recurring_runs.recurring_run_service_create_recurring_run(
                schedule, **limit
            ),
            find,
        )

    def enable(self, schedule_id: str) -> None:
        """Let a schedule start runs."""
        self._ask(self._kfp.recurring_runs.recurring_run_service_enable_recurring_run, schedule_id)

    def disable(self, schedule_id: str) -> None:
        """Let a schedule start no more runs; the running one goes on."""
        self._ask(self._kfp.recurring_runs.recurring_run_service_disable_recurring_run, schedule_id)

    def unschedule(self, schedule_id: str) -> None:
        """Delete a schedule; its runs stay, the running ones, too.

        Without a policy Kubernetes deletes what a schedule owns, which are its running runs.
        """
        try:
            self._ask(
                self._kfp.recurring_runs.recurring_run_service_delete_recurring_run,
                schedule_id,
                propagation_policy="ORPHAN",
            )
        except InputError:
            # An attempt whose answer got lost has done it.
            if any(s.recurring_run_id == schedule_id for s in self.schedules()):
                raise

    # Requests

    def _namespaced(self) -> dict[str, Any]:
        return {"namespace": self.client.namespace} if self.client.namespace else {}

    def _pages(self, request: Any, what: str, **options: Any) -> Iterator[Any]:
        token = ""
        while True:
            answer = self._ask(request, page_size=50, page_token=token, **options)
            yield from getattr(answer, what) or ()
            token = answer.next_page_token or ""
            if not token:
                return


def package_digest(package: Path) -> str:
    """The name of a compiled pipeline's version: `sha256-` and the digest of what it says.

    Comments and the order of keys do not count.
    """
    import yaml

    documents = list(yaml.safe_load_all(package.read_text(encoding="utf-8")))
    text = json.dumps(documents, sort_keys=True)
    return f"sha256-{hashlib.sha256(text.encode()).hexdigest()}"


def _described(about: str) -> str:
    return f"{about}\n{_KEY}{uuid.uuid4()}".strip()
