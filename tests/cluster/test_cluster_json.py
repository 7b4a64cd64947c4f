"""What the commands of a cluster print with --json is of the schemas in docs/."""

from typing import Any

import pytest
from cluster_fixtures import (  # noqa: F401, fixtures
    alone,
    audiostyle,
    standin,
)
from json_schemas import validated
from standin import StandIn
from test_runs import FAILED, TRAIN, Cli
from test_schedules import CREATE, NIGHT


def answer(audiostyle: Cli, schema: str, *words: str, code: int = 0) -> Any:
    done = audiostyle(*words, "--json")
    assert done.exit_code == code, done.output
    return validated(schema, done.stdout)


def test_runs(audiostyle: Cli, standin: StandIn) -> None:
    begun = answer(audiostyle, "submit", *TRAIN, "--name=mine")
    assert (begun["name"], begun["state"]) == ("mine", "started")
    ended = answer(audiostyle, "submit", *TRAIN, "--wait", "--poll=0.1")
    assert ended["state"] == "succeeded"
    listed = answer(audiostyle, "runs-list", "runs", "list")
    assert [run["run"] for run in listed] == [ended["run"], begun["run"]]
    shown = answer(audiostyle, "runs-show", "runs", "show", ended["run"])
    assert shown["parameters"]["data"] == "s3://bucket/data.zip"
    assert {task["task"] for task in shown["tasks"]} >= {"train"}
    stopped = answer(audiostyle, "runs-cancel", "runs", "cancel", ended["run"])
    assert stopped["before"] == "succeeded"


@pytest.mark.parametrize("wait", [(), ("--wait", "--poll=0.1")])
def test_a_run_that_fails(audiostyle: Cli, standin: StandIn, wait: tuple[str, ...]) -> None:
    standin.script = [FAILED[-1]]
    code = 1 if wait else 0
    begun = answer(audiostyle, "submit", *TRAIN, *wait, code=code)
    assert begun["state"] == ("failed" if wait else "started")
    shown = answer(audiostyle, "runs-show", "runs", "show", begun["run"], *wait, code=code)
    assert shown["state"] == "failed" and "train" in shown["error"]


def test_schedules(audiostyle: Cli, standin: StandIn) -> None:
    assert answer(audiostyle, "schedule-create", *CREATE, NIGHT)["done"] == "created"
    begun = answer(audiostyle, "submit", "schedule", "run-now", "nightly")
    (row,) = answer(audiostyle, "schedule-list", "schedule", "list")
    assert (row["name"], row["status"]) == ("nightly", "enabled")
    shown = answer(audiostyle, "schedule-show", "schedule", "show", "nightly")
    assert [run["run"] for run in shown["runs"]] == [begun["run"]]
    for command, status in (("pause", "paused"), ("resume", "enabled"), ("delete", "deleted")):
        said = answer(audiostyle, "schedule-state", "schedule", command, "nightly")
        assert said == {"name": "nightly", "status": status}
