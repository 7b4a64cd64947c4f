"""Credentials reach the servers that they are for, and nothing that is kept or shown."""

import json
import os
import subprocess
import sys
from pathlib import Path

import made_sets
import pytest
import soundfile
from click.testing import CliRunner
from conftest import RATE, ROOT, tone
from mlflow_server import MlflowServer
from seaweedfs import BUCKET, SECRET, SeaweedFS

from audiostyle.store import open_store
from pipeline.cli import main

# What must not be found. The access key is a name like a user's, and may be.
TOKEN = "mlflow-word-5f1c"  # noqa: S105, made up
SECRETS = (SECRET, TOKEN)


@pytest.fixture
def environment(
    seaweedfs: SeaweedFS,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, str]:
    """The environment of a process that has credentials for both servers."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "somebody")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", TOKEN)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "")
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def held(folder: Path) -> list[str]:
    """Files in which a secret stands."""
    return [
        path.name
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(word.encode() in path.read_bytes() for word in SECRETS)
    ]


def stored() -> list[str]:
    """Objects in the bucket in which a secret stands."""
    store = open_store(f"s3://{BUCKET}")
    return [
        entry.key
        for entry in store.list()
        if any(word.encode() in (store.get(entry.key) or b"") for word in SECRETS)
    ]


def stage(folder: Path, environment: dict[str, str], name: str, *arguments: object) -> str:
    """Run a stage; returns all that it printed."""
    done = subprocess.run(
        [sys.executable, "-m", f"components.{name}", *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_stages_keep_no_secret(
    tmp_path: Path,
    environment: dict[str, str],
    mlflow_server: MlflowServer,
) -> None:
    """Cache, recordings and registry in S3: nothing of how they were reached is left."""
    from components.train.gate import GateConfig
    from components.train.register import register
    from components.train.train import train

    store = open_store(f"s3://{BUCKET}/secrets")
    for name, pitch in (("a", 300), ("b", 500)):
        soundfile.write(tmp_path / f"{name}.wav", tone(pitch, seconds=0.5), RATE)
        store.put(f"{name}.wav", (tmp_path / f"{name}.wav").read_bytes())
    store.put("pairs.csv", b"id,content,style\nx,a.wav,b.wav\n")
    (tmp_path / "clips.csv").write_text("path,label\na.wav,a\nb.wav,b\n")
    printed = stage(
        *(tmp_path, environment, "preprocess", "--data", "clips.csv", "--out", "made"),
        *("--cache", f"s3://{BUCKET}/cache", "--validation", 0, "--test", 0),
    )
    made_sets.write(tmp_path / "set", made_sets.split_clips(2, 1, 1))
    train(tmp_path / "set", tmp_path / "model", made_sets.training(epochs=1))
    register(tmp_path / "model", tmp_path / "set", mlflow_server.uri, GateConfig())
    printed += stage(
        *(tmp_path, environment, "stylize", "--pairs", f"s3://{BUCKET}/secrets/pairs.csv"),
        *("--classifier", "model", "--out", "stylized", "--iterations", 1, "--method", "trained"),
    )
    assert "from the cache" in printed and "1/1 x" in printed
    assert not any(word in printed for word in SECRETS)
    assert held(tmp_path) == []
    # What MLflow wrote down, in its database and in the bucket. Its own log is not ours.
    assert (mlflow_server.folder / "mlflow.db").is_file()
    assert [name for name in held(mlflow_server.folder) if name != "log"] == []
    assert any(entry.key.startswith("mlflow/") for entry in open_store(f"s3://{BUCKET}").list())
    assert stored() == []


@pytest.mark.parametrize("fault", ["refused", "gone", "no bucket"])
def test_errors_tell_no_secret(
    fault: str,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    word = "other-word-77aa"
    uri = f"s3://{BUCKET}/x"
    if fault == "refused":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", word)
    elif fault == "gone":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    else:
        uri = "s3://no-such-bucket/x"
    done = CliRunner().invoke(main, ["cache", "stat", uri])
    assert done.exit_code in (1, 2)
    assert uri in done.output
    assert not any(text in done.output for text in (*SECRETS, word))


@pytest.mark.slow
def test_compiled_pipelines_hold_no_secret(tmp_path: Path, environment: dict[str, str]) -> None:
    assert TOKEN in environment.values() and SECRET in environment.values()
    done = CliRunner().invoke(main, ["compile", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert len(list(tmp_path.glob("*.yaml"))) >= 3
    assert held(tmp_path) == []


@pytest.mark.slow
def test_parameters_of_a_run_hold_no_secret(environment: dict[str, str]) -> None:
    """What is sent to a cluster: the package and its arguments."""
    from pipeline.cluster.submission import training_submission
    from pipeline.settings import Settings

    values = {"tasks": {"train": {"secrets": [{"name": "s3", "env": {"AWS_ACCESS_KEY_ID": "id"}}]}}}
    chosen = Settings.parse({"cluster": values}, "test")
    job = training_submission(chosen, data="esc50", tracking_uri="http://mlflow:5000")
    job.check()
    with job.package() as package:
        text = package.read_text() + json.dumps(job.arguments)
    assert "AWS_ACCESS_KEY_ID" in text
    assert not any(word in text for word in SECRETS)


def test_an_address_with_a_password_is_not_taken(tmp_path: Path) -> None:
    """It would be a parameter, a log line, a tag; the refusal does not repeat it either."""
    from pipeline.cluster.submission import training_submission
    from pipeline.settings import Settings

    word = "hidden-word-91"
    for arguments in (
        ["models", "list", "--tracking-uri", f"http://me:{word}@localhost:1"],
        ["cache", "stat", f"s3://key:{word}@bucket/x"],
        ["data", "fetch", f"https://me:{word}@localhost:1/a.zip", "--to", str(tmp_path / "to")],
        ["data", "fetch", "esc50", "--from", f"https://localhost:1/a.zip?X-Amz-Signature={word}"],
    ):
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 2, done.output
        assert "contains a user, password" in done.output
        assert word not in done.output
    assert list(tmp_path.iterdir()) == []
    settings = Settings.parse({"preprocess": {"cache": f"s3://key:{word}@bucket"}}, "test")
    with pytest.raises(Exception, match="contains a user, password") as caught:
        training_submission(settings, data="esc50", tracking_uri="http://mlflow:5000").check()
    assert word not in str(caught.value)
