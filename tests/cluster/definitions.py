"""The published v2beta1 API, read out of kfp-server-api, which is generated from it.

Nothing is written down twice: paths, parameters, and types of bodies and answers come from the
generated services, fields and enumerations from the generated models.
"""

import inspect
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import kfp_server_api
from kfp_server_api import api, models

_SIMPLE: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "bool": bool,
    "object": object,
    "float": (int, float),
}


def problems(value: Any, kind: str, where: str) -> list[str]:
    """What is wrong with a JSON value that should be of a type of the definitions."""
    if matched := re.fullmatch(r"list\[(.+)\]", kind):
        if not isinstance(value, list):
            return [f"{where}: is no list: {value!r}"]
        return [p for n, v in enumerate(value) for p in problems(v, matched[1], f"{where}[{n}]")]
    if matched := re.fullmatch(r"dict\(str, (.+)\)", kind):
        if not isinstance(value, dict):
            return [f"{where}: is no mapping: {value!r}"]
        return [p for k, v in value.items() for p in problems(v, matched[1], f"{where}.{k}")]
    if kind in _SIMPLE:
        right = isinstance(value, _SIMPLE[kind]) and (kind == "object" or value is not None)
        return [] if right else [f"{where}: is no {kind}: {value!r}"]
    if kind == "int":
        right = isinstance(value, int) and not isinstance(value, bool)
        return [] if right else [f"{where}: is no integer: {value!r}"]
    if kind == "datetime":
        try:
            moment = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            return [f"{where}: is no time: {value!r}"]
        return [] if moment.tzinfo else [f"{where}: has no zone: {value!r}"]
    model = getattr(models, kind)
    if hasattr(model, "allowable_values"):
        right = value in model.allowable_values
        return [] if right else [f"{where}: is no {kind}: {value!r}"]
    if not isinstance(value, dict):
        return [f"{where}: is no {kind}: {value!r}"]
    types = {model.attribute_map[name]: t for name, t in model.openapi_types.items()}
    found = [f"{where}: {kind} has no field {name!r}" for name in value if name not in types]
    return found + [
        problem
        for name, inner in value.items()
        if name in types
        for problem in problems(inner, types[name], f"{where}.{name}")
    ]


@dataclass(frozen=True)
class Operation:
    """One operation: a path and method, and the types of what goes in and comes out."""

    name: str
    method: str
    path: str
    query: dict[str, str]
    body: str | None
    file: str | None
    answer: str

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Parameters in the path, if it is this operation's."""
        parts = re.split(r"\{([\w.]+)\}", self.path)
        pattern = "".join(
            f"(?P<{part.replace('.', '_')}>[^/:]+)" if n % 2 else re.escape(part)
            for n, part in enumerate(parts)
        )
        matched = re.fullmatch(pattern, path) if method == self.method else None
        return matched.groupdict() if matched else None


def _operation(name: str, function: Any) -> Operation | None:
    source = inspect.getsource(function)
    called = re.search(r"call_api\(\s*'([^']+)', '(\w+)'", source)
    if called is None:
        return None
    types = dict(re.findall(r":type (\w+): (\S+)", source))
    query = re.findall(r"query_params\.append\(\('([\w.]+)', local_var_params\['(\w+)'\]", source)
    body = re.search(r"body_params = local_var_params\['(\w+)'\]", source)
    file = re.search(r"local_var_files\['(\w+)'\]", source)
    answer = re.search(r"response_type='([^']+)'", source)
    assert answer, name
    return Operation(
        name,
        called[2],
        called[1],
        {wire: types[parameter] for wire, parameter in query},
        types[body[1]] if body else None,
        file[1] if file else None,
        answer[1],
    )


def operations() -> dict[str, Operation]:
    """Every operation of the API, by the name that the generated client has for it."""
    found = {}
    for service in vars(api).values():
        if not inspect.isclass(service):
            continue
        for name, function in inspect.getmembers(service, inspect.isfunction):
            if name.endswith("_with_http_info"):
                operation = _operation(name.removesuffix("_with_http_info"), function)
                if operation:
                    found[operation.name] = operation
    assert len(found) > 30, f"kfp-server-api {kfp_server_api.__version__} is generated otherwise"
    return found
