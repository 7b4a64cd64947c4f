"""Runs a task of a cluster from the code in its image: `python -m audiostyle.component_task`.

By itself kfp sends a component's source with every task, and Argo keeps it, and all else that a
task is told, six times for each; a Workflow of more than 1 MiB is then shown no further. So what a
cluster is sent names the component's module and function (pipeline/cluster/compact.py).
"""

import argparse
import importlib
import json
import math
import os
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any


def storable(value: Any) -> Any:
    """Metadata of an artifact without null and what JSON has no number for, at any depth."""
    if isinstance(value, dict):
        return {key: storable(each) for key, each in value.items() if _is_storable(each)}
    if isinstance(value, (list, tuple)):
        return [storable(each) for each in value if _is_storable(each)]
    return value


def _is_storable(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a component's function on kfp's inputs."""
    # kfp then imports what runs a component, and nothing that compiles one: images hold no more.
    os.environ["_KFP_RUNTIME"] = "true"
    from kfp import dsl
    from kfp.dsl.executor import Executor

    class Task(Executor):  # type: ignore[misc]
        """kfp's executor, which leaves out metadata that its own launcher would fail of."""

        def write_executor_output(self, *returned: Any, **named: Any) -> Any:
            for artifact in self.output_artifacts.values():
                artifact.metadata = storable(artifact.metadata)
            return super().write_executor_output(*returned, **named)

    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("--executor_input", required=True)
    parser.add_argument("--function_to_execute", required=True)
    options = parser.parse_args(arguments)
    if not hasattr(dsl, "component"):
        dsl.component = lambda **_: lambda function: function
    # So that no task is without a line.
    print(f"audiostyle {version('audiostyle')}: {options.function_to_execute}", flush=True)
    task_input = json.loads(options.executor_input)
    values = task_input.get("inputs", {}).get("parameterValues", {})
    if values.get("shards", 1) > 1:
        # This tells the lines of a shard from those of another (pipeline/cluster/logs.py).
        print(f"shard {values.get('shard', 0):g} of {values['shards']:g}", flush=True)
    component = getattr(importlib.import_module(options.module), options.function_to_execute)
    Task(
        executor_input=task_input,
        function_to_execute=getattr(component, "python_func", component),
    ).execute()


if __name__ == "__main__":
    main()
