"""The compiled pipelines: they load back, and every task is what it should be."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from kfp import components as kfp_components

from pipeline import images
from pipeline.cli import main

PIPELINES = {
    "end_to_end": {"preprocess", "train", "register", "stylize", "reconstruct"},
    "training": {"preprocess", "train", "register"},
    "stylization": {"importer", "stylize", "reconstruct"},
}
# Task: stage whose image it runs in, input artifacts, output artifacts.
TASKS = {
    "preprocess": ("preprocess", set(), {"spectrograms"}),
    "train": ("train", {"spectrograms"}, {"classifier", "metrics", "confusion"}),
    "register": ("train", {"spectrograms", "classifier"}, set()),
    "stylize": ("stylize", {"classifier"}, {"stylized"}),
    "reconstruct": ("reconstruct", {"stylized", "classifier"}, {"audio", "report", "metrics"}),
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    out = tmp_path_factory.mktemp("compiled")
    result = CliRunner().invoke(main, ["compile", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert {p.name for p in out.iterdir()} == {f"{name}.yaml" for name in PIPELINES}
    for name in PIPELINES:
        loaded = kfp_components.load_component_from_file(str(out / f"{name}.yaml"))
        assert loaded.pipeline_spec.pipeline_info.name == f"audiostyle-{name.replace('_', '-')}"
    return {n: next(yaml.safe_load_all((out / f"{n}.yaml").read_text())) for n in PIPELINES}


@pytest.mark.parametrize("name", PIPELINES)
def test_tasks(compiled: dict[str, dict[str, Any]], name: str) -> None:
    spec = compiled[name]
    tasks = spec["root"]["dag"]["tasks"]
    assert set(tasks) == PIPELINES[name]
    for task in set(tasks) & set(TASKS):
        stage, inputs, outputs = TASKS[task]
        component = spec["components"][tasks[task]["componentRef"]["name"]]
        assert set(component.get("inputDefinitions", {}).get("artifacts", {})) == inputs
        assert set(component.get("outputDefinitions", {}).get("artifacts", {})) == outputs
        container = spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        assert container["image"] == images.of(stage)
        command = " ".join(container["command"])
        assert "pip install" not in command
        assert f"from components.{stage}" in command
        # Every input is wired: from another task, or from a parameter of the pipeline.
        wired = tasks[task]["inputs"]
        assert set(wired.get("artifacts", {})) == inputs
        parameters = component["inputDefinitions"]["parameters"]
        optional = {name for name, spec in parameters.items() if spec.get("isOptional")}
        assert set(parameters) - optional <= set(wired.get("parameters", {})) <= set(parameters)


def test_registration_is_never_taken_from_the_cache(compiled: dict[str, dict[str, Any]]) -> None:
    for name in ("end_to_end", "training"):
        tasks = compiled[name]["root"]["dag"]["tasks"]
        cached = {task for task, spec in tasks.items() if spec["cachingOptions"].get("enableCache")}
        assert cached == set(tasks) - {"register"}


def test_a_changed_stage_has_another_local_name(tmp_path: Path) -> None:
    names = {images.local_of(stage) for stage in images.STAGES}
    assert len(names) == 4
    assert all("python" in name for name in names)
