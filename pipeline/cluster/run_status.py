"""Following a run: what changes, what waits, what it came to."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pipeline.cluster import canceled_runs, kubernetes_api
from pipeline.cluster.api import DONE, Api
from pipeline.cluster.client import Client
from pipeline.cluster.logs import LOGS, Outputs, ended_shards, last_error, missing
from pipeline.cluster.run_details import (
    Task,
    failed_drivers,
    is_canceled,
    is_settled,
    tasks,
    waiting_drivers,
    workflow,
)
from pipeline.cluster.server_errors import ServerUnavailableError
from pipeline.cluster.workflow_nodes import failed_driver, failure_message, waiting_message

# Without a sign of life for so long, a pod that waits is worth a look (seconds).
SILENCE = 60.0
# So long after a run has ended its tasks may still be told of as they were before (seconds).
_SETTLING = 10.0
# Without a change for so long, the bucket is asked for shards that have ended (seconds).
_STILL = 15.0


def word(state: str | None) -> str:
    """A state in words."""
    return (state or "not run").replace("RUNTIME_STATE_UNSPECIFIED", "not run").lower()


def state_of(run: Any) -> str:
    """The state of a run; CANCELED for one that was canceled, which the server calls FAILED."""
    state = str(run.state or "PENDING").replace("RUNTIME_STATE_UNSPECIFIED", "PENDING")
    if is_canceled(run) or (state == "FAILED" and run.run_id in canceled_runs.remembered()):
        return "CANCELED"
    return state


def last_state(run: Any, client: Client) -> str:
    """The state of a run that has ended; where it failed, Kubernetes is asked, too.

    The Workflow of a run that was canceled has no time left.
    """
    state = state_of(run)
    if state == "FAILED" and kubernetes_api.deadline(client.pods, workflow(run)) == 0:
        canceled_runs.remember(run.run_id)
        return "CANCELED"
    return state


def state_of_task(task: Task) -> str:
    """A task's state in words."""
    return f"{word(task.state)}{' (from the cache)' if task.cached else ''}"


@dataclass(frozen=True)
class Event:
    """What is new about a run. name: of the task, "" for the run. text: its state, or a remark."""

    name: str
    text: str
    run: Any


@dataclass
class _Seen:
    """What was printed already, so that it is printed once."""

    states: dict[str, str] = field(default_factory=dict)
    since: float = 0.0  # the last change
    remarked: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)  # shards, as the bucket tells
    uris: set[str] = field(default_factory=set)  # of lines in the bucket
    looked: float = 0.0  # into the bucket


def changes(
    api: Api,
    run_id: str,
    *,
    outputs: Outputs | None = None,
    every: float = 5.0,
    silence: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Event]:
    """What is new about a run, until it has ended.

    every: seconds between two looks. silence: seconds without a change after which pods that wait
    are looked at. A server that does not answer is waited for, as long as its patience says.
    outputs: where the run's artifacts are: over 1 MiB of a Workflow's status the server stops to
    say what runs, and the ends of shards are seen there.
    """
    limit = SILENCE if silence is None else silence
    seen = _Seen(since=time.monotonic())
    run: Any = None
    away: float | None = None
    ended: float | None = None
    while True:
        try:
            run = api.run(run_id)
        except ServerUnavailableError as error:
            now = time.monotonic()
            if away is None:
                away = now
                most = api.client.patience.outage / 60
                yield Event("", f"{error}; waiting for it, {most:g} min at most", run)
            if now - away > api.client.patience.outage:
                raise
            sleep(every)
            continue
        if away is not None:
            away = None
            yield Event("", f"{api.client.connection.host} answers again", run)
        if run.state == "CANCELING":
            canceled_runs.remember(run_id)
        yield from _news(run, seen)
        if ended is None and run.state in DONE:
            ended = time.monotonic()
        last = ended is not None and (
            is_settled(run) or time.monotonic() - ended > min(limit, _SETTLING)
        )
        still = time.monotonic() - max(seen.since, seen.looked) > min(limit, _STILL)
        if outputs and (still or last):
            seen.looked = time.monotonic()
            yield from _shards(outputs, run, seen)
        if last:
            yield from _last(run, api.client, seen)
            return
        if ended is None and time.monotonic() - seen.since > limit:
            yield from _remarks(api, run, seen, limit)
        sleep(every)


def _news(run: Any, seen: _Seen) -> Iterator[Event]:
    states = {(task.label, task.start): state_of_task(task) for task in tasks(run)}
    current = [(name, text) for (name, _), text in states.items()]
    # The run's own end comes last.
    for name, text in [*current, ("", word(state_of(run)))]:
        if name in seen.ended or (not name and run.state in DONE):
            continue
        if seen.states.get(name) != text:
            seen.states[name] = text
            seen.since = time.monotonic()
            yield Event(name, text, run)


