"""A stand-in for a Kubeflow Pipelines server, as strict as the published definitions.

It checks every request and every answer of its own against them and keeps what is wrong in
`violations`. It runs nothing: a run goes through the states of its `script`, one step a look.
What the definitions do not say is as a real 2.17.0 answers (`recorded/`) or as in its source;
BEHAVIOR.md says which. Entries of tasks are made by entries.py.
"""

import base64
import email
import email.policy
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlsplit

import yaml
from definitions import Operation, operations, problems
from entries import State, entries, pod_of
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

ENDED = ("SUCCEEDED", "FAILED", "CANCELED", "SKIPPED")
GRPC = {400: 3, 401: 16, 403: 7, 404: 5, 409: 6, 500: 13, 503: 14}
SUCCESS: list[State] = [
    {"": "PENDING"},
    {"": "RUNNING", "preprocess": "RUNNING"},
    {"": "RUNNING", "preprocess": "SUCCEEDED", "train": "RUNNING"},
    {"": "SUCCEEDED", "preprocess": "SUCCEEDED", "train": "SUCCEEDED"},
]


UPLOAD_STACK = """github.com/kubeflow/pipelines/backend/src/apiserver/server.\
(*PipelineUploadServer).uploadPipelineVersion
\tbackend/src/apiserver/server/pipeline_upload_server.go:310
net/http.HandlerFunc.ServeHTTP
\tnet/http/server.go:2286"""


class _RefusalError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Fault:
    """What goes wrong with requests to an operation, `times` times.

    kind: a status as a number; "hang" for an answer that comes too late; "drop" for a connection
    broken off before, "lost" for one broken off after the request was done.
    """

    operation: str
    kind: int | str
    times: int = 1


