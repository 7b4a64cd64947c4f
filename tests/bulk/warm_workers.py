"""Workers of bulk jobs as forks of a process that has imported everything.

A worker takes seconds to import torch, which a hundred jobs cannot each wait for. The executable
that `start` makes stands in for Python's: it hands its pipes to the warm process, which forks. All
else is as ever: a process of its own, which ends when its caller does. What starts anything else
with it gets Python itself.
"""

import gc
import importlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import soundfile
from conftest import RATE, ROOT, tone

_STAND_IN = """#!{python} -IS
import json, os, signal, socket, sys
if "pipeline.bulk.worker" not in sys.argv:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
*_, requests, answers, threads = sys.argv
there = socket.socket(socket.AF_UNIX)
there.connect({address!r})
socket.send_fds(there, [b"."], [int(requests), int(answers), 1, 2])
there.sendall(json.dumps([threads, os.getcwd(), dict(os.environ)]).encode())
there.shutdown(socket.SHUT_WR)
os.close(int(requests)), os.close(int(answers))
child = int(there.recv(20))
signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGKILL))
sys.exit(int(there.recv(20) or 1))
"""


@contextmanager
def start(folder: Path) -> Iterator[Path]:
    """Yields an executable to set as `sys.executable`."""
    address = folder / "workers"
    stand_in = folder / "python"
    stand_in.write_text(_STAND_IN.format(python=sys.executable, address=str(address)))
    stand_in.chmod(stand_in.stat().st_mode | stat.S_IXUSR)
    server = subprocess.Popen(
        [sys.executable, __file__, str(address)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/tests", "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield stand_in
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="session")
def warm_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What stands in for Python, for all tests."""
    with start(tmp_path_factory.mktemp("workers")) as executable:
        yield executable


@pytest.fixture
def warm_workers(warm_python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bulk jobs of this process start their workers so."""
    monkeypatch.setattr(sys, "executable", str(warm_python))


def _work(connection: socket.socket) -> None:
    _, fds, _, _ = socket.recv_fds(connection, 1, 4)
    threads, folder, environment = json.loads(b"".join(iter(lambda: connection.recv(65536), b"")))
    connection.sendall(str(os.getpid()).encode())
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # so that it is looked up
    requests, answers, out, err = fds
    os.dup2(out, 1)
    os.dup2(err, 2)
    from pipeline.bulk.worker import main

    code = 1
    try:
        main([str(requests), str(answers), threads])
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def _work_once(folder: Path) -> None:
    """Do an item, so that what is imported and compiled at first use is."""
    from pipeline.bulk.worker import Worker

    for name, pitch in (("content", 300), ("style", 500)):
        soundfile.write(folder / f"{name}.wav", tone(pitch, seconds=0.5, harmonics=4), RATE)
    names = ("content", "style")
    answer = Worker(1).answer(
        {
            "folder": str(folder / "batch"),
            "recordings": str(folder / "recordings"),
            "checkpoint": str(folder / "checkpoint"),
            "classifier": str(ROOT / "audiostyle" / "bundled" / "classifier"),
            "model": {},
            "items": [{"id": "a", "places": {name: str(folder / f"{name}.wav") for name in names}}],
            "soon": [],
            "stylize": {"method": "trained", "iterations": 1},
            "reconstruct": {"iterations": 1},
        }
    )
    assert "rows" in answer, answer


def _serve(address: str) -> None:
    importlib.import_module("audiostyle.store.s3")
    with tempfile.TemporaryDirectory() as folder:
        _work_once(Path(folder))
    gc.collect()
    gc.freeze()  # or every worker would touch, and so copy, every object
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(32)
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            _work(connection)
        connection.close()


if __name__ == "__main__":
    _serve(sys.argv[1])
