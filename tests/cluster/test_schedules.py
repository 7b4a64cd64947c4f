"""Schedules on a cluster: one of a name, one run at a time, none twice."""

from collections.abc import Callable

import pytest
from click.testing import Result
from cluster_fixtures import (  # noqa: F401, fixtures
    alone,
    audiostyle,
    connect,
    package,
    standin,
    work,
)
from standin import Fault, StandIn

from audiostyle.errors import AudiostyleError, InputError
from pipeline.cluster import schedules
from pipeline.cluster.api import Api
from pipeline.cluster.run_spec import RunSpec
from pipeline.cluster.server_errors import ServerUnavailableError

# A command compiles a pipeline in a process of its own.
pytestmark = pytest.mark.slow

Cli = Callable[..., Result]
CREATE = (
    "schedule",
    "create",
    "nightly",
    "--data=s3://bucket/data.zip",
    "--tracking-uri=http://mlflow:5000",
)
NIGHT = "--cron=0 3 * * *"
ENABLE = "recurring_run_service_enable_recurring_run"
DISABLE = "recurring_run_service_disable_recurring_run"
DELETE = "recurring_run_service_delete_recurring_run"
MAKE = "recurring_run_service_create_recurring_run"


def test_a_schedule_is_what_was_asked_for(audiostyle: Cli, standin: StandIn) -> None:
    done = audiostyle(*CREATE, NIGHT)
    assert done.exit_code == 0, done.output
    assert done.output.rstrip().endswith("created")
    (made,) = standin.schedules.values()
    assert made["status"] == "ENABLED"
    assert made["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * *"}}
    assert made["no_catchup"] is True
    assert made["max_concurrency"] == "1"
    assert made["runtime_config"]["parameters"]["if_changed"] is True
    # What decides and what promotes are in the pipeline that it runs.
    (package,) = standin.packages.values()
    names = {component.split("comp-")[1] for component in package[0]["components"]}
    assert {"check-changes", "register", "train"} <= names


def test_the_same_again_changes_nothing(audiostyle: Cli, standin: StandIn) -> None:
    audiostyle(*CREATE, NIGHT)
    before = dict(standin.schedules)
    assert audiostyle(*CREATE, NIGHT).output.rstrip().endswith("unchanged")
    assert standin.schedules == before
    assert standin.count(MAKE) == 1


def test_the_same_name_is_changed_and_not_doubled(audiostyle: Cli, standin: StandIn) -> None:
    audiostyle(*CREATE, NIGHT)
    audiostyle("schedule", "create", "other", *CREATE[3:], NIGHT)
    (first, other) = standin.schedules
    standin.enabled.clear()
    done = audiostyle(*CREATE, "--cron=0 4 * * *", "--always")
    assert done.output.rstrip().endswith("updated")
    assert first not in standin.schedules
    assert other in standin.schedules
    (made,) = (s for k, s in standin.schedules.items() if k != other)
    assert made["trigger"]["cron_schedule"]["cron"] == "0 0 4 * * *"
    assert made["runtime_config"]["parameters"]["if_changed"] is False
    assert made["status"] == "ENABLED"
    # With the other: never three, and never one but for the instant between two requests.
    assert max(standin.enabled) == 2
    assert standin.enabled.count(1) == 1


def test_a_paused_one_stays_paused_when_it_is_changed(audiostyle: Cli, standin: StandIn) -> None:
    audiostyle(*CREATE, NIGHT)
    assert audiostyle("schedule", "pause", "nightly").exit_code == 0
    standin.enabled.clear()
    assert audiostyle(*CREATE, "--cron=0 5 * * *").exit_code == 0
    assert set(standin.enabled) == {0}
    assert "paused" in audiostyle("schedule", "list").output
    assert audiostyle("schedule", "resume", "nightly").exit_code == 0
    assert standin.enabled[-1] == 1
    assert "enabled" in audiostyle("schedule", "show", "nightly").output


class Named:
    """The schedule `nightly` of the stand-in, without a command line."""

    def __init__(self, cluster: Api, work: RunSpec) -> None:
        self._cluster, self._work = cluster, work
        self._experiment = str(cluster.experiment("tries"))

    def put(self, cron: str) -> str:
        return schedules.put(self._cluster, self._experiment, "nightly", cron, self._work)[1]


@pytest.fixture
def nightly(connect: Callable[[], Api], work: Callable[[Api], RunSpec]) -> Named:
    cluster = connect()
    named = Named(cluster, work(cluster))
    assert named.put("0 0 3 * * *") == "created"
    return named