@dataclass
class StandIn:
    """The server's state; `address` once it listens."""

    bearer: str | None = None
    multi_user: bool = False
    script: list[State] = field(default_factory=lambda: list(SUCCESS))
    logs: dict[str, str] = field(default_factory=dict)  # of tasks, by label
    logs_at: tuple[str, ...] = ("archive", "pod", "interface")
    lost: set[str] = field(default_factory=set)  # runs without a Workflow
    faults: list[Fault] = field(default_factory=list)
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)  # by operation
    page: int = 2
    address: str = ""
    violations: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    on_request: Callable[["StandIn", str], None] | None = None
    pipelines: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, dict[str, Any]] = field(default_factory=dict)
    packages: dict[str, list[Any]] = field(default_factory=dict)
    experiments: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    scripts: dict[str, list[State]] = field(default_factory=dict)
    schedules: dict[str, dict[str, Any]] = field(default_factory=dict)
    enabled: list[int] = field(default_factory=list)  # schedules that were, after each request

    def count(self, operation: str) -> int:
        """How often an operation was asked for, faults and all."""
        return self.log.count(operation)

    # The operations, by their names in the generated client

    def healthz_service_get_healthz(self, **_: Any) -> Any:
        return {"multi_user": self.multi_user, "pipeline_store": "database"}

    def pipeline_service_list_pipelines(self, query: Any, **_: Any) -> Any:
        return self._listed("pipelines", self.pipelines, query)

    def pipeline_service_create_pipeline(self, body: Any, **_: Any) -> Any:
        self._unique(self.pipelines, name=body["name"])
        return self._made(self.pipelines, "pipeline_id", body)

    def pipeline_service_get_pipeline(self, pipeline_id: str, **_: Any) -> Any:
        return self._one(self.pipelines, pipeline_id)

    def pipeline_service_list_pipeline_versions(self, pipeline_id: str, query: Any) -> Any:
        self._one(self.pipelines, pipeline_id)
        own = {k: v for k, v in self.versions.items() if v["pipeline_id"] == pipeline_id}
        return self._listed("pipeline_versions", own, query)

    def upload_pipeline_version(self, query: Any, file: bytes) -> Any:
        self._one(self.pipelines, query["pipelineid"])
        documents = list(yaml.load_all(file, yaml.CSafeLoader))
        json_format.ParseDict(documents[0], pipeline_spec_pb2.PipelineSpec())
        if len(documents) > 1:
            json_format.ParseDict(documents[1], pipeline_spec_pb2.PlatformSpec())
        named = {"pipeline_id": query["pipelineid"], "name": query["name"]}
        self._unique(self.versions, **named)
        made = self._made(
            self.versions, "pipeline_version_id", {**named, "display_name": query["name"]}
        )
        self.packages[made["pipeline_version_id"]] = documents
        return made

    def experiment_service_list_experiments(self, query: Any, **_: Any) -> Any:
        return self._listed("experiments", self.experiments, query)

    def experiment_service_create_experiment(self, body: Any, **_: Any) -> Any:
        self._unique(self.experiments, display_name=body["display_name"])
        return self._made(self.experiments, "experiment_id", body)

    def run_service_list_runs(self, query: Any, **_: Any) -> Any:
        return self._listed("runs", self.runs, query)

    def run_service_create_run(self, body: Any, **_: Any) -> Any:
        self._work(body)
        body = {"service_account": "pipeline-runner", **body}
        made = self._made(self.runs, "run_id", {"state": "PENDING", **body})
        made["state_history"] = [{"update_time": _now(), "state": "PENDING"}]
        self.scripts[made["run_id"]] = list(self.script)
        return made

    def run_service_get_run(self, run_id: str, **_: Any) -> Any:
        run = self._one(self.runs, run_id)
        script = self.scripts[run_id]
        step = min(self.looks.get(run_id, 0), len(script) - 1)
        self.looks[run_id] = step + 1
        if run["state"] == "CANCELING" and run_id not in self.lost:
            # Argo ends it by a deadline of 0 s, which is a failure like any other.
            self._set_state(run, "FAILED")
            states = {k: "FAILED" if v == "RUNNING" else v for k, v in script[step].items()}
            details = entries(_workflow(run), run["run_id"], run["created_at"], states)
            run["run_details"] = {"task_details": details}
        elif run_id not in self.lost and (
            # The ends of tasks may be told after that of the run.
            run["state"] not in ENDED or run["state"] == script[step][""]
        ):
            self._set_state(run, script[step][""])
            details = entries(_workflow(run), run["run_id"], run["created_at"], script[step])
            run["run_details"] = {"task_details": details}
        if run["state"] in ENDED:
            run["finished_at"] = _now()
        return run

    def run_service_terminate_run(self, run_id: str, **_: Any) -> Any:
        run = self._one(self.runs, run_id)
        if run["state"] not in ("PENDING", "RUNNING"):
            raise _RefusalError(
                400, f"Failed to terminate run {run_id}. Row not found: Invalid input error"
            )
        run["state"] = "CANCELING"  # and nothing in its history, unless a report comes in between
        if run_id in self.lost:
            raise _RefusalError(500, f"Failed to terminate run {run_id}: workflow not found")
        return {}

    def _set_state(self, run: dict[str, Any], state: str) -> None:
        if run["state"] != state:
            run["state"] = state
            run["state_history"].append({"update_time": _now(), "state": state})

    def recurring_run_service_list_recurring_runs(self, query: Any, **_: Any) -> Any:
        return self._listed("recurringRuns", self.schedules, query)

    def recurring_run_service_create_recurring_run(self, body: Any, **_: Any) -> Any:
        self._work(body)
        on = body.get("mode", "ENABLE") == "ENABLE"
        made = {"service_account": "pipeline-runner", **body}
        made["status"] = "ENABLED" if on else "DISABLED"
        return self._made(self.schedules, "recurring_run_id", made)

    def recurring_run_service_get_recurring_run(self, recurring_run_id: str, **_: Any) -> Any:
        return self._one(self.schedules, recurring_run_id)

    def recurring_run_service_enable_recurring_run(self, recurring_run_id: str, **_: Any) -> Any:
        found = self._one(self.schedules, recurring_run_id)
        found.update(status="ENABLED", mode="ENABLE")
        return {}

    def recurring_run_service_disable_recurring_run(self, recurring_run_id: str, **_: Any) -> Any:
        found = self._one(self.schedules, recurring_run_id)
        found.update(status="DISABLED", mode="DISABLE")
        return {}

    def recurring_run_service_delete_recurring_run(
        self, recurring_run_id: str, query: Any, **_: Any
    ) -> Any:
        self._one(self.schedules, recurring_run_id)
        del self.schedules[recurring_run_id]
        if query.get("propagation_policy") != "ORPHAN":
            # Kubernetes deletes the Workflows that it owns; their runs stay as they were.
            self.lost |= {
                key
                for key, run in self.runs.items()
                if run.get("recurring_run_id") == recurring_run_id and run["state"] not in ENDED
            }
        return {}

    # What they have in common

    def fire(self, schedule_id: str) -> str:
        """Start a run as the controller does when a schedule is due; returns its id."""
        found = self.schedules[schedule_id]
        kept = ("experiment_id", "pipeline_version_reference", "runtime_config")
        body = {name: found[name] for name in kept}
        body |= {"display_name": f"run of {found['display_name']}", "state": "RUNNING"}
        made = self._made(self.runs, "run_id", {**body, "recurring_run_id": schedule_id})
        made["state_history"] = [{"update_time": _now(), "state": "RUNNING"}]
        self.scripts[made["run_id"]] = list(self.script)
        return str(made["run_id"])

    def _work(self, body: Any) -> None:
        reference = body["pipeline_version_reference"]
        version = self._one(self.versions, reference["pipeline_version_id"])
        self._one(self.experiments, body["experiment_id"])
        # The real server refuses a parameter that the pipeline does not know, and lets others be.
        root = self.packages[version["pipeline_version_id"]][0]["root"]
        known = root["inputDefinitions"]["parameters"]
        given = body["runtime_config"].get("parameters", {})
        needed = {
            n for n, s in known.items() if not s.get("isOptional") and "defaultValue" not in s
        }
        if set(given) - set(known) or needed - set(given):
            raise _RefusalError(400, f"parameters: {sorted(set(given) ^ set(known))}")

    def _made(self, kept: dict[str, Any], key: str, body: dict[str, Any]) -> dict[str, Any]:
        made = {**body, key: str(uuid.uuid4()), "created_at": _now()}
        kept[made[key]] = made
        return made

    def _one(self, kept: dict[str, Any], key: str) -> dict[str, Any]:
        if key not in kept:
            raise _RefusalError(404, f"{key} not found")
        found: dict[str, Any] = kept[key]
        return found

    def _unique(self, kept: dict[str, Any], **fields: str) -> None:
        for item in kept.values():
            if all(item.get(name) == value for name, value in fields.items()):
                raise _RefusalError(409, f"Already exist error: {fields}")

    def _listed(self, what: str, kept: dict[str, Any], query: dict[str, Any]) -> dict[str, Any]:
        items = list(kept.values())
        if query.get("sort_by", "").endswith(" desc"):
            items.reverse()
        if "experiment_id" in query:
            items = [i for i in items if i.get("experiment_id") == query["experiment_id"]]
        for predicate in json.loads(query.get("filter") or "{}").get("predicates", []):
            assert predicate["operation"] == "EQUALS"
            # The filter is unescaped once more than it was escaped.
            value = unquote_plus(predicate["string_value"])
            items = [i for i in items if i.get(predicate["key"]) == value]
        start = int(query.get("page_token") or 0)
        end = start + min(self.page, int(query.get("page_size") or self.page))
        answer: dict[str, Any] = {what: items[start:end], "total_size": len(items)}
        if end < len(items):
            answer["next_page_token"] = str(end)
        return answer

    def log_of(self, run_id: str, pod: str) -> str | None:
        """What a pod said, by its name or its node's."""
        run = self.runs.get(run_id)
        if run is None:
            return None
        for label, text in self.logs.items():
            node = pod_of(_workflow(run), label)
            workflow, _, number = node.rpartition("-")
            # Two labels, no annotation, and retries: what our tasks have by default.
            name = f"{workflow}-metadata-0-2-retry-system-container-impl-{number}"
            if pod in (node, name):
                return text
        return None


