"""What a classifier artifact holds about its training: `metrics.json`, written by train."""

from typing import Any

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from audiostyle.artifacts import Artifact
from audiostyle.config import problems
from audiostyle.errors import ArtifactError
from audiostyle.untrusted import json_value

NAME = "metrics.json"


class _Test(BaseModel):
    model_config = ConfigDict(extra="allow")
    accuracy: float
    balanced_accuracy: float
    chance: float
    per_class: dict[str, Any]
    confusion: list[list[int]]


class _Metrics(BaseModel):
    model_config = ConfigDict(extra="allow")
    test: _Test
    history: list[dict[str, FiniteFloat]]
    best_epoch: int
    clips: dict[str, int]


def read_metrics(classifier: Artifact) -> dict[str, Any]:
    """The metrics, with at least the fields above. Raises ArtifactError naming what is wrong.

    A measure may be no finite number: the gate holds such a classifier, and says so.
    """
    path = classifier.path(NAME)
    try:
        values: dict[str, Any] = json_value(path.read_bytes(), finite=False)
        metrics = _Metrics.model_validate(values)
    except ValidationError as error:
        raise ArtifactError(path, problems(error)[0]) from None
    except ValueError as error:
        raise ArtifactError(path, f"is not JSON: {error}") from None
    classes = len(metrics.test.per_class)
    if [len(row) for row in metrics.test.confusion] != [classes] * classes:
        raise ArtifactError(path, f"test.confusion: is not {classes} rows of {classes}")
    return values
