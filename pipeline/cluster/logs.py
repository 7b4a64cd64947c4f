"""Lines of a task, from whichever of four places has them.

The bucket: kfp's launcher keeps what a task said as `ROOT/PIPELINE/RUN/TASK/…/executor-logs-N`,
also where it failed. The API: it gives out the log that Argo archived, and that of a pod that is
there. The server of the web interface: `/k8s/pod/logs`, which asks Kubernetes.
"""

import base64
import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import urllib3

from audiostyle.errors import AudiostyleError, InputError
from audiostyle.store import open_store
from pipeline.cluster.client import Client
from pipeline.cluster.run_details import Task
from pipeline.cluster.server_errors import shortened

LOGS = re.compile(r"executor-logs(-(\d+))?")
# A line of Go's glog: severity and day, time, process, file; then the message.
_FATAL = re.compile(r"F\d{4} [^\]]*\] (.+)")
_SHARD = re.compile(r"^shard (\d+) of \d+$", re.MULTILINE)  # as audiostyle/component_task.py says
# In the name of a task's pod its template's stands between the Workflow's and the number. Kubeflow
# puts into that how many labels the pod has, of which two are ours, and whether it is tried again.
_TEMPLATES = tuple(
    f"metadata-0-{labels}-{retry}system-container-impl"
    for retry in ("retry-", "")
    for labels in range(2, 7)
)


@dataclass(frozen=True)
class Outputs:
    """Where the artifacts of a run are: ROOT/PIPELINE/RUN/TASK/UNIQUE/OUTPUT.

    root: the pipeline root, "" where it is the namespace's default, which the API does not tell.
    """

    root: str
    pipeline: str
    run_id: str

    @property
    def folder(self) -> str:
        """The URI of all of them, "" where the root is not known."""
        return f"{self.root.rstrip('/')}/{self.pipeline}/{self.run_id}" if self.root else ""

    def uris(self, task: str = "") -> list[str]:
        """URIs of the artifacts; empty where this machine may not list them."""
        return self.listed(task) or []

    def listed(self, task: str = "") -> list[str] | None:
        """URIs of the artifacts; None where this machine may not list them."""
        if not self.folder:
            return None
        try:
            store = open_store(self.folder)
            keys = {
                "/".join(entry.key.split("/")[:3])
                for entry in store.list(f"{task}/" if task else "")
            }
        except AudiostyleError:
            return None
        return [f"{self.folder}/{key}" for key in sorted(keys) if key.count("/") == 2]


def lines(client: Client, outputs: Outputs, task: Task) -> Iterator[str]:
    """The lines of a task's last pod. Raises InputError with where to look if none has them."""
    sources: list[Callable[[], Iterable[str] | None]] = [
        lambda: _archived(client, outputs.run_id, task),
        lambda: _of_pod(client, outputs.run_id, task),
        lambda: _of_interface(client, outputs.run_id, task),
    ]
    if task.end is not None and task.shard is None:
        # Of shards the bucket has the lines, but not which shard's they are.
        sources.insert(0, lambda: _in_bucket(outputs, task))
    for source in sources:
        text = source()
        if text is not None:
            yield from text
            return
    raise InputError(f"logs: there are no lines of {task.label} to be had: {missing(client, task)}")


def ended_shards(outputs: Outputs, known: set[str]) -> Iterator[tuple[str, str]]:
    """Shards that have ended, as `bulk[3]`, and their lines, which name them, from the bucket.

    known: URIs that were looked at before; those of now are added.
    """
    for uri in outputs.uris():
        folder, _, name = uri.rpartition("/")
        if uri in known or not LOGS.fullmatch(name):
            continue
        known.add(uri)
        try:
            text = (open_store(folder).get(name) or b"").decode(errors="replace")
        except AudiostyleError:
            continue
        if matched := _SHARD.search(text):
            yield f"{folder.split('/')[-2]}[{matched[1]}]", text


def missing(client: Client, task: Task) -> str:
    """Why a task may have no lines, and what to look at."""
    if not task.pod:
        return "it had no pod" + (", as it was taken from the cache" if task.cached else "")
    return (
        "its pod has not started, or was deleted or killed (out of memory, time limit) before its"
        f" lines were kept. Look at it, its name ends with {task.pod.rpartition('-')[2]}: kubectl"
        f" --namespace {client.pods} describe pods --selector"
        f" workflows.argoproj.io/workflow={task.pod.rpartition('-')[0]}"
    )


