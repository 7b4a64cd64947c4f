"""The tasks of a run, read out of what Kubeflow Pipelines 2.17 says of it.

The server lists one entry for each node of Argo's workflow: the root, drivers, groups, attempts,
and pods, besides entries of its metadata store. Ids of entries are random, and an entry names its
children by ids of nodes. But such an id is a hash of the node's path, so that trying gives all
paths back: `WORKFLOW(0).root(0).train(0).executor(0)` is the first pod of the task `train`.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

# More attempts than this are not looked for: 11 of ours, times 3 of Kubeflow's, in two levels.
_ATTEMPTS = 12
_OFFSET, _PRIME, _BITS = 2166136261, 16777619, 0xFFFFFFFF  # of FNV-1a, 32 bits
_ATTEMPT = re.compile(r"\((\d+)\)$")
_SHARD = re.compile(r"\.iteration-iterations\((\d+):\d+\)")


@dataclass(frozen=True)
class Task:
    """A task of a run.

    shard: its number, where tasks of the name are dealt out. state: one of the server's, PENDING
    while its pod waits, and "" for a task that was left out. pod: the node of its last pod, ""
    where it had none. attempts: how many pods it had. cached: whether kfp took it from its cache.
    """

    name: str
    state: str
    shard: int | None = None
    pod: str = ""
    attempts: int = 0
    cached: bool = False
    start: datetime | None = None
    end: datetime | None = None

    @property
    def label(self) -> str:
        """Name and shard, as `bulk[3]`."""
        return self.name if self.shard is None else f"{self.name}[{self.shard}]"


def tasks(run: Any) -> list[Task]:
    """The tasks of a run that have begun, in the order in which they did."""
    entries = _entries(run)
    paths = _paths(entries)
    if not paths:
        return []
    tasks_begun = _tasks(entries, paths)
    return sorted(tasks_begun, key=lambda task: (str(task.start), task.name, task.shard or 0))


def failed_drivers(run: Any) -> list[str]:
    """Tasks whose driver failed: what Kubeflow runs before each to prepare its inputs."""
    names = [e.display_name for e in _entries(run) if e.state == "FAILED"]
    return sorted({n.removesuffix("-driver") for n in names if n.endswith("-driver")})


def waiting_drivers(run: Any) -> list[str]:
    """Tasks whose driver's pod has not started."""
    names = {_tail(e) for e in _entries(run) if e.state == "PENDING"}
    return sorted(n.removesuffix("-driver") for n in names if n.endswith("-driver"))


def is_settled(run: Any) -> bool:
    """Whether the tasks of a run that has ended are told of as they ended.

    The server stores the end of a run first, and those of its tasks after it. Over 1 MiB of a
    Workflow's status it never stores these.
    """
    return not any(entry.state in ("RUNNING", "PENDING") for entry in _entries(run))


def is_canceled(run: Any) -> bool:
    """Whether a run was canceled, as far as the server tells.

    It ends as FAILED, and its history keeps that it was to be canceled only where a report of the
    run came in between: see canceled_runs.py.
    """
    states = {status.state for status in run.state_history or ()}
    return run.state == "CANCELED" or (run.state == "FAILED" and "CANCELING" in states)


def workflow(run: Any) -> str:
    """The name of the run's Workflow in Kubernetes, "" before it has begun."""
    for entry in _entries(run):
        for child in entry.child_tasks or ():
            return str(child.pod_name).rpartition("-")[0]
    return ""


def _entries(run: Any) -> list[Any]:
    """Entries of nodes; those of the metadata store have no name."""
    details = (run.run_details.task_details if run.run_details else None) or []
    return [entry for entry in details if entry.display_name]


def _children(entry: Any) -> list[str]:
    return [str(child.pod_name) for child in entry.child_tasks or ()]


def _paths(entries: list[Any]) -> dict[str, str]:
    """Paths of nodes by their ids, for every id that an entry names."""
    ids = {child for entry in entries for child in _children(entry)}
    if not ids:
        return {}
    root = next(iter(ids)).rpartition("-")[0]
    hashes = {int(number): number for number in (i.rpartition("-")[2] for i in ids)}
    names = sorted({f".{entry.display_name}" for entry in entries if ")" not in _tail(entry)})
    names += [f".{entry.display_name}" for entry in entries if ":" in _tail(entry)]
    suffixes = [*(f"({number})" for number in range(_ATTEMPTS)), *dict.fromkeys(names)]
    paths: dict[str, str] = {}
    open_ = [(root, _hash(root))]
    while open_:
        path, state = open_.pop()
        for suffix in suffixes:
            value = _hash(suffix, state)
            if value in hashes and (node := f"{root}-{value}") not in paths:
                paths[node] = path + suffix
                open_.append((path + suffix, value))
    return paths


def _tail(entry: Any) -> str:
    """The name without a last attempt's number."""
    return _ATTEMPT.sub("", entry.display_name)


def _hash(text: str, state: int = _OFFSET) -> int:
    for byte in text.encode():
        state = (state ^ byte) * _PRIME & _BITS
    return state


def _tasks(entries: list[Any], paths: dict[str, str]) -> Iterator[Task]:
    executors: dict[str, list[str]] = defaultdict(list)  # of a task: paths of its attempts
    pods: dict[str, list[tuple[int, str]]] = defaultdict(list)  # of an executor: its pods
    for node, path in paths.items():
        parent, _, name = path.rpartition(".")
        if name == "executor":
            executors[_ATTEMPT.sub("", parent)].append(path)
        elif (number := _ATTEMPT.search(name)) and _ATTEMPT.sub("", name) == "executor":
            pods[_ATTEMPT.sub("", path)].append((int(number[1]), node))
    by_path = dict(_linked(entries, paths))
    # A pod that waits has the start of its executor's entry.
    waiting = {
        str(e.start_time) for e in entries if _tail(e) == "executor" and e.state == "PENDING"
    }
    for path, attempts in executors.items():
        entry = by_path.get(path)
        if entry is None:
            continue
        last = max(attempts, key=_number_of_attempt)
        own = [pod for attempt in attempts for pod in pods[attempt]]
        newest = max(pods[last])[1] if pods[last] else ""
        begun = by_path.get(last)
        state = entry.state or ""
        if state == "RUNNING" and begun is not None and str(begun.start_time) in waiting:
            state = "PENDING"
        shard = _SHARD.findall(path)
        yield Task(
            entry.display_name,
            state,
            int(shard[-1]) if shard else None,
            newest,
            len(own),
            state == "SUCCEEDED" and not own,
            entry.start_time,
            entry.end_time if state not in ("RUNNING", "PENDING") else None,
        )


def _number_of_attempt(executor: str) -> int:
    match = _ATTEMPT.search(executor.removesuffix(".executor"))
    return int(match[1]) if match else 0


def _linked(entries: list[Any], paths: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """Paths and their entries, for the entries of which a child is known to be an attempt."""
    for entry in entries:
        for child in _children(entry):
            parent = _ATTEMPT.sub("", paths.get(child, ""))
            if parent != paths.get(child) and parent.endswith(f".{entry.display_name}"):
                yield parent, entry
                break
