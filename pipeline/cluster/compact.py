"""What a cluster is sent, without what every image has: Argo keeps each task's words many times.

Measured on Kubeflow Pipelines 2.17.0: a task's command, inputs and component stand in six nodes of
the Workflow's status, and over 1 MiB of it the server stops to say what runs.
"""

from functools import cache
from typing import Any

from kfp.dsl.python_component import PythonComponent

from components.preprocess import component as of_preprocess
from components.reconstruct import component as of_reconstruct
from components.stylize import component as of_stylize
from components.train import component as of_train
from pipeline.bulk import component as of_bulk

_MODULES = (of_preprocess, of_train, of_stylize, of_reconstruct, of_bulk)


@cache
def _modules() -> dict[str, str]:
    """The module of each component, by the function's name."""
    return {
        value.python_func.__name__: module.__name__
        for module in _MODULES
        for value in vars(module).values()
        if isinstance(value, PythonComponent)
    }


def compact(spec: dict[str, Any]) -> None:
    """Shorten a compiled pipeline in place: sources become names, descriptions of tasks go."""
    for executor in spec["deploymentSpec"]["executors"].values():
        container = executor["container"]
        arguments = container["args"]
        function = arguments[arguments.index("--function_to_execute") + 1]
        container["command"] = ["python3", "-m", "audiostyle.component_task", _modules()[function]]
    for component in spec["components"].values():
        for definitions in ("inputDefinitions", "outputDefinitions"):
            for kind in component.get(definitions, {}).values():
                for definition in kind.values():
                    definition.pop("description", None)