def last_error(client: Client, outputs: Outputs, task: Task) -> str:
    """The last line that begins with `error:`, which our stages end with; "" for none.

    Without one, what ended kfp's launcher, as a bucket that it cannot write.
    """
    error = fatal = ""
    try:
        for line in lines(client, outputs, task):
            if line.startswith("error: "):
                error = line.removeprefix("error: ")
            elif matched := _FATAL.match(line):
                fatal = f"kfp's launcher {shortened(matched[1], 400)}"
    except AudiostyleError:
        return ""
    return error or fatal


def pod_names(task: Task) -> list[str]:
    """Names that the pod of a task's last attempt may have."""
    workflow, _, number = task.pod.rpartition("-")
    return [f"{workflow}-{template}-{number}" for template in _TEMPLATES] if task.pod else []


def _in_bucket(outputs: Outputs, task: Task) -> Iterator[str] | None:
    """The newest `executor-logs-N` of a task. Where its attempts have folders of their own, all."""
    attempts = []
    for uri in outputs.uris(task.name):
        if matched := LOGS.fullmatch(uri.rpartition("/")[2]):
            attempts.append((int(matched[2] or 0), uri))
    if not attempts:
        return None
    newest = max(number for number, _ in attempts)
    contents = []
    for number, uri in attempts:
        folder, _, name = uri.rpartition("/")
        content = open_store(folder).get(name) if number == newest else None
        contents += [] if content is None else [content]
    text = b"\n".join(contents).decode(errors="replace")
    return iter(text.splitlines()) if contents else None


def _archived(client: Client, run_id: str, task: Task) -> Iterator[str] | None:
    """What Argo archived of an ended pod; the API gives it out in base64."""
    if not task.pod or task.end is None:
        return None
    path = f"/apis/v2beta1/runs/{run_id}/nodes/{task.pod}/artifacts/main-logs:read"
    content = _get(client, client.connection.host + path)
    if content is None:
        return None
    try:
        text = base64.b64decode(json.loads(b"".join(content))["data"]).decode(errors="replace")
    except (ValueError, KeyError, TypeError):
        return None
    return iter(text.splitlines())


def _of_pod(client: Client, run_id: str, task: Task) -> Iterator[str] | None:
    """The lines of a pod that is there. An error has status 200, too, and is JSON."""
    for name in pod_names(task):
        path = f"/apis/v1alpha1/runs/{run_id}/nodes/{name}/log"
        content = _get(client, client.connection.host + path)
        first = next(content, b"") if content else b""
        if content and first and not first.startswith(b'{"error'):
            return _decoded(first, content)
    return None


def _of_interface(client: Client, run_id: str, task: Task) -> Iterator[str] | None:
    for name in pod_names(task):
        query = urlencode({"podname": name, "runid": run_id, "podnamespace": client.pods})
        content = _get(client, f"{client.ui}/k8s/pod/logs?{query}")
        if content is not None:
            return _decoded(b"", content)
    return None


def _get(client: Client, url: str) -> Iterator[bytes] | None:
    """The parts of an answer, None where it is no such thing."""
    pool = urllib3.PoolManager(
        retries=False, cert_reqs="CERT_REQUIRED", ca_certs=client.connection.ca_file or None
    )
    timeout = urllib3.Timeout(connect=client.patience.connect, read=client.patience.read)
    try:
        answer = pool.request(
            "GET", url, headers=client.headers, timeout=timeout, preload_content=False
        )
        if answer.status != 200 or "html" in answer.headers.get("content-type", ""):
            return None
        return _parts(client, answer)
    except urllib3.exceptions.SSLError as error:
        # Not "no lines": nobody else says that the server is another than the one that is known.
        host = urllib3.util.parse_url(url).netloc
        raise AudiostyleError(f"logs: TLS with {host} failed ({type(error).__name__})") from None
    except urllib3.exceptions.HTTPError:
        return None


def _parts(client: Client, answer: Any) -> Iterator[bytes]:
    try:
        yield from answer.stream(1 << 16, decode_content=True)
    except urllib3.exceptions.HTTPError as error:
        raise AudiostyleError(
            f"logs: {client.connection.host} broke off ({type(error).__name__})"
        ) from None


def _decoded(first: bytes, content: Iterator[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    *whole, rest = decoder.decode(first).split("\n")
    yield from whole
    for chunk in content:
        *whole, rest = (rest + decoder.decode(chunk)).split("\n")
        yield from whole
    if rest:
        yield rest
