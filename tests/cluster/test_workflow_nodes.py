"""What Argo says of a failed or waiting run, in the lines of `--wait`."""

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from cluster_fixtures import alone, audiostyle, standin  # noqa: F401, fixtures
from entries import pod_of
from kubernetes_standin import CORE, WORKFLOWS, Kubernetes, serving
from standin import StandIn

Cli = Callable[..., Result]
TRAIN = ("train", "--data=s3://bucket/data.zip", "--tracking-uri=http://mlflow:5000")


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kubernetes]:
    """A Kubernetes that may be asked."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    cluster = Kubernetes.complete()
    with serving(cluster, tmp_path / "kubeconfig"):
        yield cluster


def _argo(nodes: dict[str, Any], packed: bool) -> dict[str, Any]:
    """A Workflow of Argo's with these nodes; a large status is packed."""
    status: dict[str, Any] = {"phase": "Running", "nodes": nodes}
    if packed:
        content = gzip.compress(json.dumps(nodes).encode())
        status = {"phase": "Running", "compressedNodes": base64.b64encode(content).decode()}
    return {"items": [{"metadata": {"name": "audiostyle-x", "labels": {}}, "status": status}]}


DRIVER = "Kubeflow could not prepare it (its driver failed)"
REFUSED = 'pods "x" is forbidden: error looking up service account kubeflow/nosuch: not found'


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.slow
@pytest.mark.parametrize(
    "script, text",
    [
        (
            {"": "FAILED", "preprocess": "FAILED"},
            "preprocess: OOMKilled (exit code 137); give it more memory",
        ),
        ({"": "FAILED"}, f"Failed    {REFUSED}; look at it"),
        ({"": "FAILED", "preprocess": "DRIVER"}, f"preprocess: {DRIVER}; {REFUSED}; look"),
    ],
)
def test_what_argo_says_of_a_failure(
    audiostyle: Cli,
    cluster: Kubernetes,
    standin: StandIn,
    packed: bool,
    script: dict[str, str],
    text: str,
) -> None:
    def workflows(query: dict[str, str]) -> dict[str, Any]:
        """Of one run, whose pods have ids of nodes that the server's answer holds, too."""
        run = query.get("labelSelector", "").removeprefix("pipeline/runid=")
        pod = {"type": "Pod", "phase": "Failed", "message": "OOMKilled (exit code 137)"}
        refused = {"type": "Pod", "phase": "Error", "message": REFUSED, "finishedAt": "1"}
        group = {"type": "DAG", "phase": "Failed", "message": "child failed", "finishedAt": "0"}
        nodes = {pod_of(f"audiostyle-{run[:5]}", "preprocess"): pod | {"finishedAt": "2"}}
        return _argo({"group": group, "refused": refused, **nodes}, packed)

    cluster.objects[WORKFLOWS] = workflows
    standin.script = [script]
    done = audiostyle("submit", *TRAIN, "--poll=0.1", "--wait")
    assert done.exit_code == 1
    assert text in done.output


def test_a_pod_that_a_quota_forbids_is_explained(
    audiostyle: Cli, cluster: Kubernetes, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.cluster.run_status.SILENCE", 0.05)
    cluster.objects[f"{CORE}/pods"] = {"items": []}
    quota = {"type": "Pod", "phase": "Pending", "message": "exceeded quota: small"}
    cluster.objects[WORKFLOWS] = _argo({"a": quota}, packed=False)
    waiting = {"": "RUNNING", "preprocess": "WAITING"}
    standin.script = [waiting] * 5 + [{"": "SUCCEEDED", "preprocess": "SUCCEEDED"}]
    done = audiostyle("submit", *TRAIN, "--poll=0.1", "--wait")
    assert "its pod to start: exceeded quota: small" in done.output


def test_a_workflow_that_argo_does_not_begin(
    audiostyle: Cli, cluster: Kubernetes, standin: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.cluster.run_status.SILENCE", 0.05)
    # As Kubeflow makes it: Argo has written nothing into it.
    made = {
        "metadata": {"name": "audiostyle-training-x", "labels": {}},
        "status": {"startedAt": None, "finishedAt": None},
    }
    cluster.objects[WORKFLOWS] = {"items": [made]}
    standin.script = [{"": "PENDING"}] * 5 + [{"": "SUCCEEDED"}]
    done = audiostyle("submit", *TRAIN, "--poll=0.1", "--wait")
    assert "Argo has not begun its Workflow, audiostyle-training-x" in done.output
    assert "get deployment workflow-controller" in done.output


@pytest.mark.parametrize("script", [{"": "FAILED", "preprocess": "DRIVER"}, {"": "FAILED"}])
def test_a_driver_is_cited(
    audiostyle: Cli, cluster: Kubernetes, standin: StandIn, script: dict[str, str]
) -> None:
    """Also where the server does not tell yet that it failed."""
    node = {
        "id": "audiostyle-x-17",
        "type": "Pod",
        "phase": "Failed",
        "displayName": "preprocess-driver(0)",
        "templateName": "system-container-driver",
        "message": "main: Error (exit code 1)",
    }
    cluster.objects[WORKFLOWS] = _argo({"a": node}, packed=False)
    reason = 'two tasks have the same task name "train_208", id1=209 id2=210'
    log = f"I1126 03:22:45 14 x.go:1] resolving\nF1126 03:22:45 14 main.go:127] KFP driver: \
driver.Container(component) failed: failed to resolve inputs: {reason}\nError: exit status 1\n"
    cluster.objects[f"{CORE}/pods/audiostyle-x-system-container-driver-17/log"] = log
    standin.script = [script]
    done = audiostyle("submit", *TRAIN, "--poll=0.1", "--wait")
    assert done.exit_code == 1
    assert f"preprocess: {DRIVER}: failed to resolve inputs: {reason}; look" in done.output
