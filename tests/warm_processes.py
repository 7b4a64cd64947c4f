"""Processes that need not import anything: forks of one that has, by multiprocessing's fork server.

Each is a process of its own, with this one's environment. How a command starts from nothing is
seen in test_cli.py, test_end_to_end.py and test_wheel.py.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from conftest import DEADLINE, ROOT


@cache
def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["warm_imports"])
    with pytest.MonkeyPatch.context() as patch:
        # The server knows no other path, and starts without what it cannot import.
        patch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'tests'}")
        forkserver.ensure_running()
    return context


def process(target: Callable[..., object], *arguments: object) -> ForkServerProcess:
    """A process, to be started, that calls a function."""
    return _context().Process(target=_call, args=(dict(os.environ), target, arguments))


def ended(processes: Iterable[ForkServerProcess]) -> list[int | None]:
    """Start processes; their exit codes, None for one that does not end."""
    running = list(processes)
    for one in running:
        one.start()
    for one in running:
        one.join(DEADLINE)
    return [one.exitcode for one in running]


def audiostyle(*arguments: object, cwd: Path) -> "CompletedProcess[str]":
    """The command `audiostyle` in a folder."""
    words = list(map(str, arguments))
    with tempfile.TemporaryDirectory() as folder:
        out, err = (Path(folder) / name for name in ("out", "err"))
        (code,) = ended([process(_command, words, cwd, out, err)])
        assert code is not None, f"{words} does not end: {err.read_text()}"
        return CompletedProcess(words, code, out.read_text(), err.read_text())


def _call(
    environment: dict[str, str], target: Callable[..., object], arguments: Iterable[Any]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # so that it is looked up
    target(*arguments)


def _command(words: list[str], cwd: Path, out: Path, err: Path) -> None:
    from pipeline.cli import main

    os.chdir(cwd)
    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    sys.argv = ["audiostyle", *words]
    main(words, prog_name="audiostyle")
