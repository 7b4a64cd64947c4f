"""Workers of bulk jobs as forks of a process that has imported everything.

A worker takes seconds to import torch, which a hundred jobs cannot each wait for. The executable
that `start` makes stands in for Python's: it hands its pipes to the warm process, which forks. All
else is as ever: a process of its own, which ends when its caller does.
"""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conftest import ROOT

_STAND_IN = """#!{python} -IS
import array, os, signal, socket, sys
*_, requests, answers, threads = sys.argv
there = socket.socket(socket.AF_UNIX)
there.connect({address!r})
socket.send_fds(there, [threads.encode()], [int(requests), int(answers), 1, 2])
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


def _work(connection: socket.socket) -> None:
    threads, fds, _, _ = socket.recv_fds(connection, 20, 4)
    connection.sendall(str(os.getpid()).encode())
    requests, answers, out, err = fds
    os.dup2(out, 1)
    os.dup2(err, 2)
    from pipeline.bulk.worker import main

    code = 1
    try:
        main([str(requests), str(answers), threads.decode()])
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def _serve(address: str) -> None:
    import torch

    import components.reconstruct.reconstruct
    import components.stylize.stylize  # noqa: F401

    torch.set_num_threads(1)
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
