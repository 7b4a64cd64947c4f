"""As much of Kubernetes' API as is asked for: objects by path, as its documentation shapes them."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

CORE = "/api/v1/namespaces/kubeflow"
WORKFLOWS = "/apis/argoproj.io/v1alpha1/namespaces/kubeflow/workflows"


def node(**allocatable: str) -> dict[str, Any]:
    return {"metadata": {"name": "n"}, "spec": {}, "status": {"allocatable": allocatable}}


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "the-pod"}, "status": status}


@dataclass
class Kubernetes:
    """Objects by path; paths that may not be asked."""

    objects: dict[str, Any] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    @classmethod
    def complete(cls) -> "Kubernetes":
        """What an installed overlay leaves, with a secret whose values are x."""
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        return cls(
            {
                "/api/v1/namespaces/kubeflow": {"metadata": {"name": "kubeflow"}},
                f"{CORE}/serviceaccounts/audiostyle-runner": {},
                f"{CORE}/secrets/mlpipeline-minio-artifact": {},
                f"{CORE}/secrets/audiostyle-s3": {"data": dict.fromkeys(names, "eA==")},
                f"{CORE}/configmaps/audiostyle-settings": {
                    "data": {"AWS_ENDPOINT_URL": "http://s3", "AWS_DEFAULT_REGION": "x"}
                },
                f"{CORE}/configmaps/kfp-launcher": {"data": {"providers": "s3: {default: {}}"}},
                "/api/v1/nodes": {"items": [node(cpu="1930m", memory="7Gi")]},
                WORKFLOWS: {"items": []},
                f"{CORE}/services/audiostyle-mlflow": {"spec": {"selector": {"app": "mlflow"}}},
                f"{CORE}/pods": {"items": [pod(conditions=[{"type": "Ready", "status": "True"}])]},
            }
        )


@contextmanager
def serving(cluster: Kubernetes, kubeconfig: Path) -> Iterator[None]:
    """Let it listen, with a kubeconfig that names it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            cluster.asked.append(parts.path)
            found = cluster.objects.get(parts.path)
            if parts.path in cluster.forbidden:
                self._send(403, {"kind": "Status", "code": 403})
            elif found is None:
                self._send(404, {"kind": "Status", "code": 404})
            else:
                self._send(200, found(dict(parse_qsl(parts.query))) if callable(found) else found)

        def _send(self, status: int, body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    name = {"cluster": "here", "user": "me"}
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [
                    {
                        "name": "here",
                        "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"},
                    }
                ],
                "users": [{"name": "me", "user": {}}],
                "contexts": [{"name": "test", "context": name}],
                "current-context": "test",
            }
        )
    )
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