@pytest.mark.parametrize("operation", [MAKE, ENABLE, DISABLE, DELETE])
@pytest.mark.parametrize("kind", ["lost", 503])
def test_a_change_outlives_what_passes(
    nightly: Named, standin: StandIn, operation: str, kind: int | str
) -> None:
    standin.faults = [Fault(operation, kind, times=1)]
    assert nightly.put("0 0 4 * * *") == "updated"
    (made,) = standin.schedules.values()
    assert made["status"] == "ENABLED"
    assert made["trigger"]["cron_schedule"]["cron"] == "0 0 4 * * *"
    assert max(standin.enabled) == 1


@pytest.mark.parametrize("operation", [MAKE, ENABLE, DISABLE])
def test_a_change_that_fails_is_undone(nightly: Named, standin: StandIn, operation: str) -> None:
    (first,) = standin.schedules
    standin.faults = [Fault(operation, 503, times=5)]  # as often as is asked before giving up
    with pytest.raises(ServerUnavailableError, match="503"):
        nightly.put("0 0 4 * * *")
    assert list(standin.schedules) == [first]
    assert standin.schedules[first]["status"] == "ENABLED"
    assert max(standin.enabled) == 1
    assert nightly.put("0 0 4 * * *") == "updated"
    assert standin.enabled[-1] == len(standin.schedules) == 1


@pytest.mark.parametrize("crons", [("0 0 3 * * *",), ("0 0 3 * * *", "0 0 4 * * *")])
def test_two_that_are_created_at_a_time_become_one(
    connect: Callable[[], Api],
    work: Callable[[Api], RunSpec],
    standin: StandIn,
    crons: tuple[str, ...],
) -> None:
    """With other settings, whose schedule is not kept is told."""
    cluster = connect()
    named = Named(cluster, work(cluster))
    outcomes = []

    def other(server: StandIn, operation: str) -> None:
        if operation == MAKE:
            server.on_request = None
            outcomes.append(named.put(crons[-1]))

    standin.on_request = other
    try:
        outcomes.append(named.put(crons[0]))
    except AudiostyleError as error:
        assert "another command made it at the same time" in str(error)
        assert len(crons) == 2
    assert outcomes[0] == "created"
    (kept,) = standin.schedules.values()
    assert kept["status"] == "ENABLED"
    assert kept["trigger"]["cron_schedule"]["cron"] in crons
    if len(outcomes) == 2 and len(crons) == 2:
        assert kept["trigger"]["cron_schedule"]["cron"] == crons[0]


def test_a_server_that_goes_away_in_between(nightly: Named, standin: StandIn) -> None:
    """Between pausing and enabling: it is said, and the same command completes it."""

    def away(server: StandIn, operation: str) -> None:
        if operation == ENABLE:
            server.faults = [Fault(name, 503, 99) for name in (ENABLE, DISABLE, DELETE)]

    standin.on_request = away
    with pytest.raises(AudiostyleError, match="may be paused now"):
        nightly.put("0 0 4 * * *")
    assert [s["status"] for s in standin.schedules.values()] == ["DISABLED", "DISABLED"]
    standin.on_request, standin.faults = None, []
    assert nightly.put("0 0 4 * * *") == "updated"
    (made,) = standin.schedules.values()
    assert made["status"] == "ENABLED"
    assert made["trigger"]["cron_schedule"]["cron"] == "0 0 4 * * *"


def test_run_now_runs_what_it_would_one_at_a_time(audiostyle: Cli, standin: StandIn) -> None:
    standin.script = [{"": "RUNNING", "train": "RUNNING"}]
    audiostyle(*CREATE, NIGHT)
    (schedule,) = standin.schedules.values()
    done = audiostyle("schedule", "run-now", "nightly")
    assert done.exit_code == 0, done.output
    (run,) = standin.runs.values()
    for same in ("runtime_config", "pipeline_version_reference", "experiment_id"):
        assert run[same] == schedule[same]
    assert audiostyle("schedule", "run-now", "nightly").exit_code == 2
    assert audiostyle("schedule", "run-now", "nightly", "--force").exit_code == 0
    for run in standin.runs.values():
        run["state"] = "SUCCEEDED"
    # One that the schedule itself started counts, too.
    standin.fire(schedule["recurring_run_id"])
    done = audiostyle("schedule", "run-now", "nightly")
    assert done.exit_code == 2
    assert "one run at a time" in done.output
    assert audiostyle("schedule", "show", "nightly").output.count("succeeded") == 2
    assert audiostyle("schedule", "show", "nightly").output.count("running") == 1


