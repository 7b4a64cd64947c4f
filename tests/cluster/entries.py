"""Entries of tasks as a Kubeflow Pipelines 2.17.0 lists them: see recorded/run-*.json.

Their ids are random; they name children by ids of nodes of Argo, which are hashes of paths. There
are entries for the workflow, its root, drivers, attempts, loops, and one of the metadata store for
each task; none has a pod's name or an error. A task that was left out has no state.
"""

import re
import uuid
from typing import Any

State = dict[str, str]
NEVER = "0001-01-01T00:00:00Z"


def node_id(workflow: str, path: str) -> str:
    """The id of a node: the workflow's name and FNV-1a, 32 bits, of the node's path."""
    value = 2166136261
    for byte in path.encode():
        value = ((value ^ byte) * 16777619) % 2**32
    return f"{workflow}-{value}"


def path_of(workflow: str, label: str) -> str:
    """The path of a task, by its name, or its name and shard: bulk[3]."""
    matched = re.fullmatch(r"(.+)\[(\d+)\]", label)
    root = f"{workflow}(0).root(0)"
    if matched is None:
        return f"{root}.{label}"
    name, shard = matched.groups()
    loop = f"for-loop-1(0).iteration-iterations({shard}:{shard})(0).iteration-item(0)"
    return f"{root}.{loop}.{name}"


def pod_of(workflow: str, label: str) -> str:
    """The node of a task's first pod."""
    return node_id(workflow, f"{path_of(workflow, label)}(0).executor(0)")


def entries(workflow: str, run_id: str, begun: str, states: State) -> list[dict[str, Any]]:
    """All entries of a run. states: of tasks by label, and of the run by "".

    Besides the server's own states: CACHED for a task from the cache, DRIVER for one whose driver
    failed, WAITING for one whose pod has not started.
    """
    nodes: dict[str, str | None] = {}  # state by path
    whole = states[""]
    for path in (workflow, f"{workflow}(0)", f"{workflow}(0).root", f"{workflow}(0).root(0)"):
        nodes[path] = whole
    nodes[f"{workflow}(0).root-driver"] = nodes[f"{workflow}(0).root-driver(0)"] = "SUCCEEDED"
    metadata = []
    for label, state in states.items():
        if not label:
            continue
        path = path_of(workflow, label)
        for above in _above(path, f"{workflow}(0).root(0)"):
            nodes[above] = "RUNNING" if whole == "RUNNING" else whole
        driver = "FAILED" if state == "DRIVER" else "SUCCEEDED"
        nodes[f"{path}-driver"] = nodes[f"{path}-driver(0)"] = driver
        if state in ("DRIVER", "OMITTED"):
            nodes[path] = None
            continue
        shown = {"CACHED": "SUCCEEDED", "WAITING": "RUNNING"}.get(state, state)
        nodes[path] = nodes[f"{path}(0)"] = shown
        if state == "CACHED":
            nodes[f"{path}(0).executor"] = "SKIPPED"
            continue
        nodes[f"{path}(0).executor"] = shown
        nodes[f"{path}(0).executor(0)"] = "PENDING" if state == "WAITING" else shown
        metadata.append(label)
    found = [_entry(workflow, run_id, begun, path, state, nodes) for path, state in nodes.items()]
    return found + [
        {
            "run_id": run_id,
            "task_id": str(uuid.uuid4()),
            "create_time": begun,
            "start_time": begun,
            "end_time": begun,
            "execution_id": str(number),
        }
        for number, _ in enumerate(metadata, 7)
    ]


def _above(path: str, root: str) -> list[str]:
    """Paths of the groups between the root and a task, attempts among them."""
    parts = path.removeprefix(root + ".").split(".")[:-1]
    found = []
    for number in range(len(parts)):
        whole = ".".join((root, *parts[: number + 1]))
        found += [re.sub(r"\(0\)$", "", whole), whole]
    return found


def _entry(
    workflow: str,
    run_id: str,
    begun: str,
    path: str,
    state: str | None,
    nodes: dict[str, str | None],
) -> dict[str, Any]:
    name = path.rpartition(".")[2] if "." in path else path
    children = [
        other
        for other in nodes
        if (other.startswith(f"{path}(") and ")" not in other[len(path) + 1 : -1])
        or (other.startswith(f"{path}.") and "." not in other[len(path) + 1 :])
    ]
    entry = {
        "run_id": run_id,
        "task_id": str(uuid.uuid4()),
        "display_name": name,
        "create_time": begun,
        "start_time": begun,
        "end_time": NEVER if state in ("RUNNING", "PENDING") else begun,
        "state_history": [{"update_time": begun, **({"state": state} if state else {})}],
    }
    if state:
        entry["state"] = state
    if children:
        entry["child_tasks"] = [{"pod_name": node_id(workflow, child)} for child in children]
    return entry
