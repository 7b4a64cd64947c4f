"""Kubernetes itself, where this machine may ask it: the current context, or the pod's own account.

Nothing here is needed to run a pipeline. What cannot be asked is None, within seconds.
"""

import logging
import os
from typing import Any

_TIMEOUT = (3.0, 10.0)  # of a request: to connect, to be answered (seconds)
WORKFLOWS = ("argoproj.io", "v1alpha1")


class Kubernetes:
    """A cluster's API. `core` and `custom` are the client's own services."""

    def __init__(self, configuration: Any, name: str) -> None:
        from kubernetes import client

        configuration.retries = False
        logging.getLogger("kubernetes").setLevel(logging.ERROR)
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        self.name = name
        api = client.ApiClient(configuration)
        self.core = client.CoreV1Api(api)
        self.custom = client.CustomObjectsApi(api)
        self.access = client.AuthorizationV1Api(api)

    def ask(self, request: Any, *arguments: Any, **options: Any) -> Any:
        """The answer to a request, None for "there is none".

        Raises PermissionError where the person may not ask, ConnectionError where nobody answers.
        """
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            return request(*arguments, _request_timeout=_TIMEOUT, **options)
        except ApiException as error:
            if error.status == 404:
                return None
            if error.status in (401, 403):
                raise PermissionError(f"may not be asked ({error.status})") from None
            raise ConnectionError(f"answers {error.status}") from None
        except (HTTPError, OSError) as error:
            raise ConnectionError(f"does not answer ({type(error).__name__})") from None


def connected() -> Kubernetes | None:
    """The cluster of the current context, or of the pod that this runs in; None for neither."""
    from kubernetes import client, config

    configuration = client.Configuration()
    file = os.environ.get("KUBECONFIG") or None  # read now, and not when kubernetes was imported
    try:
        config.load_kube_config(file, client_configuration=configuration)
        _, active = config.list_kube_config_contexts(file)
        return Kubernetes(configuration, str(active["name"]))
    except (config.ConfigException, OSError, TypeError, KeyError, ValueError):
        pass
    try:
        config.load_incluster_config(client_configuration=configuration)
        return Kubernetes(configuration, "this pod's")
    except (config.ConfigException, OSError):
        return None


def waiting_reason(namespace: str, workflow: str) -> str:
    """Why the first waiting pod of a Workflow waits, as Kubernetes says it; "" if not known."""
    if not workflow or (cluster := connected()) is None:
        return ""
    try:
        pods = cluster.ask(
            cluster.core.list_namespaced_pod,
            namespace,
            label_selector=f"workflows.argoproj.io/workflow={workflow}",
            field_selector="status.phase=Pending",
        )
        for pod in pods.items if pods else ():
            if reason := waits_for(cluster, namespace, pod):
                return f"{pod.metadata.name}: {reason}"
    except OSError:
        pass
    return ""


def waits_for(cluster: Kubernetes, namespace: str, pod: Any) -> str:
    """Why a pod has not started, as its status or its events say; "" for no reason."""
    return _status(pod) or _event(cluster, namespace, pod.metadata.name)


def _status(pod: Any) -> str:
    for condition in pod.status.conditions or ():
        if condition.type == "PodScheduled" and condition.status == "False":
            return str(condition.message or condition.reason)
    statuses = [*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ())]
    for status in statuses:
        waiting = status.state.waiting if status.state else None
        if waiting and waiting.message:
            return f"{waiting.reason}: {waiting.message}"
    return ""


def _event(cluster: Kubernetes, namespace: str, pod: str) -> str:
    """The last warning about a pod: a volume or a secret that it is to mount is not there."""
    events = cluster.ask(
        cluster.core.list_namespaced_event,
        namespace,
        field_selector=f"involvedObject.name={pod},type=Warning",
    )
    messages = [str(event.message) for event in (events.items if events else ())]
    return messages[-1] if messages else ""


def deadline(namespace: str, workflow: str) -> int | None:
    """Seconds that a Workflow may take; None for no limit, or where it cannot be seen."""
    if not workflow or (cluster := connected()) is None:
        return None
    try:
        answer = cluster.ask(
            cluster.custom.get_namespaced_custom_object,
            *WORKFLOWS,
            namespace,
            "workflows",
            workflow,
        )
    except OSError:
        return None
    seconds = (answer or {}).get("spec", {}).get("activeDeadlineSeconds")
    return seconds if isinstance(seconds, int) else None


def running_workflows(namespace: str) -> set[str] | None:
    """Ids of the runs that have a Workflow in a namespace; None where that cannot be seen."""
    cluster = connected()
    if cluster is None:
        return None
    try:
        workflows = cluster.ask(
            cluster.custom.list_namespaced_custom_object, *WORKFLOWS, namespace, "workflows"
        )
    except OSError:
        return None
    if workflows is None:
        return None
    labels = (item["metadata"].get("labels", {}) for item in workflows["items"])
    return {label["pipeline/runid"] for label in labels if "pipeline/runid" in label}
