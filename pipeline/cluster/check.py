"""What a run will need, looked for before anything is sent: on the server, in Kubernetes, nearby.

Every finding is one line: what was looked at, whether it is there, and how to get it. What cannot
be looked at from here is said, and is no error: a person may submit without rights in Kubernetes.
"""

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from audiostyle.errors import AudiostyleError, InputError
from audiostyle.store import open_store
from pipeline import images
from pipeline.cluster.api import Api
from pipeline.cluster.check_registry import registry
from pipeline.cluster.client import Client
from pipeline.cluster.finding import Finding
from pipeline.cluster.kubernetes_api import Kubernetes, connected
from pipeline.cluster.quantity import quantity
from pipeline.cluster_config import ClusterConfig, TaskConfig, TaskName

_TASKS = TaskName.__args__  # type: ignore[attr-defined]
# Argo mounts it into every pod, to keep the log.
_ARCHIVE_SECRET = "mlpipeline-minio-artifact"  # noqa: S105, a name


def findings(
    config: ClusterConfig, connect: Callable[[], Client], *, allow_tags: bool = False
) -> Iterator[Finding]:
    """Look at everything, in the order in which a run needs it. connect: makes the Client."""
    client: Client | None = None
    try:
        client = connect()
        yield _server(client)
    except (AudiostyleError, InputError) as error:
        yield Finding("server", "missing", str(error))
    if client:
        yield _access(client)
    yield _images(allow_tags)
    namespace = client.pods if client else config.connection.namespace or "kubeflow"
    cluster = connected()
    if cluster is None:
        yield Finding(
            "kubernetes",
            "unknown",
            "this machine has no kubeconfig, so what the namespace holds was not looked at; an"
            f" administrator can: kubectl --namespace {namespace} get"
            " serviceaccounts,secrets,configmaps",
        )
    else:
        yield from _kubernetes(config, cluster, namespace)
    yield registry(config.tracking_uri, cluster, namespace)
    yield from _buckets(config)


def _server(client: Client) -> Finding:
    version = client.version or "a version that it does not tell"
    users = "many users" if client.multi_user else "one user"
    return Finding(
        "server",
        "ok",
        f"{client.connection.host}: Kubeflow Pipelines, {version}, {users}; runs are in the"
        f" namespace {client.pods}",
    )


def _access(client: Client) -> Finding:
    """Whether the server lets the person see runs; to start one may need a further right."""
    try:
        Api(client).require_access()
    except (AudiostyleError, InputError) as error:
        return Finding("access", "missing", str(error))
    return Finding("access", "ok", "the server shows the runs of this namespace")


def _images(allow_tags: bool) -> Finding:
    try:
        names = [images.of(stage) for stage in images.STAGES]
    except InputError as error:
        return Finding("images", "missing", str(error))
    by_tag = [name for name in names if "@sha256:" not in name]
    if not by_tag:
        return Finding("images", "ok", "all by digest")
    return Finding(
        "images",
        "ok" if allow_tags else "missing",
        f"{', '.join(by_tag)}: named by tag; `deploy/build.sh --push` writes digests, or submit"
        " with --allow-tags",
    )


def _kubernetes(config: ClusterConfig, cluster: Kubernetes, namespace: str) -> Iterator[Finding]:
    core = cluster.core
    try:
        existing = cluster.ask(core.read_namespace, namespace)
        if existing is None:
            yield Finding(
                "namespace",
                "missing",
                f"{cluster.name} has no {namespace}: another cluster, or Kubeflow is not installed",
            )
            return
        yield Finding("namespace", "ok", f"{namespace}, in {cluster.name}")
    except PermissionError as error:
        yield Finding("namespace", "unknown", f"{namespace}, in {cluster.name}: {error}")
    except ConnectionError as error:
        yield Finding("kubernetes", "unknown", f"{cluster.name} {error}")
        return
    account = config.service_account or "pipeline-runner"
    hint = f"kubectl --namespace {namespace} apply -k deploy/kustomize/overlays/…"
    yield _object(
        cluster, "service account", core.read_namespaced_service_account, account, namespace, hint
    )
    yield _object(
        cluster,
        "secret",
        core.read_namespaced_secret,
        _ARCHIVE_SECRET,
        namespace,
        "Kubeflow makes it in `kubeflow` and in profiles; pods wait in Init:0/1 without it",
    )
    for kind, name, keys, optional in _sources(config):
        secret = kind == "secret"
        yield _object(
            cluster,
            kind,
            core.read_namespaced_secret if secret else core.read_namespaced_config_map,
            name,
            namespace,
            f"kubectl --namespace {namespace} apply -k deploy/kustomize/secrets"
            if secret
            else hint,
            keys,
            optional,
        )
    yield _launcher(config, cluster, namespace)
    yield from _volumes(config, cluster, namespace)
    yield _room(config, cluster)


