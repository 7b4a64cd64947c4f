"""What Kubernetes is asked for on a task's behalf: retries that happen, variables, patience."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from audiostyle.errors import InputError
from pipeline.cluster.submission import compiled
from pipeline.cluster_config import ClusterConfig, TaskConfig
from pipeline.definitions import bulk_stylization, training


def made(pipeline: Any, path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Spec of the pipeline and of Kubernetes."""
    compiled(pipeline, path)
    spec, platform = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return spec, executors


def tasks_of(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    groups = [spec["root"], *spec["components"].values()]
    return {n: t for group in groups for n, t in group.get("dag", {}).get("tasks", {}).items()}


def test_every_attempt_fits_into_the_window(tmp_path: Path) -> None:
    """Argo counts the window from the first attempt's start, and ends what runs at its end."""
    config = ClusterConfig.parse({"tasks": {"train": {"retries": 3, "time_limit": 7200}}}, "x")
    spec, _ = made(training.build(cluster=config), tmp_path / "p.yaml")
    policy = tasks_of(spec)["train"]["retryPolicy"]
    assert policy["maxRetryCount"] == 3
    assert int(policy["backoffMaxDuration"].rstrip("s")) >= 4 * 7200 + 30 + 60 + 120


def test_the_window_of_a_task_without_a_limit_is_long() -> None:
    assert TaskConfig(time_limit=0).retry_window >= 7 * 24 * 3600
    assert TaskConfig(time_limit=600, retries=0).retry_window >= 600


@pytest.mark.parametrize(
    "settings, word",
    [
        ({"every": {"retry_factor": 1.5}}, "retry_factor"),
        ({"every": {"retry_most": "10m"}}, "retry_most"),
        ({"tasks": {"changed": {"cpu": "1"}}}, "changed"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        ClusterConfig.parse(settings, "settings")


def test_two_variables_of_one_key(tmp_path: Path) -> None:
    env = {"AWS_ACCESS_KEY_ID": "key", "S3_KEY": "key", "OTHER": "other"}
    source = {"name": "store", "env": env}
    config = ClusterConfig.parse({"every": {"secrets": [source], "config_maps": [source]}}, "x")
    _, executors = made(training.build(cluster=config), tmp_path / "p.yaml")
    for kind in ("secretAsEnv", "configMapAsEnv"):
        pairs = [p for each in executors["exec-train"][kind] for p in each["keyToEnv"]]
        names = {"secretAsEnv": "secretKey", "configMapAsEnv": "configMapKey"}
        assert {p["envVar"]: p[names[kind]] for p in pairs} == env


def test_tasks_wait_for_stores_and_bulk_tasks_by_themselves(tmp_path: Path) -> None:
    spec, _ = made(training.build(cluster=ClusterConfig()), tmp_path / "p.yaml")
    executors = spec["deploymentSpec"]["executors"]
    variables = {e["name"]: e["value"] for e in executors["exec-register"]["container"]["env"]}
    assert int(variables["AWS_MAX_ATTEMPTS"]) >= 20
    assert int(variables["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]) >= 8
    spec, _ = made(bulk_stylization.build(cluster=ClusterConfig()), tmp_path / "p.yaml")
    assert "env" not in spec["deploymentSpec"]["executors"]["exec-bulk"]["container"]


def test_no_cache_is_for_every_task(tmp_path: Path) -> None:
    config = ClusterConfig.parse({"caching": False}, "x")
    spec, _ = made(training.build(cluster=config), tmp_path / "p.yaml")
    for task in tasks_of(spec).values():
        assert not task.get("cachingOptions", {}).get("enableCache")


def test_default_requests_fit_a_small_node() -> None:
    """Two CPUs, of which Kubeflow's own pods ask for about one."""
    for name in ("preprocess", "train", "register", "stylize", "reconstruct", "attach-report"):
        task = ClusterConfig().task(name)
        assert task.cpu.endswith("m") and int(task.cpu[:-1]) <= 500
        assert task.memory in ("1Gi", "2Gi")
