"""What a cluster is sent is short, and the image runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from kfp import compiler
from ports import free_port

from audiostyle import artifacts
from pipeline.cluster.submission import compiled
from pipeline.cluster_config import ClusterConfig
from pipeline.definitions import bulk_stylization, cross_validation, end_to_end, training

ROOT = Path(__file__).resolve().parents[2]


def spec_of(path: Path) -> dict[str, Any]:
    spec: dict[str, Any] = next(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    return spec


def test_no_source_and_no_description_of_a_task_is_sent(tmp_path: Path) -> None:
    for build in (training.build, end_to_end.build, bulk_stylization.build, cross_validation.build):
        compiled(build(), tmp_path / "short.yaml")
        spec = spec_of(tmp_path / "short.yaml")
        for executor in spec["deploymentSpec"]["executors"].values():
            container = executor["container"]
            assert container["command"][:3] == ["python3", "-m", "audiostyle.component_task"]
            function = container["args"][-1]
            module = ROOT / f"{container['command'][3].replace('.', '/')}.py"
            assert f"\ndef {function}(" in module.read_text(encoding="utf-8")
            assert len(json.dumps(container)) < 600
        assert "description" not in json.dumps(spec["components"])


def test_a_shard_is_a_third_of_what_kfp_would_send(tmp_path: Path) -> None:
    pipeline = bulk_stylization.build(cluster=ClusterConfig(), shards=30)
    compiler.Compiler().compile(pipeline, str(tmp_path / "long.yaml"))
    compiled(pipeline, tmp_path / "short.yaml")

    def size(name: str) -> int:
        spec = spec_of(tmp_path / name)
        container = spec["deploymentSpec"]["executors"]["exec-bulk"]
        return len(json.dumps(container)) + len(json.dumps(spec["components"]["comp-bulk"]))

    assert size("short.yaml") < size("long.yaml") / 3


def test_a_task_runs_as_it_is_sent(tmp_path: Path) -> None:
    """The command of the compiled pipeline, with kfp's inputs: outputs where kfp looks for them."""
    compiled(training.build(), tmp_path / "training.yaml")
    executors = spec_of(tmp_path / "training.yaml")["deploymentSpec"]["executors"]
    container = executors["exec-current-champion"]["container"]
    output = tmp_path / "outputs.json"
    told = {
        "inputs": {"parameterValues": {"registration": {"version": "3"}}},
        "outputs": {
            "parameters": {"Output": {"outputFile": str(tmp_path / "value")}},
            "outputFile": str(output),
        },
    }
    arguments = [json.dumps(told) if a == "{{$}}" else a for a in container["args"]]
    done = subprocess.run(
        [sys.executable, *container["command"][1:], *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(output.read_text())["parameterValues"]["Output"] == {"version": "3"}


def test_a_report_that_is_not_attached_fails_no_run(tmp_path: Path) -> None:
    """As a cluster runs it: without MLflow, a warning is in the task's lines, and it succeeds."""
    with artifacts.writing(tmp_path / "excerpt", artifacts.REPORT_EXCERPT, {}) as folder:
        (folder / "report.html").write_text("<html></html>")
    excerpt = {
        "name": "excerpt",
        "uri": str(tmp_path / "excerpt"),
        "type": {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"},
    }
    address = f"http://127.0.0.1:{free_port()}"
    task_input = {
        "inputs": {
            "parameterValues": {"registration": {"version": "3"}, "tracking_uri": address},
            "artifacts": {"excerpt": {"artifacts": [excerpt]}},
        },
        "outputs": {"outputFile": str(tmp_path / "outputs.json")},
    }
    compiled(end_to_end.build(), tmp_path / "end_to_end.yaml")
    executors = spec_of(tmp_path / "end_to_end.yaml")["deploymentSpec"]["executors"]
    container = executors["exec-attach-report"]["container"]
    arguments = [json.dumps(task_input) if a == "{{$}}" else a for a in container["args"]]
    done = subprocess.run(
        [sys.executable, *container["command"][1:], *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("attach-report: ")]
    assert "beside audio-style-classifier version 3" in line and address in line


def test_metadata_that_the_launcher_would_fail_of_is_left_out(tmp_path: Path) -> None:
    """NaN is no JSON, and a task must not fail of a figure after its work."""
    (tmp_path / "figures.py").write_text(
        "from kfp import dsl\n\n"
        "@dsl.component(base_image='x', install_kfp_package=False)\n"
        "def figures(metrics: dsl.Output[dsl.Metrics]) -> None:\n"
        "    metrics.log_metric('good', 1.5)\n"
        "    metrics.log_metric('none', float('nan'))\n"
        "    metrics.log_metric('endless', float('inf'))\n"
        "    metrics.metadata['null'] = None\n"
        "    metrics.metadata['curve'] = {'points': [1, float('nan'), {'x': None, 'y': 2.5}]}\n"
    )
    artifact = {"name": "1", "type": {"schemaTitle": "system.Metrics"}, "uri": str(tmp_path / "m")}
    told = {
        "inputs": {},
        "outputs": {
            "artifacts": {"metrics": {"artifacts": [artifact]}},
            "outputFile": str(tmp_path / "outputs.json"),
        },
    }
    done = subprocess.run(
        [
            *(sys.executable, "-m", "audiostyle.component_task", "figures"),
            *("--executor_input", json.dumps(told), "--function_to_execute", "figures"),
        ],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (made,) = json.loads((tmp_path / "outputs.json").read_text())["artifacts"]["metrics"][
        "artifacts"
    ]
    assert made["metadata"] == {"good": 1.5, "curve": {"points": [1, {"y": 2.5}]}}
