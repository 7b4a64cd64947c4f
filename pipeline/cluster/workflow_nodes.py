"""What Argo says of the nodes of a run's Workflow: why a pod was not made, or how it ended.

The server keeps none of it. Kubernetes has it for an hour after the run's end, where this machine
may ask.
"""

import base64
import binascii
import json
import zlib
from typing import Any

from pipeline.cluster.kubernetes_api import WORKFLOWS, connected

_MOST = 64 << 20  # bytes of a status; etcd's own limit is far below


def failure_message(namespace: str, run_id: str, pod: str = "") -> str:
    """Why a run failed, as Argo says it; "" if that is not known.

    pod: the node of the pod that is asked about; by default the first that failed.
    """
    nodes = _nodes(namespace, run_id)
    if pod:
        return _message(nodes.get(pod, {}))
    failed = [node for node in nodes.values() if node.get("phase") in ("Failed", "Error")]
    failed.sort(key=lambda node: str(node.get("finishedAt")))
    return next((text for node in failed if _is_pod(node) and (text := _message(node))), "")


def waiting_message(namespace: str, run_id: str) -> str:
    """Why a pod has not been made, as with a quota; "" if that is not known."""
    waiting = (n for n in _nodes(namespace, run_id).values() if n.get("phase") == "Pending")
    return next((text for node in waiting if _is_pod(node) and (text := _message(node))), "")


def _is_pod(node: dict[str, Any]) -> bool:
    return node.get("type") == "Pod"


def _message(node: dict[str, Any]) -> str:
    return " ".join(str(node.get("message") or "").split())


def _nodes(namespace: str, run_id: str) -> dict[str, Any]:
    """Nodes of the run's Workflow by their ids; empty where it cannot be seen."""
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
    for workflow in (answer or {}).get("items", ()):
        status = workflow.get("status", {})
        nodes = status.get("nodes") or _unpacked(status.get("compressedNodes", ""))
        if isinstance(nodes, dict):
            return nodes
    return {}


def _unpacked(text: str) -> Any:
    """Nodes of a large status, which Argo packs with gzip."""
    try:
        content = zlib.decompressobj(wbits=31).decompress(base64.b64decode(text), _MOST)
        return json.loads(content) if content else {}
    except (binascii.Error, zlib.error, ValueError):
        return {}