def test_run_now_waits(audiostyle: Cli, standin: StandIn) -> None:
    audiostyle(*CREATE, NIGHT)
    done = audiostyle("schedule", "run-now", "nightly", "--wait", "--poll=0.1")
    assert done.exit_code == 0
    assert "train                 succeeded" in done.output


def test_a_schedule_is_deleted_and_its_runs_stay(audiostyle: Cli, standin: StandIn) -> None:
    audiostyle(*CREATE, NIGHT)
    audiostyle("schedule", "run-now", "nightly")
    assert audiostyle("schedule", "delete", "nightly").exit_code == 0
    assert standin.schedules == {}
    assert len(standin.runs) == 1


@pytest.mark.parametrize("command", ["show", "pause", "resume", "delete", "run-now"])
def test_no_such_schedule(audiostyle: Cli, command: str) -> None:
    done = audiostyle("schedule", command, "nobody")
    assert done.exit_code == 2
    assert "'nobody'" in done.output


def test_a_bad_cron_sends_nothing(audiostyle: Cli, standin: StandIn) -> None:
    done = audiostyle(*CREATE, "--cron=every night")
    assert done.exit_code == 2
    assert standin.log == []


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0 3 * * *", "0 0 3 * * *"),
        ("30 0 3 ? * MON-FRI", "30 0 3 ? * MON-FRI"),
        ("0 3 29 2 *", "0 0 3 29 2 *"),
        ("0 3 31 2 mon", "0 0 3 31 2 mon"),  # a Monday will do
        ("0 3 31 4,5 *", "0 0 3 31 4,5 *"),
        ("0 3 */31 2 *", "0 0 3 */31 2 *"),
        ("*/15 1,2-4 1-31/2 jan-mar 0", "0 */15 1,2-4 1-31/2 jan-mar 0"),
    ],
)
def test_cron(text: str, expected: str) -> None:
    assert schedules.cron(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 7", ""),
        *("5-3 * * * *", "*/0 * * * *", "? * * * *", "a * * * *", "1- * * * *", "@daily"),
        # Never: no such month has such a day.
        *("0 3 31 2 *", "0 0 3 30-31 feb ?", "0 3 31 4,6,9,nov *", "0 3 31 2-2 *", "0 3 30/1 2 *"),
    ],
)
def test_no_cron(text: str) -> None:
    with pytest.raises(InputError, match="cron"):
        schedules.cron(text)


# A run that is running while its schedule changes


def test_a_change_leaves_the_running_run(audiostyle: Cli, standin: StandIn) -> None:
    """Kubernetes would delete it with the schedule that owns it."""
    standin.script = [{"": "RUNNING", "train": "RUNNING"}, {"": "SUCCEEDED", "train": "SUCCEEDED"}]
    audiostyle(*CREATE, NIGHT)
    (first,) = standin.schedules
    run = standin.fire(first)
    done = audiostyle(*CREATE, "--cron=0 4 * * *")
    assert "updated" in done.output
    assert f"({run}) goes on" in done.output
    assert standin.lost == set()
    # It still counts as the schedule's, also after a second change.
    audiostyle(*CREATE, "--cron=0 5 * * *")
    refused = audiostyle("schedule", "run-now", "nightly")
    assert refused.exit_code == 2
    assert run in refused.output
    assert audiostyle("runs", "show", run, "--wait", "--poll=0.1").exit_code == 0
    assert run in audiostyle("schedule", "show", "nightly").output
    assert audiostyle("schedule", "run-now", "nightly").exit_code == 0


def test_deleting_leaves_the_running_run(audiostyle: Cli, standin: StandIn) -> None:
    audiostyle(*CREATE, NIGHT)
    (first,) = standin.schedules
    run = standin.fire(first)
    assert audiostyle("schedule", "delete", "nightly").exit_code == 0
    assert run not in standin.lost


def test_an_account_that_the_server_filled_in_is_no_change(
    audiostyle: Cli, standin: StandIn
) -> None:
    audiostyle(*CREATE, NIGHT)
    (made,) = standin.schedules.values()
    assert made["service_account"] == "pipeline-runner"
    assert "unchanged" in audiostyle(*CREATE, NIGHT).output
    assert "updated" in audiostyle(*CREATE, NIGHT, "--service-account=robot").output
    assert "unchanged" in audiostyle(*CREATE, NIGHT, "--service-account=robot").output
