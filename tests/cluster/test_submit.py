"""Runs on a cluster by the command line: sent once, watched, explained."""

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from cluster_fixtures import (  # noqa: F401, fixtures
    alone,
    audiostyle,
    connect,
    package,
    standin,
    work,
)
from conftest import DEADLINE
from standin import Fault, StandIn

from pipeline.cluster import client
from pipeline.cluster.api import Api
from pipeline.cluster.run_spec import RunSpec
from pipeline.cluster.token import TOKEN

# A command compiles a pipeline in a process of its own.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
Cli = Callable[..., Result]
TRAIN = (
    "submit",
    "train",
    "--data=s3://bucket/data.zip",
    "--tracking-uri=http://mlflow:5000",
    "--poll=0.1",
)
STYLIZE = (
    "submit",
    "stylize",
    "--pairs=s3://bucket/some/pairs.csv",
    "--tracking-uri=http://mlflow:5000",
)
BULK = (
    "submit",
    "stylize",
    "--manifest=s3://bucket/jobs/pairs.jsonl",
    "--out=s3://bucket/jobs/out",
    "--tracking-uri=http://mlflow:5000",
)


def test_a_run_is_started_with_its_parameters(audiostyle: Cli, standin: StandIn) -> None:
    done = audiostyle(
        *TRAIN,
        "--name=mine",
        "--experiment=tries",
        "--pipeline-root=s3://bucket/root",
        "--service-account=robot",
        "--label=team=sound",
        "--if-changed",
    )
    assert done.exit_code == 0, done.output
    (run,) = standin.runs.values()
    assert run["display_name"] == "mine"
    assert run["service_account"] == "robot"
    assert standin.experiments[run["experiment_id"]]["display_name"] == "tries"
    assert run["runtime_config"]["pipeline_root"] == "s3://bucket/root"
    parameters = run["runtime_config"]["parameters"]
    assert parameters["data"] == "s3://bucket/data.zip"
    assert parameters["if_changed"] is True
    assert parameters["train_config"]["epochs"] > 0
    (package,) = standin.packages.values()
    for executor in package[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        assert executor["podMetadata"]["labels"]["team"] == "sound"
    assert f"{standin.address}/#/runs/details/{run['run_id']}" in done.output


def test_a_pipeline_is_uploaded_once_for_its_content(audiostyle: Cli, standin: StandIn) -> None:
    for arguments in (TRAIN, TRAIN, (*TRAIN, "--if-changed"), STYLIZE, STYLIZE):
        assert audiostyle(*arguments).exit_code == 0
    # Parameters are no content; another number of shards is.
    assert standin.count("upload_pipeline_version") == 2
    assert audiostyle(*STYLIZE, "--shards=3").exit_code == 0
    assert standin.count("upload_pipeline_version") == 3
    assert len(standin.pipelines) == 2
    assert len(standin.experiments) == 1
    assert all(v["name"].startswith("sha256-") for v in standin.versions.values())


def test_the_whole_pipeline_is_submitted(audiostyle: Cli, standin: StandIn) -> None:
    done = audiostyle("submit", "run", *TRAIN[2:], "--pairs=s3://bucket/some/pairs.csv")
    assert done.exit_code == 0, done.output
    (run,) = standin.runs.values()
    parameters = run["runtime_config"]["parameters"]
    assert parameters["pairs"] == "s3://bucket/some/pairs.csv"


def test_a_bulk_job_is_submitted(audiostyle: Cli, standin: StandIn, tmp_path: Path) -> None:
    more = ("--shards=3", "--parallelism=2", "--on-error=stop", "--retries=5", "--patience=60")
    done = audiostyle(*BULK, *more, "--time-limit=90", "--model=7")
    assert done.exit_code == 0, done.output
    assert "audiostyle-bulk-stylization" in done.output
    (run,) = standin.runs.values()
    parameters = run["runtime_config"]["parameters"]
    assert parameters["manifest"] == "s3://bucket/jobs/pairs.jsonl"
    assert parameters["out"] == "s3://bucket/jobs/out"
    assert parameters["model"] == "7"
    # Every shard repeats them, so defaults are left out.
    assert parameters["stylize_config"] == parameters["reconstruct_config"] == {}
    how = parameters["bulk_config"]
    assert {
        "on_error": "stop",
        "retries": 5,
        "time_limit": 90,
        "patience": 60,
    }.items() <= how.items()
    # As many processes as the pod asks for cores, of however many the node has.
    assert how["workers"] == 1
    (package,) = standin.packages.values()
    executor = package[0]["deploymentSpec"]["executors"]["exec-bulk"]["container"]
    assert executor["resources"]["resourceCpuRequest"] == "1"
    (tmp_path / "c.yaml").write_text("cluster: {tasks: {bulk: {cpu: 2500m}}}")
    assert audiostyle(*BULK, f"--config={tmp_path}/c.yaml").exit_code == 0
    found = [run["runtime_config"]["parameters"]["bulk_config"] for run in standin.runs.values()]
    assert sorted(how["workers"] for how in found) == [1, 2]


def test_interrupted_waiting_lets_the_run_go_on(standin: StandIn) -> None:
    standin.script = [{"": "RUNNING", "train": "RUNNING"}]
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", *TRAIN, "--wait", "--allow-tags"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "KF_PIPELINES_ENDPOINT": standin.address},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + DEADLINE
    while standin.count("run_service_get_run") < 2 and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130
    assert "goes on" in errors
    assert "Traceback" not in errors
    (run,) = standin.runs.values()
    assert run["state"] == "RUNNING"
    assert standin.count("run_service_terminate_run") == 0


@pytest.mark.parametrize("kind", [503, "hang", "drop", "lost"])
@pytest.mark.parametrize(
    "operation",
    [
        "healthz_service_get_healthz",
        "pipeline_service_create_pipeline",
        "upload_pipeline_version",
        "experiment_service_create_experiment",
        "run_service_create_run",
        "run_service_get_run",
    ],
)
def test_what_passes_is_outlived_and_done_once(
    connect: Callable[[], Api],
    work: Callable[[Api], RunSpec],
    standin: StandIn,
    operation: str,
    kind: int | str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    standin.faults = [Fault(operation, kind, times=2)]
    if kind == "hang":  # for 2 s
        patience = dataclasses.replace(client.Patience(), read=1.0)
        monkeypatch.setattr(client, "Patience", lambda: patience)
    cluster = connect()
    run = cluster.start(str(cluster.experiment("tries")), "mine", work(cluster))
    assert cluster.run(run.run_id).display_name == "mine"
    # A creation is not made twice even where its answer did not come.
    assert len(standin.runs) == 1
    assert len(standin.versions) == len(standin.pipelines) == len(standin.experiments) == 1
    if "create" in operation or "upload" in operation:
        assert standin.count(operation) == (1 if kind in ("hang", "lost") else 3)


@pytest.mark.parametrize("status", [429, 500, 502, 504])
def test_other_passing_errors(audiostyle: Cli, standin: StandIn, status: int) -> None:
    standin.faults = [Fault("run_service_list_runs", status, times=3)]
    assert audiostyle("runs", "list").exit_code == 0
    assert standin.count("run_service_list_runs") == 4


@pytest.mark.parametrize("status", [400, 403, 404])
def test_errors_that_stay_are_not_asked_about_again(
    audiostyle: Cli, standin: StandIn, status: int
) -> None:
    standin.faults = [Fault("run_service_list_runs", status)]
    done = audiostyle("runs", "list")
    assert done.exit_code == (1 if status == 403 else 2)
    assert "out of order" in done.output
    assert standin.count("run_service_list_runs") == 1


def test_a_server_that_is_not_there(audiostyle: Cli) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        host = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = audiostyle(*TRAIN, KF_PIPELINES_ENDPOINT=host)
    assert done.exit_code == 1
    (line,) = [text for text in done.output.splitlines() if "again in" not in text]
    assert f"{host}: no server answers there" in line


@pytest.mark.parametrize(
    "status, kind, text, words",
    [
        (200, "text/html", "<html>who are you</html>", "log in"),
        (404, "text/html", "<html>Not Found</html>", "not Kubeflow Pipelines"),
        (200, "application/json", "[]", "not Kubeflow Pipelines"),
        (200, "application/json", "{}", "not Kubeflow Pipelines"),
        (403, "text/plain", "RBAC: access denied", "RBAC: access denied"),
    ],
)
def test_another_server_is_no_answer(
    audiostyle: Cli, standin: StandIn, status: int, kind: str, text: str, words: str
) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        done = audiostyle("runs", "list", f"--host=http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
    assert done.exit_code == 1
    assert words in done.output
    assert len(done.output.splitlines()) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirection_to_a_page_to_log_in_is_named(audiostyle: Cli, status: int) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    class Gate(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Location", "https://login.example.com/dex/auth?state=hidden")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Gate) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        done = audiostyle("runs", "list", f"--host=http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
    assert done.exit_code == 1
    assert f"answers {status}, a redirection to https://login.example.com/dex/auth" in done.output
    assert "--token-file" in done.output
    assert "hidden" not in done.output


# Tokens


def test_a_token_that_expires_is_read_again(
    audiostyle: Cli, standin: StandIn, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("tok-one\n")
    standin.bearer = "tok-one"

    def rotate(server: StandIn, operation: str) -> None:
        if operation == "run_service_get_run" and server.bearer == "tok-one":
            server.bearer = "tok-two"
            file.write_text("tok-two\n")

    standin.on_request = rotate
    done = audiostyle(*TRAIN, "--wait", f"--token-file={file}")
    assert done.exit_code == 0, done.output
    assert standin.bearer == "tok-two"
    # A token is nowhere to be seen: not in what is said, nor in what is kept.
    assert "tok-one" not in done.output and "tok-two" not in done.output
    kept = str((standin.runs, standin.pipelines, standin.versions, standin.packages))
    assert "tok-one" not in kept and "tok-two" not in kept


def test_an_expired_token_is_told(audiostyle: Cli, standin: StandIn, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("stale-word")
    standin.bearer = "fresh"
    done = audiostyle("runs", "list", f"--token-file={file}")
    assert done.exit_code == 1
    assert f"refuses the token of token_file {file}" in done.output
    assert "stale-word" not in done.output
    assert standin.count("run_service_list_runs") == 1  # no use to ask again with the same
    done = audiostyle("runs", "list")
    assert done.exit_code == 1
    assert "wants a token" in done.output
    done = audiostyle("runs", "list", **{TOKEN: "fresh"})
    assert done.exit_code == 0


def test_a_bad_token_file_is_told_and_not_shown(audiostyle: Cli, tmp_path: Path) -> None:
    done = audiostyle("runs", "list", f"--token-file={tmp_path}/none")
    assert done.exit_code == 2
    assert "token_file" in done.output
    (tmp_path / "two").write_text("some secret")
    done = audiostyle("runs", "list", f"--token-file={tmp_path}/two")
    assert done.exit_code == 2
    assert "secret" not in done.output


# Settings of the connection


def test_options_win_over_variables_win_over_the_file(
    audiostyle: Cli, standin: StandIn, tmp_path: Path
) -> None:
    nowhere = "http://nowhere.invalid"
    config = tmp_path / "settings.yaml"

    def write(host: str) -> None:
        config.write_text(yaml.safe_dump({"cluster": {"connection": {"host": host}}}))

    def ends(*options: str, variable: str) -> int:
        return audiostyle(
            "runs", "list", f"--config={config}", *options, KF_PIPELINES_ENDPOINT=variable
        ).exit_code

    write(standin.address)
    assert ends(variable="") == 0
    assert ends(variable=nowhere) == 1
    write(nowhere)
    assert ends(variable="") == 1
    assert ends(variable=standin.address) == 0
    assert ends(f"--host={standin.address}", variable=nowhere) == 0
    assert ends(f"--host={nowhere}", variable=standin.address) == 1


@pytest.mark.parametrize(
    "host, word",
    [("", "host: is not set"), ("kubeflow", "https://"), ("http://me:pass@x", "token_file")],
)
def test_a_host_that_is_none(audiostyle: Cli, host: str, word: str) -> None:
    done = audiostyle("runs", "list", KF_PIPELINES_ENDPOINT=host)
    assert done.exit_code == 2
    assert word in done.output


def test_many_users_need_a_namespace(audiostyle: Cli, standin: StandIn) -> None:
    standin.multi_user = True
    done = audiostyle(*TRAIN)
    assert done.exit_code == 2
    assert "namespace: is not set" in done.output
    done = audiostyle(*TRAIN, "--wait", "--namespace=mine")
    assert done.exit_code == 0, done.output
    assert all(e["namespace"] == "mine" for e in standin.experiments.values())
    assert audiostyle("runs", "list", "--namespace=mine").exit_code == 0


def test_a_server_with_one_user_runs_everything_in_kubeflow(
    audiostyle: Cli, standin: StandIn
) -> None:
    done = audiostyle(*TRAIN, "--namespace=audiostyle")
    assert done.exit_code == 2
    assert "has one user, and runs everything in kubeflow" in done.output
    assert standin.runs == {}
    assert audiostyle(*TRAIN, "--namespace=kubeflow").exit_code == 0


def test_what_may_not_be_uploaded_is_said(audiostyle: Cli, standin: StandIn) -> None:
    """The server's upload says 400 where it means 403, and nothing of why."""
    standin.refusals["upload_pipeline_version"] = (400, "Failed to create a pipeline version")
    done = audiostyle(*TRAIN)
    assert done.exit_code == 1
    assert "kubeflow-pipelines-edit" in done.output
    standin.refusals["upload_pipeline_version"] = (400, "unknown template format")
    done = audiostyle(*TRAIN)
    assert done.exit_code == 2
    assert "answers 400: unknown template format" in done.output
    assert "ServeHTTP" not in done.output


# What is wrong is found before anything is sent


@pytest.mark.parametrize(
    "arguments, word",
    [
        ((*TRAIN, "--data=/home/me/data"), "data: must be"),
        ((*TRAIN, "--data=s3://bucket/folder"), "no archive"),
        ((*TRAIN, "--data=no-such-set"), "data: must be"),
        ((*TRAIN, "--from=/here"), "from: must be"),
        ((*TRAIN, "--cache=/tmp/cache"), "cache: must be"),
        ((*TRAIN, "--checkpoints=/tmp/x"), "checkpoints: must be"),
        ((*TRAIN, "--tracking-uri=sqlite:///x.db"), "tracking_uri: must be"),
        ((*TRAIN, "--tracking-uri=http://me:pass@mlflow"), "contains a user, password"),
        ((*TRAIN, "--label=nothing"), "label: must be"),
        ((*TRAIN, "--label=a=b c"), "labels"),
        ((*TRAIN, "--pipeline-root=/tmp"), "pipeline_root"),
        ((*STYLIZE, "--pairs=s3://bucket"), "pairs: must be"),
        ((*STYLIZE, "--pairs=/here/pairs.csv"), "pairs: must be"),
        ((*STYLIZE, "--work=/tmp/x"), "work: must be"),
        ((*STYLIZE, "--model=some/folder"), "model: must be"),
        ((*STYLIZE, "--shards=0"), "--shards"),
        ((*STYLIZE, *BULK[2:4]), "not both"),
        ((*STYLIZE, "--retries=1"), "not both"),
        ((*BULK, "--pairs-version=1"), "not both"),
        (BULK[:3], "give --manifest FILE --out URI"),
        (BULK[:2], "--pairs CSV"),
        ((*BULK, "--manifest=/here/pairs.csv"), "manifest: must be"),
        ((*BULK, "--manifest=s3://bucket/pairs.xlsx"), "manifest: must end in"),
        ((*BULK, "--manifest=s3://me:pass@bucket/pairs.csv"), "contains a user, password"),
        ((*BULK, "--out=results"), "out: must be"),
        ((*BULK, "--out=s3://bucket"), "out: must be"),
        ((*BULK, "--work=/tmp/x"), "work: must be"),
        ((*BULK, "--model=some/folder"), "model: must be"),
        ((*BULK, "--retries=-1"), "retries"),
        ((*BULK, "--workers=0"), "workers"),
        (BULK[:4], "tracking_uri: is not set"),
        (("submit", "train", "--data=s3://bucket/data.zip"), "tracking_uri: is not set"),
    ],
)
def test_bad_arguments(
    audiostyle: Cli, standin: StandIn, arguments: tuple[str, ...], word: str
) -> None:
    done = audiostyle(*arguments)
    assert done.exit_code == 2, done.output
    assert word in done.output
    assert "pass@" not in done.output
    assert standin.log == []


WEIGHTS = "s3://bucket/alexnet.safetensors"
PRETRAINED = {"method": "pretrained", "network": "alexnet", "weights_sha256": "0" * 64}


@pytest.mark.parametrize("kind", [STYLIZE, BULK, ("submit", "run", *TRAIN[2:4], STYLIZE[2])])
def test_weights_are_what_pods_can_read(
    audiostyle: Cli, standin: StandIn, tmp_path: Path, kind: tuple[str, ...]
) -> None:
    """An object of a bucket, or a file on a volume, and by its hash; or drawn there."""

    def sent(weights: str, *without: str, **more: object) -> Result:
        stylize = {k: v for k, v in PRETRAINED.items() if k not in without} | {"weights": weights}
        text = yaml.safe_dump({"stylize": stylize, **more})
        (tmp_path / "settings.yaml").write_text(text)
        return audiostyle(*kind, f"--config={tmp_path}/settings.yaml")

    local = tmp_path / "alexnet.safetensors"
    local.write_bytes(b"weights")
    for weights in (str(local), local.as_uri(), "alexnet.safetensors", "s3://bucket"):
        done = sent(weights)
        assert done.exit_code == 2, done.output
        assert "stylize.weights: must be s3://bucket/NAME.safetensors" in done.output
        assert len(done.output.strip().splitlines()) == 1
    for without, words in (("weights_sha256", "give the hash"), ("network", "network: ")):
        done = sent(WEIGHTS, without)
        assert done.exit_code == 2 and words in done.output, done.output
    assert standin.log == []
    task = "bulk" if kind is BULK else "stylize"
    volume = {"tasks": {task: {"volumes": [{"claim": "shared", "path": "/shared"}]}}}
    assert sent("random", "weights_sha256").exit_code == 0
    assert sent("/shared/alexnet.safetensors", cluster=volume).exit_code == 0
    done = sent(WEIGHTS)
    assert done.exit_code == 0, done.output
    *_, run = standin.runs.values()
    assert run["runtime_config"]["parameters"]["stylize_config"]["weights"] == WEIGHTS


LOOPBACK = [
    "127.0.0.1",
    "127.9.9.9",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "mlflow.localhost",
    "localhost.localdomain",
    "ip6-localhost",
    "0.0.0.0",  # noqa: S104
    "0",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "%6cocalhost",
    "１２７.0.0.1",
    socket.gethostname(),
]


@pytest.mark.parametrize("host", LOOPBACK)
def test_a_pod_is_not_sent_to_itself(audiostyle: Cli, standin: StandIn, host: str) -> None:
    done = audiostyle(*TRAIN, f"--tracking-uri=http://{host}:5000")
    assert (done.exit_code, "the pod itself" in done.output) == (2, True), done.output
    assert standin.log == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "%6cocalhost"])
def test_no_command_and_no_address_does_so(audiostyle: Cli, standin: StandIn, host: str) -> None:
    at = f"--tracking-uri=http://{host}:5000"
    schedule = ("schedule", "create", "nightly", "--cron=0 3 * * *", TRAIN[2])
    for command in (TRAIN, STYLIZE, BULK, schedule):
        done = audiostyle(*command, at)
        assert done.exit_code == 2, done.output
        assert "the pod itself" in done.output
    for option in (f"--from=http://{host}/x", f"--data=https://{host}:8080/data.zip"):
        done = audiostyle(*TRAIN, option)
        assert (done.exit_code, "the pod itself" in done.output) == (2, True), done.output
    done = audiostyle(*TRAIN[:3], MLFLOW_TRACKING_URI=f"http://{host}:5000")
    assert (done.exit_code, "the pod itself" in done.output) == (2, True), done.output
    assert standin.log == []


@pytest.mark.parametrize("host", ["mlflow", "10.0.0.1", "128.0.0.1", "localhost.example.com"])
def test_other_hosts_are_taken(audiostyle: Cli, standin: StandIn, host: str) -> None:
    done = audiostyle(*TRAIN, f"--tracking-uri=http://{host}:5000")
    assert done.exit_code == 0, done.output


def test_bad_settings(audiostyle: Cli, standin: StandIn, tmp_path: Path) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text("train: {epochs: -1}\n")
    done = audiostyle(*TRAIN, f"--config={config}")
    assert done.exit_code == 2
    assert "epochs" in done.output
    assert standin.log == []


def test_images_by_tag_are_refused(
    audiostyle: Cli, standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.images.LOCK", tmp_path / "none.yaml")
    done = audiostyle(*TRAIN)
    assert done.exit_code == 2
    assert "--allow-tags" in done.output
    assert standin.log == []
    done = audiostyle(*TRAIN, "--allow-tags")
    assert done.exit_code == 0
    assert "warning" in done.output


def test_a_path_on_a_volume_is_accepted(audiostyle: Cli, standin: StandIn, tmp_path: Path) -> None:
    volume = {"claim": "recordings", "path": "/recordings"}
    settings = {"cluster": {"tasks": {"preprocess": {"volumes": [volume]}}}}
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings))
    options = (f"--config={tmp_path}/settings.yaml", "--data=/recordings/set")
    assert audiostyle(*TRAIN, *options).exit_code == 0
    assert audiostyle(*TRAIN, *options[:1], "--data=/recordings/../etc").exit_code == 2


def test_data_are_known_by_what_can_be_seen_of_them(
    audiostyle: Cli, standin: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that preprocess comes from the cache; a schedule's data change under one address."""
    from audiostyle.store import open_store

    def folder(address: str) -> object:
        return open_store(tmp_path / address.removeprefix("s3://"))

    monkeypatch.setattr("pipeline.cluster.arguments.open_store", folder)
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "data.zip").write_bytes(b"one")

    def version(*arguments: str) -> str:
        assert audiostyle(*arguments).exit_code == 0
        (*_, run) = standin.runs.values()
        return str(run["runtime_config"]["parameters"]["data_version"])

    first = version(*TRAIN)
    assert first and version(*TRAIN) == first
    (tmp_path / "bucket" / "data.zip").write_bytes(b"other")
    assert version(*TRAIN) not in ("", first)
    assert version(*TRAIN, "--data-version=mine") == "mine"
    assert version(*TRAIN, "--data=s3://bucket/none.zip") == ""
    schedule = ("schedule", "create", "nightly", *TRAIN[2:4], "--cron=0 3 * * *")
    assert audiostyle(*schedule).exit_code == 0
    (made,) = standin.schedules.values()
    assert made["runtime_config"]["parameters"]["data_version"] == ""
