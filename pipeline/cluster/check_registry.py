"""Whether MLflow is there: asked from here, and, where its host is a Service, in Kubernetes."""

import urllib.error
import urllib.request
from urllib.parse import urlsplit

from pipeline.cluster.finding import Finding
from pipeline.cluster.kubernetes_api import Kubernetes, waits_for


def registry(uri: str, cluster: Kubernetes | None, namespace: str) -> Finding:
    """Look for the server of an address. namespace: of the runs.

    Where it does not answer from here, which says nothing of the pods, the pods of its Service do.
    """
    if not uri:
        return Finding("mlflow", "missing", "cluster.tracking_uri: is not set")
    if urlsplit(uri).scheme not in ("http", "https"):
        return Finding("mlflow", "missing", f"cluster.tracking_uri: no http(s):// address ({uri})")
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=5) as answer:  # noqa: S310, http(s)
            answer.read(100)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        unreached = f"{uri}: is not reached from here ({reason})"
    else:
        return Finding("mlflow", "ok", uri)
    if cluster is not None and (finding := _service(uri, cluster, namespace)):
        return finding
    return Finding("mlflow", "unknown", f"{unreached}, which says nothing of the pods")


def _service(uri: str, cluster: Kubernetes, namespace: str) -> Finding | None:
    """What Kubernetes says of the Service that a host names; None where it names none of them."""
    name, *rest = (urlsplit(uri).hostname or "").split(".")
    place = rest[0] if rest else namespace
    if rest[1:2] not in ([], ["svc"]):
        return None
    try:
        service = cluster.ask(cluster.core.read_namespaced_service, name, place)
        if service is None:
            # Two words may also be a host outside of the cluster.
            if place != namespace and rest[1:2] != ["svc"]:
                return None
            hint = f"kubectl --namespace {place} apply -k deploy/kustomize/overlays/…"
            return Finding("mlflow", "missing", f"{uri}: {place} has no Service {name}: {hint}")
        selector = service.spec.selector
        if not selector:
            return None
        labels = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
        pods = cluster.ask(cluster.core.list_namespaced_pod, place, label_selector=labels)
        waiting = pods.items if pods else []
        if any(_is_ready(pod) for pod in waiting):
            text = f"{uri}: its pod is ready (it is not reached from here)"
            return Finding("mlflow", "ok", text)
        reasons = [reason for pod in waiting if (reason := waits_for(cluster, place, pod))]
    except OSError:
        return None
    look = f"kubectl --namespace {place} describe pods --selector {labels}"
    because = f" ({reasons[0]})" if reasons else ""
    return Finding("mlflow", "missing", f"{uri}: no pod of it is ready{because}: {look}")


def _is_ready(pod: object) -> bool:
    conditions = pod.status.conditions or ()  # type: ignore[attr-defined]
    return any(each.type == "Ready" and each.status == "True" for each in conditions)
