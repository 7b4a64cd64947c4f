"""`audiostyle cluster check`: what is there, what is missing, what cannot be seen."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from cluster_fixtures import (  # noqa: F401, fixtures
    alone,
    audiostyle,
    standin,
)
from json_schemas import validated
from kubernetes_standin import CORE, WORKFLOWS, Kubernetes, node, pod, serving
from standin import StandIn

from pipeline.cluster.quantity import quantity

Cli = Callable[..., Result]
ROOT = Path(__file__).resolve().parents[2]
OVERLAY = ROOT / "deploy" / "kustomize" / "overlays" / "standalone" / "cluster.yaml"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubernetes]:
    """A Kubernetes that has everything."""
    cluster = Kubernetes.complete()
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with serving(cluster, tmp_path / "kubeconfig"):
        yield cluster


def checked(audiostyle: Cli, *options: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
    """Exit code, and findings by name."""
    done = audiostyle("cluster", "check", "--json", f"--config={OVERLAY}", *options)
    answer = validated("cluster-check", done.stdout)
    found: dict[str, list[dict[str, str]]] = {}
    for finding in answer["findings"]:
        found.setdefault(finding["name"], []).append(finding)
    missing = [f for fs in found.values() for f in fs if f["state"] == "missing"]
    assert answer["ready"] == (done.exit_code == 0) == (not missing)
    return done.exit_code, found


def test_everything_is_there(audiostyle: Cli, cluster: Kubernetes) -> None:
    code, found = checked(audiostyle)
    assert code == 0, found
    seen = {name for name, fs in found.items() if all(f["state"] == "ok" for f in fs)}
    assert seen >= {
        *("server", "access", "images", "namespace", "service account", "secret", "config map"),
        *("launcher", "nodes"),
    }
    # MLflow is not reached from here, and its pod is ready.
    assert found["mlflow"][0]["state"] == "ok"
    done = audiostyle("cluster", "check", f"--config={OVERLAY}")
    assert "one user" in done.output
    assert "eA==" not in done.output


@pytest.mark.parametrize(
    "path, value, name, text",
    [
        ("/api/v1/namespaces/kubeflow", None, "namespace", "another cluster"),
        (f"{CORE}/serviceaccounts/audiostyle-runner", None, "service account", "apply -k"),
        (f"{CORE}/secrets/mlpipeline-minio-artifact", None, "secret", "Init:0/1"),
        (f"{CORE}/secrets/audiostyle-s3", None, "secret", "secrets"),
        (f"{CORE}/secrets/audiostyle-s3", {"data": {}}, "secret", "AWS_ACCESS_KEY_ID"),
        (f"{CORE}/configmaps/audiostyle-settings", None, "config map", "overlays"),
        (f"{CORE}/configmaps/kfp-launcher", {"data": {}}, "launcher", "launcher-patch.yaml"),
        ("/api/v1/nodes", {"items": [node(cpu="400m", memory="7Gi")]}, "nodes", "(cpu)"),
        ("/api/v1/nodes", {"items": [node(cpu="8", memory="1500Mi")]}, "nodes", "(memory)"),
        ("/api/v1/nodes", {"items": []}, "nodes", "none"),
    ],
)
def test_what_is_missing_is_said_with_its_remedy(
    audiostyle: Cli, cluster: Kubernetes, path: str, value: Any, name: str, text: str
) -> None:
    if value is None:
        del cluster.objects[path]
    else:
        cluster.objects[path] = value
    code, found = checked(audiostyle)
    assert code == 1
    assert any(f["state"] == "missing" and text in f["text"] for f in found[name]), found


def test_what_may_not_be_asked_is_no_error(audiostyle: Cli, cluster: Kubernetes) -> None:
    cluster.forbidden = set(cluster.objects)
    code, found = checked(audiostyle)
    assert code == 0
    assert {f["state"] for f in found["secret"]} == {"unknown"}


def test_no_kubernetes_and_no_server(audiostyle: Cli, standin: StandIn) -> None:
    code, found = checked(audiostyle)
    assert code == 0
    assert found["kubernetes"][0]["state"] == "unknown"
    code, found = checked(audiostyle, "--host=http://nowhere.invalid")
    assert code == 1
    assert found["server"][0]["state"] == "missing"


def test_a_server_that_does_not_know_the_person(
    audiostyle: Cli, standin: StandIn, tmp_path: Path
) -> None:
    """It tells everyone how it is, and who asks it for runs must be known."""
    standin.bearer = "word"
    code, found = checked(audiostyle)
    assert code == 1
    assert found["server"][0]["state"] == "ok"
    assert found["access"][0]["state"] == "missing"
    assert "wants a token" in found["access"][0]["text"]
    (tmp_path / "token").write_text("word")
    known = f"--token-file={tmp_path}/token"
    assert checked(audiostyle, known)[0] == 0
    standin.refusals["run_service_list_runs"] = (403, "Failed due to authorization error.")
    code, found = checked(audiostyle, known)
    assert code == 1
    assert "kubeflow-pipelines-edit" in found["access"][0]["text"]


def test_a_task_that_no_node_has_room_for(
    audiostyle: Cli, cluster: Kubernetes, tmp_path: Path
) -> None:
    settings = yaml.safe_load(OVERLAY.read_text())
    settings["cluster"]["tasks"] = {"train": {"cpu": "4", "gpu": 1}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(settings))
    code, found = checked(audiostyle, f"--config={tmp_path}/c.yaml")
    assert code == 1
    assert "train asks for 4 CPUs" in found["nodes"][0]["text"]
    cluster.objects["/api/v1/nodes"]["items"].append(
        node(**{"cpu": "8", "memory": "16Gi", "nvidia.com/gpu": "1"})
    )
    assert checked(audiostyle, f"--config={tmp_path}/c.yaml")[0] == 0


@pytest.mark.parametrize(
    "text, value",
    [
        ("500m", 0.5),
        ("4", 4),
        ("", 0),
        ("16Gi", 16 * 2**30),
        ("1500000Ki", 1500000 * 1024),
        ("2G", 2e9),
    ],
)
def test_quantities(text: str, value: float) -> None:
    assert quantity(text) == value


def test_a_waiting_pod_is_explained_by_kubernetes(
    audiostyle: Cli, cluster: Kubernetes, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.cluster.run_status.SILENCE", 0.05)
    message = "0/1 nodes are available: 1 Insufficient cpu."
    condition = {"type": "PodScheduled", "status": "False", "message": message}
    cluster.objects[f"{CORE}/pods"] = {"items": [pod(conditions=[condition])]}
    waiting = {"": "RUNNING", "preprocess": "WAITING"}
    standin.script = [waiting] * 5 + [{"": "SUCCEEDED", "preprocess": "SUCCEEDED"}]
    done = audiostyle(
        *("submit", "train", "--data=s3://bucket/data.zip", "--tracking-uri=http://mlflow:5000"),
        *("--poll=0.1", "--wait"),
    )
    assert f"the-pod: {message}" in done.output


def test_runs_without_a_workflow_are_marked(
    audiostyle: Cli, cluster: Kubernetes, standin: StandIn
) -> None:
    standin.script = [{"": "RUNNING", "train": "RUNNING"}]
    for name in ("lost", "running"):
        audiostyle(
            *("submit", "train", "--data=s3://bucket/data.zip", f"--name={name}"),
            "--tracking-uri=http://mlflow:5000",
        )
    lost, running = standin.runs
    # None of them has one: this may be another cluster, and nothing is marked.
    assert "Workflow gone" not in audiostyle("runs", "list").output
    label = {"metadata": {"labels": {"pipeline/runid": running}}}
    cluster.objects[WORKFLOWS] = {"items": [label]}
    lines = {line.split()[0]: line for line in audiostyle("runs", "list").output.splitlines()}
    assert "Workflow gone" in lines[lost]
    assert "Workflow gone" not in lines[running]
    standin.runs[lost]["state"] = "CANCELING"
    standin.lost.add(lost)
    assert "no Workflow any more" in audiostyle("runs", "cancel", lost).output


WAITING = {
    "name": "main",
    "image": "x",
    "imageID": "",
    "ready": False,
    "restartCount": 0,
    "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}},
}


@pytest.mark.parametrize(
    "pods, text",
    [
        ([pod(containerStatuses=[WAITING])], "ErrImagePull: no such image"),
        ([], "describe pods --selector app=mlflow"),
    ],
)
def test_mlflow_has_no_pod_that_is_ready(
    audiostyle: Cli, cluster: Kubernetes, pods: list[Any], text: str
) -> None:
    cluster.objects[f"{CORE}/pods"] = {"items": pods}
    _, found = checked(audiostyle)
    (finding,) = found["mlflow"]
    assert finding["state"] == "missing"
    assert text in finding["text"]


@pytest.mark.parametrize(
    "uri, state",
    [
        ("http://nobody.kubeflow:5000", "missing"),
        ("http://nobody.other.svc.cluster.local:5000", "missing"),
        ("http://mlflow.invalid:5000", "unknown"),  # may be a host outside of the cluster
        ("http://mlflow.example.invalid:5000", "unknown"),
    ],
)
def test_mlflow_has_no_service(
    audiostyle: Cli, cluster: Kubernetes, tmp_path: Path, uri: str, state: str
) -> None:
    settings = yaml.safe_load(OVERLAY.read_text())
    settings["cluster"]["tracking_uri"] = uri
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(settings))
    _, found = checked(audiostyle, f"--config={tmp_path}/c.yaml")
    assert found["mlflow"][0]["state"] == state, found["mlflow"]
