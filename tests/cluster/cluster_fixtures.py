"""A stand-in server that listens, and the command line that talks to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from standin import StandIn, serving

from pipeline import images
from pipeline.cli import main
from pipeline.cluster import client
from pipeline.cluster.api import Api
from pipeline.cluster.run_spec import RunSpec
from pipeline.cluster.submission import compiled
from pipeline.cluster_config import ConnectionSettings
from pipeline.definitions import training

VARIABLES = (
    "KF_PIPELINES_ENDPOINT",
    "KF_PIPELINES_UI_ENDPOINT",
    "AUDIOSTYLE_CONFIG",
    "AUDIOSTYLE_KFP_NAMESPACE",
    "AUDIOSTYLE_KFP_TOKEN",
    "AUDIOSTYLE_KFP_TOKEN_FILE",
    "AUDIOSTYLE_KFP_CA_FILE",
    "MLFLOW_TRACKING_URI",
)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's settings; images by digest; attempts without long waits."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "no-kubeconfig"))
    lock = {stage: f"registry.example/{stage}@sha256:{'0' * 64}" for stage in images.STAGES}
    (tmp_path / "lock.yaml").write_text(yaml.safe_dump(lock))
    monkeypatch.setattr(images, "LOCK", tmp_path / "lock.yaml")
    quick = client.Patience(connect=10, read=30, waits=(0.01, 0.01, 0.01, 0.01), outage=0.5)
    monkeypatch.setattr(client, "Patience", lambda: quick)
    monkeypatch.setattr("kfp.Client._LOCAL_KFP_CONTEXT", str(tmp_path / "no-context.json"))


@pytest.fixture
def standin() -> Iterator[StandIn]:
    """A server on which nothing must be asked or answered against the definitions."""
    with serving(StandIn()) as server:
        yield server
        assert server.violations == []


@pytest.fixture
def audiostyle(standin: StandIn) -> Callable[..., Result]:
    """The command line, pointed at the stand-in."""

    def run(*arguments: str, **variables: Any) -> Result:
        environment = {"KF_PIPELINES_ENDPOINT": standin.address, **variables}
        result = CliRunner().invoke(main, list(arguments), env=environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), result
        return result

    return run


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The training pipeline, compiled."""
    path = tmp_path_factory.mktemp("compiled") / "training.yaml"
    compiled(training.build(lambda stage: stage), path)
    return path


@pytest.fixture
def connect(standin: StandIn) -> Callable[[], Api]:
    """The same without a command line."""
    return lambda: Api(client.Client(ConnectionSettings(host=standin.address)))


@pytest.fixture
def work(package: Path) -> Callable[[Api], RunSpec]:
    """A version of the package on a server, and arguments for it."""

    def make(cluster: Api) -> RunSpec:
        pipeline, version, _ = cluster.version(package, "audiostyle-training")
        arguments = {"data": "s3://bucket/data.zip", "tracking_uri": "http://mlflow:5000"}
        return RunSpec(pipeline, version, arguments)

    return make
