"""What a run is doing, from what the server tells of it."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audiostyle.errors import AudiostyleError
from audiostyle.store import open_store
from pipeline.cluster.api import Api
from pipeline.cluster.client import Client
from pipeline.cluster.logs import lines

DONE = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
# What the workflow engine has beside the tasks that we wrote: drivers before each, the containers
# within them, and the insides of loops and conditions.
_MACHINERY = re.compile(
    r"root|executor.*|.*-driver|.*-iterations.*|.*\(.*|iteration-item.*|(condition|for-loop)-.*"
)


@dataclass(frozen=True)
class Task:
    """A task of a run. pod: where its lines are, "" while there is none."""

    id: str
    name: str
    state: str
    pod: str = ""
    error: str = ""
    start: datetime | None = None
    end: datetime | None = None


def tasks(run: Any) -> list[Task]:
    """The tasks of a run that a person would name, in the order in which they started."""
    details = (run.run_details.task_details if run.run_details else None) or []
    by_number = {_number(detail.task_id): detail for detail in details}
    found = []
    for detail in details:
        name = detail.display_name or ""
        # The workflow's own entry has its name as its id.
        if _MACHINERY.fullmatch(name) or name == detail.task_id:
            continue
        inside = _container(detail, by_number)
        found.append(
            Task(
                detail.task_id or "",
                name,
                detail.state or "RUNTIME_STATE_UNSPECIFIED",
                (inside or detail).task_id or "",
                _error(detail) or (_error(inside) if inside else ""),
                detail.start_time,
                detail.end_time,
            )
        )
    return sorted(found, key=lambda task: (task.start is None, str(task.start), task.name))


def _container(detail: Any, by_number: dict[str, Any]) -> Any:
    """The newest pod inside a task: a task with retries has one an attempt; None before it."""
    found = None
    while True:
        children = [by_number.get(_number(c.pod_name)) for c in detail.child_tasks or ()]
        inside = [c for c in children if c and (c.display_name or "").startswith("executor")]
        if not inside:
            return found
        found = detail = max(inside, key=lambda c: (str(c.start_time), c.display_name))


def _number(identifier: str | None) -> str:
    """What an entry's id and its pod's name have in common: the number at the end."""
    return (identifier or "").rpartition("-")[2]


def _error(detail: Any) -> str:
    if detail.error and detail.error.message:
        return str(detail.error.message)
    for status in reversed(detail.state_history or []):
        if status.error and status.error.message:
            return str(status.error.message)
    return ""


def changes(
    api: Api,
    run_id: str,
    *,
    every: float = 5.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[str, str, Any]]:
    """Name and new state of each task that changes, and the run, until the run has ended.

    The run itself comes with the name "". every: seconds between two looks.
    """
    seen: dict[str, str] = {}
    while True:
        run = api.run(run_id)
        states = {task.id: (task.name, task.state) for task in tasks(run)}
        for key, (name, state) in states.items():
            if seen.get(key) != state:
                seen[key] = state
                yield name, state, run
        state = run.state or "RUNTIME_STATE_UNSPECIFIED"
        if seen.get("") != state:
            seen[""] = state
            yield "", state, run
        if state in DONE:
            return
        sleep(every)


def failure(run: Any, client: Client) -> str:
    """What failed, in one line: the first failed task and its error, or the run's own.

    Servers up to 2.17 tell that a task failed and not why, so its last line that begins with
    `error:`, which our stages end with, is looked for where the web interface gives out lines.
    """
    failed = [task for task in tasks(run) if task.state == "FAILED"]
    own = run.error.message if run.error and run.error.message else ""
    first = next((task for task in failed if task.error), failed[0] if failed else None)
    if first is None:
        return own or f"the run is {(run.state or '').lower()}"
    error = first.error or _last_error(client, run.run_id, first) or own or "failed"
    return f"{first.name}: {error}"


def _last_error(client: Client, run_id: str, task: Task) -> str:
    found = ""
    try:
        for line in lines(client, run_id, task.pod):
            if line.startswith("error: "):
                found = line.removeprefix("error: ")
    except AudiostyleError:
        return ""
    return found


def outputs(run: Any, pipeline: str, root: str) -> tuple[str, list[str]]:
    """Folder of a run's outputs in the object store, and their URIs where they can be listed.

    kfp keeps artifact OUTPUT of TASK at ROOT/PIPELINE/RUN/TASK/UNIQUE/OUTPUT. The API does not
    tell UNIQUE, so the store is asked; the list is empty where this machine may not.
    """
    folder = f"{root}/{pipeline}/{run.run_id}"
    try:
        store = open_store(folder)
        places = {"/".join(entry.key.split("/")[:3]) for entry in store.list()}
    except AudiostyleError:
        return folder, []
    return folder, [f"{folder}/{place}" for place in sorted(places) if place.count("/") == 2]