def _object(
    cluster: Kubernetes,
    kind: str,
    read: Any,
    name: str,
    namespace: str,
    hint: str,
    keys: frozenset[str] = frozenset(),
    optional: bool = False,
) -> Finding:
    try:
        existing = cluster.ask(read, name, namespace)
    except OSError as error:
        return Finding(kind, "unknown", f"{name}: {error}")
    if existing is None:
        text = f"{name}: is not in {namespace}: {hint}"
        return Finding(kind, "unknown" if optional else "missing", text)
    lacking = sorted(key for key in keys if not _filled(existing.data or {}, key, kind))
    if lacking:
        return Finding(kind, "missing", f"{name}: has no value for {', '.join(lacking)}: {hint}")
    return Finding(kind, "ok", name)


def _filled(data: dict[str, str], key: str, kind: str) -> bool:
    """Whether a key has a value; the value itself is looked at and not kept."""
    value = data.get(key) or ""
    if kind != "secret":
        return bool(value)
    try:
        return bool(base64.b64decode(value))
    except binascii.Error:
        return False


def _sources(config: ClusterConfig) -> Iterator[tuple[str, str, frozenset[str], bool]]:
    """Secrets and ConfigMaps that tasks are given: kind, name, keys, whether optional."""
    sources_by_name: dict[tuple[str, str], tuple[set[str], bool]] = {}
    for name in _TASKS:
        task = config.task(name)
        for kind, sources in (("secret", task.secrets), ("config map", task.config_maps)):
            for source in sources:
                keys, optional = sources_by_name.get((kind, source.name), (set(), True))
                keys |= set(source.env.values())
                sources_by_name[kind, source.name] = (keys, optional and source.optional)
    for (kind, name), (keys, optional) in sorted(sources_by_name.items()):
        yield kind, name, frozenset(keys), optional


def _launcher(config: ClusterConfig, cluster: Kubernetes, namespace: str) -> Finding:
    hint = (
        f"kubectl --namespace {namespace} patch configmap kfp-launcher --patch-file"
        " deploy/kustomize/launcher-patch.yaml"
    )
    try:
        config_map = cluster.ask(cluster.core.read_namespaced_config_map, "kfp-launcher", namespace)
    except OSError as error:
        return Finding("launcher", "unknown", f"kfp-launcher: {error}")
    data = (config_map.data if config_map else None) or {}
    root = config.pipeline_root or data.get("defaultPipelineRoot", "")
    scheme = urlsplit(root).scheme
    if scheme == "s3" and "s3:" not in data.get("providers", ""):
        return Finding(
            "launcher",
            "missing",
            f"kfp-launcher: does not say how to reach s3:// (providers), where {root} is: {hint}",
        )
    if not root:
        return Finding("launcher", "ok", "Kubeflow's own bucket is the pipeline root")
    return Finding("launcher", "ok", f"artifacts go to {root}")


def _volumes(config: ClusterConfig, cluster: Kubernetes, namespace: str) -> Iterator[Finding]:
    claims = {v.claim for name in _TASKS for v in config.task(name).volumes}
    for claim in sorted(claims):
        yield _object(
            cluster,
            "volume",
            cluster.core.read_namespaced_persistent_volume_claim,
            claim,
            namespace,
            "make the claim; uid 10001 of group 0 must be able to write it",
        )


def _room(config: ClusterConfig, cluster: Kubernetes) -> Finding:
    """Whether one node has what the largest task asks for, apart from what others ask for now."""
    try:
        nodes = cluster.ask(cluster.core.list_node)
    except OSError as error:
        return Finding("nodes", "unknown", str(error))
    offers = [
        {key: quantity(value) for key, value in (node.status.allocatable or {}).items()}
        for node in (nodes.items if nodes else ())
        if not node.spec.unschedulable
    ]
    if not offers:
        return Finding("nodes", "missing", "there is none that takes pods")
    for name in _TASKS:
        task = config.task(name)
        wants = _wants(task)
        if not any(all(o.get(k, 0) >= v for k, v in wants.items()) for o in offers):
            most = {key: max(o.get(key, 0) for o in offers) for key in wants}
            key = next((k for k in wants if most[k] < wants[k]), "all of it")
            return Finding(
                "nodes",
                "missing",
                f"{name} asks for {task.cpu or 0} CPUs, {task.memory or 0} of memory"
                f"{f', {task.gpu} {task.gpu_type}' if task.gpu else ''}, and no node has as much"
                f" ({key}): set cluster.tasks.{name}",
            )
    return Finding("nodes", "ok", f"{len(offers)}, with room for the largest task when idle")


def _wants(task: TaskConfig) -> dict[str, float]:
    wants = {"cpu": quantity(task.cpu), "memory": quantity(task.memory)}
    if task.gpu:
        wants[task.gpu_type] = float(task.gpu)
    return wants


def _buckets(config: ClusterConfig) -> Iterator[Finding]:
    for name, uri in (("pipeline root", config.pipeline_root), ("cache", config.cache)):
        if urlsplit(uri).scheme != "s3":
            continue
        try:
            next(iter(open_store(uri).list()), None)
        except InputError as error:
            missing = "there is no bucket" in str(error)
            yield Finding(name, "missing" if missing else "unknown", str(error))
        except AudiostyleError as error:
            yield Finding(name, "unknown", f"{error}: is not reached from here")
        else:
            yield Finding(name, "ok", uri)