def _workflow(run: dict[str, Any]) -> str:
    return f"audiostyle-{run['run_id'][:5]}"


def _now() -> str:
    return datetime.now(UTC).isoformat()


class _Handler(BaseHTTPRequestHandler):
    standin: StandIn
    operations: dict[str, Operation]
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.command == "GET" and self._logs(parts.path, dict(parse_qsl(parts.query))):
            return
        for operation in self.operations.values():
            matched = operation.match(self.command, parts.path)
            if matched is not None:
                self._answer(operation, matched, dict(parse_qsl(parts.query)), body)
                return
        self.standin.violations.append(f"{self.command} {parts.path}: is no operation")
        self._send(404, {"code": 5, "message": "Not Found"})

    def _answer(
        self, operation: Operation, path: dict[str, str], query: dict[str, str], body: bytes
    ) -> None:
        standin = self.standin
        standin.log.append(operation.name)
        if standin.on_request:
            standin.on_request(standin, operation.name)
        fault = next((f for f in standin.faults if f.operation == operation.name and f.times), None)
        if fault:
            fault.times -= 1
        if fault and fault.kind == "drop":
            self._break_off()
            return
        if fault and isinstance(fault.kind, int):
            self._refuse(fault.kind, "out of order", operation)
            return
        if operation.name != "healthz_service_get_healthz" and not self._known():
            self._refuse(401, "Request header error: token is not valid", operation)
            return
        if operation.name in standin.refusals:
            self._refuse(*standin.refusals[operation.name], operation)
            return
        try:
            arguments = self._arguments(operation, query, body)
            answer = getattr(standin, operation.name)(**path, **arguments)
        except _RefusalError as refusal:
            self._refuse(refusal.status, str(refusal), operation)
            return
        finally:
            standin.enabled.append(
                sum(s["status"] == "ENABLED" for s in standin.schedules.values())
            )
        standin.violations += problems(answer, operation.answer, f"answer of {operation.name}")
        if fault and fault.kind == "lost":
            self._break_off()
            return
        if fault and fault.kind == "hang":
            time.sleep(2.0)
        self._send(200, answer)

    def _known(self) -> bool:
        wanted = self.standin.bearer
        return wanted is None or self.headers.get("Authorization") == f"Bearer {wanted}"

    def _arguments(
        self, operation: Operation, query: dict[str, str], body: bytes
    ) -> dict[str, Any]:
        found = []
        name = operation.name
        for key, value in query.items():
            kind = operation.query.get(key)
            if kind is None:
                found.append(f"{name}: has no parameter {key!r}")
            elif kind == "int" and not value.isdigit():
                found.append(f"{name}: {key} is no integer: {value!r}")
        if "filter" in query:
            found += problems(json.loads(query["filter"]), "V2beta1Filter", f"{name}: filter")
        arguments: dict[str, Any] = {"query": query}
        if operation.body:
            arguments["body"] = json.loads(body)
            found += problems(arguments["body"], operation.body, f"{name}: body")
        elif operation.file:
            arguments["file"] = self._part(operation.file, body)
        elif body:
            found.append(f"{name}: takes no body")
        self.standin.violations += found
        if found:
            raise _RefusalError(400, "; ".join(found))
        namespaces = [query.get("namespace"), (arguments.get("body") or {}).get("namespace")]
        if not self.standin.multi_user and any(namespaces):
            raise _RefusalError(400, "In single-user mode, namespace must be empty")
        if (
            self.standin.multi_user
            and "namespace" in operation.query
            and not (namespaces[0] or query.get("experiment_id") or operation.body)
        ):
            raise _RefusalError(400, "In multi-user mode, namespace must not be empty")
        return arguments

    def _part(self, name: str, body: bytes) -> bytes:
        header = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = email.message_from_bytes(header + body, policy=email.policy.HTTP)
        for part in message.iter_parts():
            if part.get_param("name", header="Content-Disposition") == name:
                content = part.get_payload(decode=True)
                assert isinstance(content, bytes)
                return content
        raise _RefusalError(400, f"there is no file {name}")

    def _logs(self, path: str, query: dict[str, str]) -> bool:
        """Answer for one of the three places that give out lines, each with its own errors."""
        archive = re.fullmatch(r"/apis/v2beta1/runs/(.+)/nodes/(.+)/artifacts/main-logs:read", path)
        pod = re.fullmatch(r"/apis/v1alpha1/runs/(.+)/nodes/(.+)/log", path)
        interface = path == "/k8s/pod/logs"
        if not (archive or pod or interface):
            return False
        place = "archive" if archive else "pod" if pod else "interface"
        self.standin.log.append(f"logs of {place}")
        if not self._known():
            self._send(401, "no", "text/plain")
            return True
        match = archive or pod
        run_id, node = match.groups() if match else (query["runid"], query["podname"])
        text = self.standin.log_of(run_id, node) if place in self.standin.logs_at else None
        if archive and text is None:
            self._send(404, json.dumps({"error_message": "artifact not found"}), "text/plain")
        elif archive:
            self._send(200, {"data": base64.b64encode((text or "").encode()).decode()})
        elif pod and text is None:  # after the head of a good answer
            self._send(200, '{"error_message":"Failed to read logs"}', "text/plain")
        elif text is None:
            self._send(500, "Could not get main container logs", "text/plain")
        else:
            self._send(200, text, "text/plain")
        return True

    def _refuse(self, status: int, message: str, operation: Operation) -> None:
        if operation.name == "upload_pipeline_version":
            # No part of the generated API: without a code, and with where the server's code was.
            details = f"{message}\n{UPLOAD_STACK}"
            text = json.dumps({"error_message": message, "error_details": details})
            self._send(status, text, "text/plain; charset=utf-8")
            return
        body = {"code": GRPC.get(status, 2), "message": message, "details": []}
        self.standin.violations += problems(body, "GoogleRpcStatus", "error")
        self._send(status, body)

    def _break_off(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _send(self, status: int, answer: Any, kind: str = "application/json") -> None:
        content = (json.dumps(answer) if "json" in kind else answer).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            self.close_connection = True  # who asked did not wait


for _verb in ("GET", "POST", "DELETE", "PATCH"):
    setattr(_Handler, f"do_{_verb}", _Handler._handle)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that the tests break off are no errors of the server."""
        import sys

        if not isinstance(sys.exception(), OSError | ValueError):
            super().handle_error(request, client_address)


@contextmanager
def serving(standin: StandIn, port: int = 0) -> Iterator[StandIn]:
    """Let a stand-in listen on a free port of this machine."""
    handler = type("Handler", (_Handler,), {"standin": standin, "operations": operations()})
    server = _Server(("127.0.0.1", port), handler)
    standin.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield standin
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