def _shards(outputs: Outputs, run: Any, seen: _Seen) -> Iterator[Event]:
    """Shards whose end the bucket tells and the server did not."""
    for name, text in ended_shards(outputs, seen.uris):
        failed = any(line.startswith("error: ") for line in text.splitlines())
        state = "failed" if failed else "succeeded"
        if seen.states.get(name) != state:
            seen.ended.add(name)
            seen.states[name] = state
            yield Event(name, state, run)


def _last(run: Any, client: Client, seen: _Seen) -> Iterator[Event]:
    """The run's end, after that of every task that the server last called running."""
    state = word(last_state(run, client))
    for name, text in seen.states.items():
        if name and text in ("running", "pending") and state == "succeeded":
            yield Event(name, "succeeded", run)
    yield Event("", state, run)


def _remarks(api: Api, run: Any, seen: _Seen, limit: float) -> Iterator[Event]:
    """What waits for its pod, each once, and why, where Kubernetes can be asked."""
    waiting = [task.label for task in tasks(run) if task.state == "PENDING"]
    waiting += [f"the driver of {name}" for name in waiting_drivers(run)]
    if not waiting and not tasks(run):
        waiting = ["the run"]
    for name in waiting:
        if name in seen.remarked:
            continue
        seen.remarked.add(name)
        reason = kubernetes_api.waiting_reason(api.client.pods, workflow(run))
        reason = reason or waiting_message(api.client.pods, run.run_id)
        # Where no task has begun, there may be no pod yet.
        look = f"kubectl --namespace {api.client.pods} describe " + (
            f"pods --selector workflows.argoproj.io/workflow={workflow(run)}"
            if workflow(run)
            else f"workflows,pods --selector pipeline/runid={run.run_id}"
        )
        yield Event(
            "",
            f"{name} has waited {limit:g} s for its pod to start"
            + (f": {reason}" if reason else f"; look at it: {look}, or `audiostyle cluster check`"),
            run,
        )


def failure(run: Any, client: Client, outputs: Outputs) -> str:
    """What failed, in one line: the first failed task and the last error that it printed.

    The server tells that a task failed and not why. What the task itself did not print, Argo says.
    """

    def said(pod: str = "") -> str:
        """Argo's own words, before what to look at."""
        message = failure_message(client.pods, run.run_id, pod)
        return f"{message}; " if message else ""

    failed = [task for task in tasks(run) if task.state == "FAILED"]
    if not failed:
        name, reason = failed_driver(client.pods, run.run_id)
        if names := [name] if name else failed_drivers(run):
            subject = "the run" if names[0] == "root" else names[0]
            text = f"{subject}: Kubeflow could not prepare it (its driver failed)"
            text += f": {reason}" if reason else ""
            return f"{text}; {'' if reason else said()}{_look(run, client)}"
        own = run.error.message if run.error and run.error.message else ""
        if any(task.state in ("RUNNING", "PENDING") for task in tasks(run)):
            # Over 1 MiB of a Workflow's status the details stay as they were.
            text = f"the server stopped to tell of its tasks; {said()}{_look(run, client)}"
            return own or text
        return own or f"{said() or 'no task of it failed; '}{_look(run, client)}"
    first = min(failed, key=lambda task: str(task.end))
    error = last_error(client, outputs, first)
    attempts = f" ({first.attempts} attempts)" if first.attempts > 1 else ""
    if error:
        return f"{first.label}: {error}{attempts}"
    if message := said(first.pod) if first.pod else "":
        if "OOMKilled" in message:
            message += f"give it more memory (cluster.tasks.{first.name}.memory, memory_limit); "
        return f"{first.label}: {message}it printed no error{attempts}; {_look(run, client)}"
    return f"{first.label}: failed{attempts}, and left no error: {missing(client, first)}"


def _look(run: Any, client: Client) -> str:
    name = workflow(run) or f"--selector pipeline/runid={run.run_id}"
    command = f"kubectl --namespace {client.pods} describe workflow {name}"
    return f"look at it: {command}, or `audiostyle cluster check`"


def artifacts(outputs: Outputs) -> list[str] | None:
    """URIs of what a run made, without the lines of its tasks; None where they cannot be listed."""
    uris = outputs.listed()
    if uris is None:
        return None
    return [uri for uri in uris if not LOGS.fullmatch(uri.rpartition("/")[2])]
