"""What Argo says of the nodes of a run's Workflow: why a pod was not made, or how it ended.

The server keeps none of it. Kubernetes has it for an hour after the run's end, where this machine
may ask.
"""

import base64
import binascii
import json
import re
import zlib
from typing import Any

from pipeline.cluster.kubernetes_api import WORKFLOWS, connected
from pipeline.cluster.server_errors import shortened

# Of Go's glog: severity and day, time, process, file; then the call, and why it failed.
_FATAL = re.compile(r"^F\d{4} .*?\) failed: (.+)$", re.MULTILINE)
_MOST = 64 << 20  # bytes of a status; etcd's own limit is far below


def failure_message(namespace: str, run_id: str, pod: str = "") -> str:
    """Why a run failed, as Argo says it; "" if that is not known.

    pod: the node of the pod that is asked about; by default the first that failed.
    """
    nodes = _nodes(namespace, run_id)
    if pod:
        return _message(nodes.get(pod, {}))
    return next((text for node in _failed(nodes) if (text := _message(node))), "")


def failed_driver(namespace: str, run_id: str) -> tuple[str, str]:
    """The task whose driver failed first, and why, as its log says; "" for what is not known.

    A driver is what Kubeflow runs before a task. Its last words stand in its pod's log alone.
    """
    for node in _failed(_nodes(namespace, run_id)):
        name = str(node.get("displayName", "")).partition("(")[0]
        if name.endswith("-driver"):
            workflow, _, number = str(node.get("id", "")).rpartition("-")
            pod = f"{workflow}-{node.get('templateName', '')}-{number}"
            return name.removesuffix("-driver"), _last_words(namespace, pod)
    return "", ""


def _last_words(namespace: str, pod: str) -> str:
    """The reason in the fatal line of a driver's log."""
    cluster = connected()
    try:
        text = cluster and cluster.ask(
            cluster.core.read_namespaced_pod_log, pod, namespace, container="main", tail_lines=100
        )
    except OSError:
        return ""
    fatal = _FATAL.findall(str(text or ""))
    return shortened(fatal[-1], 400) if fatal else ""


def waiting_message(namespace: str, run_id: str) -> str:
    """Why a pod has not been made, as with a quota; "" if that is not known."""
    workflow = _workflow(namespace, run_id)
    if workflow and not (workflow.get("status") or {}).get("phase"):
        return (
            f"Argo has not begun its Workflow, {workflow['metadata']['name']}: the controller does"
            " not run, or does not look after this namespace; see: kubectl --namespace kubeflow"
            " get deployment workflow-controller"
        )
    waiting = (n for n in _nodes(namespace, run_id).values() if n.get("phase") == "Pending")
    return next((text for node in waiting if _is_pod(node) and (text := _message(node))), "")


def _failed(nodes: dict[str, Any]) -> list[dict[str, Any]]:
    """Pods that failed, in the order in which they did."""
    failed = [node for node in nodes.values() if node.get("phase") in ("Failed", "Error")]
    return sorted(filter(_is_pod, failed), key=lambda node: str(node.get("finishedAt")))


def _is_pod(node: dict[str, Any]) -> bool:
    return node.get("type") == "Pod"


def _message(node: dict[str, Any]) -> str:
    return " ".join(str(node.get("message") or "").split())


def _nodes(namespace: str, run_id: str) -> dict[str, Any]:
    """Nodes of the run's Workflow by their ids; empty where it cannot be seen."""
    status = _workflow(namespace, run_id).get("status") or {}
    nodes = status.get("nodes") or _unpacked(status.get("compressedNodes", ""))
    return nodes if isinstance(nodes, dict) else {}


def _workflow(namespace: str, run_id: str) -> dict[str, Any]:
    """The run's Workflow; empty where there is none, or it cannot be seen."""
    if not run_id or (cluster := connected()) is None:
        return {}
    try:
        answer = cluster.ask(
            cluster.custom.list_namespaced_custom_object,
            *WORKFLOWS,
            namespace,
            "workflows",
            label_selector=f"pipeline/runid={run_id}",
        )
    except OSError:
        return {}
    return next(iter((answer or {}).get("items", ())), {})


def _unpacked(text: str) -> Any:
    """Nodes of a large status, which Argo packs with gzip."""
    try:
        content = zlib.decompressobj(wbits=31).decompress(base64.b64decode(text), _MOST)
        return json.loads(content) if content else {}
    except (binascii.Error, zlib.error, ValueError):
        return {}
