"""Copying artifacts into a store, and what containers are told: without any container."""

import shutil
from pathlib import Path

import pytest

from audiostyle import artifacts
from audiostyle.errors import ArtifactError, InputError
from audiostyle.store import open_store
from pipeline import containers, publication


def test_an_artifact_is_copied_whole_and_once(classifier: Path, tmp_path: Path) -> None:
    store = publication.target(str(tmp_path))
    uri = publication.publish(classifier, artifacts.CLASSIFIER, store)
    place = Path(uri.removeprefix("file://"))
    digest = artifacts.opening(classifier, artifacts.CLASSIFIER).digest
    assert place == tmp_path / "classifier" / digest
    assert artifacts.opening(place, artifacts.CLASSIFIER).digest == digest
    times = {path: path.stat().st_mtime_ns for path in place.iterdir()}
    assert publication.publish(classifier, artifacts.CLASSIFIER, store) == uri
    assert {path: path.stat().st_mtime_ns for path in place.iterdir()} == times


def test_a_copy_that_broke_off_is_completed(classifier: Path, tmp_path: Path) -> None:
    store = open_store(tmp_path)
    place = Path(
        publication.publish(classifier, artifacts.CLASSIFIER, store).removeprefix("file://")
    )
    # What is there before the manifest, which comes last, may be anything.
    (place / artifacts.MANIFEST).unlink()
    (place / "weights.safetensors").write_bytes(b"half")
    publication.publish(classifier, artifacts.CLASSIFIER, store)
    artifacts.opening(place, artifacts.CLASSIFIER)


def test_what_is_damaged_is_not_published(classifier: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(classifier, damaged)
    (damaged / "weights.safetensors").write_bytes(b"else")
    with pytest.raises(ArtifactError, match=r"weights\.safetensors: is damaged"):
        publication.publish(damaged, artifacts.CLASSIFIER, open_store(tmp_path / "store"))
    assert not (tmp_path / "store").exists()


def test_containers_have_a_network_only_for_servers(tmp_path: Path) -> None:
    assert containers.network_for("sqlite:////w/mlflow.db", "", "/w/cache") == "none"
    assert containers.network_for("http://127.0.0.1:5000", "") == "host"
    assert containers.network_for("sqlite:////w/mlflow.db", "s3://bucket/cache") == "host"
    # A recording in a bucket is fetched by the task that stylizes.
    (tmp_path / "pairs.csv").write_text("id,content,style\na,a.wav,s3://bucket/b.wav\n")
    objects = containers.objects(tmp_path / "pairs.csv")
    assert objects == ["s3://bucket/b.wav"]
    assert containers.network_for("sqlite:////w/mlflow.db", *objects) == "host"


def test_tasks_see_what_they_read_and_nothing_beside_it(tmp_path: Path) -> None:
    for name in ("data", "pairs", "elsewhere", "secret"):
        (tmp_path / name).mkdir()
    manifest = tmp_path / "pairs" / "pairs.csv"
    manifest.write_text("id,content,style\na,a.wav,../elsewhere/b.wav\n")
    seen = containers.inputs(tmp_path / "data", manifest)
    assert set(seen) == {tmp_path / name for name in ("data", "pairs", "elsewhere")}
    told = containers.arguments("none", tmp_path / "w", seen, _folder(tmp_path / "errors"))
    writable = {m["Target"] for m in told["mounts"] if not m["ReadOnly"]}
    assert writable == {str(tmp_path / "w"), str(tmp_path / "errors")}
    readable = {m["Target"] for m in told["mounts"] if m["ReadOnly"]}
    assert {str(path) for path in seen} <= readable
    assert str(tmp_path / "secret") not in readable


def test_only_named_variables_reach_containers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "for-the-store")
    monkeypatch.setenv("SOMEBODY_ELSES_TOKEN", "for-nobody")
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    told = containers.arguments("none", tmp_path, [], _folder(tmp_path / "errors"))
    assert told["environment"]["AWS_SECRET_ACCESS_KEY"] == "for-the-store"  # noqa: S105
    assert "for-nobody" not in str(told)


def test_a_daemon_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with pytest.raises(InputError, match="no Docker daemon answers"), containers.daemon():
        pass


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
