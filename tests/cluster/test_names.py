"""Names and ids that a server cannot store, find or read: said in one line, nothing begun twice."""

from collections.abc import Callable

import pytest
from click.testing import Result
from cluster_fixtures import alone, audiostyle, standin  # noqa: F401, fixtures
from standin import StandIn

Cli = Callable[..., Result]
TRAIN = ("train", "--data=s3://bucket/data.zip", "--tracking-uri=http://mlflow:5000")
BAD = [
    ("a+b", "neither + nor %"),
    ("100%", "neither + nor %"),
    (" ", "space"),
    ("ends with one ", "space"),
    ("two\nlines", "one line"),
    ("\x1b[31mred", "printable"),
    ("song 🎵", "emoji"),
    ("n" * 300, "characters"),
]


@pytest.mark.parametrize("name, word", BAD)
def test_a_name_that_the_server_cannot_keep_sends_nothing(
    audiostyle: Cli, standin: StandIn, name: str, word: str
) -> None:
    arguments = TRAIN[1:]
    for field, command in {
        "name": ("submit", *TRAIN, f"--name={name}"),
        "experiment": ("submit", *TRAIN, f"--experiment={name}"),
        "name ": ("schedule", "create", name, "--cron=0 3 * * *", *arguments),
    }.items():
        done = audiostyle(*command)
        assert done.exit_code == 2, done.output
        assert f"{field.strip()}: " in done.output
        assert word in done.output
        assert len(done.output.splitlines()) == 1
        assert len(done.output) < 400
    assert standin.log == []


@pytest.mark.parametrize("name", ["Prüflauf ä/ö", "試験", "{{workflow.name}}", 'it\'s "q" \\ x'])
def test_other_names_are_taken(audiostyle: Cli, standin: StandIn, name: str) -> None:
    done = audiostyle("submit", *TRAIN, f"--name={name}")
    assert done.exit_code == 0, done.output
    (run,) = standin.runs.values()
    assert run["display_name"] == name


def test_an_argument_that_the_database_has_no_characters_for(
    audiostyle: Cli, standin: StandIn
) -> None:
    done = audiostyle("submit", TRAIN[0], "--data=s3://bucket/🎵.zip", TRAIN[2])
    assert done.exit_code == 2
    assert "data: " in done.output
    assert standin.runs == {}


def test_a_run_that_was_not_stored_is_not_started_again(audiostyle: Cli, standin: StandIn) -> None:
    # As Kubeflow Pipelines 2.17.0 answers after it has made the Workflow.
    text = "Failed to create a run: Failed to store run x to table: Error 1366: " + "x" * 400
    standin.refusals["run_service_create_run"] = (500, f"{text}: Incorrect string value")
    done = audiostyle("submit", *TRAIN)
    assert done.exit_code == 1
    assert standin.count("run_service_create_run") == 1
    assert "Incorrect string value" in done.output  # the reason, which stands last
    assert "get workflows" in done.output


@pytest.mark.parametrize("command", ["show", "logs", "cancel"])
@pytest.mark.parametrize("run", ["nobody", "", "../pipelines", "a/b", "ä"])
def test_no_such_run(audiostyle: Cli, standin: StandIn, command: str, run: str) -> None:
    done = audiostyle("runs", command, run)
    assert done.exit_code == 2
    assert f"has no {run!r}" in done.output
    assert "audiostyle runs list" in done.output


def test_a_run_that_is_deleted_while_it_is_waited_for(audiostyle: Cli, standin: StandIn) -> None:
    standin.script = [{"": "RUNNING", "train": "RUNNING"}]

    def delete(server: StandIn, operation: str) -> None:
        if operation == "run_service_get_run" and server.count(operation) == 3:
            server.runs.clear()

    standin.on_request = delete
    done = audiostyle("submit", *TRAIN, "--wait", "--poll=0.1")
    assert done.exit_code == 1
    assert "was deleted while it was waited for" in done.output
    assert "goes on" not in done.output
