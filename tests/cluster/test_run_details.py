"""What is read out of a run's details: a real server's answers, and the stand-in's like them."""

import json
from pathlib import Path
from typing import Any

import kfp_server_api
import pytest
from definitions import problems
from entries import entries

from pipeline.cluster import run_details

RECORDED = Path(__file__).with_name("recorded")


class _Answer:
    def __init__(self, text: str) -> None:
        self.data = text


def recorded(name: str) -> Any:
    """A run as the generated client reads the server's answer."""
    text = (RECORDED / f"{name}.json").read_text(encoding="utf-8")
    return kfp_server_api.ApiClient().deserialize(_Answer(text), "V2beta1Run")


def told(name: str) -> list[tuple[str, str, int]]:
    return [(t.label, t.state, t.attempts) for t in run_details.tasks(recorded(name))]


def test_tasks_of_a_run_that_succeeded() -> None:
    names = ("preprocess", "train", "register", "stylize", "reconstruct")
    assert told("run-succeeded") == [(name, "SUCCEEDED", 1) for name in names]
    run = recorded("run-succeeded")
    pods = {task.pod for task in run_details.tasks(run)}
    assert len(pods) == 5
    assert {pod.rpartition("-")[0] for pod in pods} == {run_details.workflow(run)}


def test_tasks_from_the_cache() -> None:
    cached = {t.name: t.cached for t in run_details.tasks(recorded("run-succeeded-from-cache"))}
    assert cached.pop("register") is False
    assert list(cached) == ["preprocess", "train", "stylize", "reconstruct"]
    assert all(cached.values())


def test_what_was_left_out_is_no_task() -> None:
    assert told("run-failed-bad-data") == [("preprocess", "FAILED", 1)]


def test_a_canceled_run_and_a_failed_one() -> None:
    assert run_details.is_canceled(recorded("run-terminated"))
    assert run_details.is_canceled(recorded("run-terminated-while-retrying"))
    assert not run_details.is_canceled(recorded("run-failed-bad-data"))
    assert not run_details.is_canceled(recorded("run-succeeded"))


def test_attempts_of_kubeflow_around_those_of_the_task() -> None:
    found = told("run-terminated-while-retrying")
    assert found == [
        ("preprocess", "SUCCEEDED", 1),
        ("changed", "SUCCEEDED", 1),
        ("train", "FAILED", 2),
    ]


def test_shards_have_their_numbers() -> None:
    found = run_details.tasks(recorded("run-twelve-shards"))
    assert [t.shard for t in found if t.name == "stylize"] == list(range(8))
    assert sorted(t.label for t in found if t.state == "RUNNING") == [
        f"stylize[{n}]" for n in (5, 6, 7)
    ]


@pytest.mark.parametrize("name", sorted(p.stem for p in RECORDED.glob("run-*.json")))
def test_recorded_answers_are_as_defined(name: str) -> None:
    answer = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    assert problems(answer, "V2beta1Run", name) == []


def _shape(details: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    """What an entry says, without times, random ids, and links between tasks of one order."""
    return {
        (
            entry.get("display_name"),
            entry.get("state"),
            tuple(sorted(set(entry) - {"child_tasks"})),
            bool(entry.get("child_tasks")) if "(0)" not in str(entry.get("display_name")) else None,
        )
        for entry in details
        if "execution_id" not in entry
    }


@pytest.mark.parametrize(
    "name, states",
    [
        (
            "run-succeeded",
            dict.fromkeys(
                ("", "preprocess", "train", "register", "stylize", "reconstruct"), "SUCCEEDED"
            ),
        ),
        (
            "run-succeeded-from-cache",
            {
                **dict.fromkeys(("preprocess", "train", "stylize", "reconstruct"), "CACHED"),
                "": "SUCCEEDED",
                "register": "SUCCEEDED",
            },
        ),
    ],
)
def test_the_stand_in_answers_as_a_real_server(name: str, states: dict[str, str]) -> None:
    """The same run, by the stand-in: the same entries, and every id that a real one names."""
    answer = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    details = answer["run_details"]["task_details"]
    workflow = run_details.workflow(recorded(name))
    made = entries(workflow, answer["run_id"], answer["created_at"], states)
    assert _shape(made) == _shape(details)
    named = {c["pod_name"] for e in details for c in e.get("child_tasks", ())}
    assert {c["pod_name"] for e in made for c in e.get("child_tasks", ())} == named
