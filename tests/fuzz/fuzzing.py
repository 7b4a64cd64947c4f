"""What every fuzz test does with an input: hand it to a command, and hold the command to its word.

Whatever the input, the command ends in time and within its memory; it writes nowhere but to its
output; and it either does its work or says, in one line that begins with its name, which file is
at fault. `PLAN` tells how many inputs of each kind have to be refused in that manner.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from conftest import DEADLINE, ROOT
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

# Inputs that must be refused, by kind. Together at least 2,000: see
# test_fuzz_plan.py. Of UNREFUSED a command may also make nothing: they are passed over.
PLAN = {
    "made-up WAV": 160,
    "damaged recording": 160,
    "pairs": 200,
    "bulk manifest": 120,
    "clips": 200,
    "published tables": 80,
    "archive": 250,
    "damaged archive": 120,
    "artifact": 250,
    "tensors": 150,
    "table": 150,
    "config": 200,
    "option": 60,
    "checkpoint": 40,
    "cache": 60,
}
UNREFUSED = ("checkpoint", "cache")
SECONDS = 30.0  # by which a command must have ended, on a machine that does much else
BYTES = 1 << 30  # beyond what the interpreter with all its libraries takes

# How tarfile names each compression for writing.
TAR_MODES: dict[str, Literal["w:", "w:gz", "w:bz2", "w:xz"]] = {
    "": "w:",
    "gz": "w:gz",
    "bz2": "w:bz2",
    "xz": "w:xz",
}


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str
    hung: bool

    @property
    def told(self) -> str:
        """The error: its line, and the rows that it lists."""
        lines = self.err.rstrip().splitlines()
        while len(lines) > 1 and lines[-1].startswith("  "):
            lines[-2:] = ["\n".join(lines[-2:])]
        return lines[-1] if lines else ""


class Warm:
    """The process of warm.py. run: a command, `audiostyle` or the name of a stage, in a folder."""

    def __init__(self, folder: Path, small: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("warm.py")), folder, small],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "OMP_NUM_THREADS": "1",
                "NUMBA_NUM_THREADS": "1",
            },
        )
        self._answer()

    def run(
        self, folder: Path, *arguments: object, seconds: float = SECONDS, bytes: int = BYTES
    ) -> Outcome:
        job = {
            "arguments": list(map(str, arguments)),
            "folder": str(folder),
            "seconds": seconds,
            "bytes": bytes,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        told = self._answer()
        return Outcome(told["code"], told["out"], told["err"], told["hung"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def snapshot(folder: Path) -> dict[str, tuple[int, ...]]:
    """What lies in a folder, such that any change shows."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        written = () if path.is_dir() else (status.st_size, status.st_mtime_ns, status.st_ino)
        found[path.relative_to(folder).as_posix()] = (status.st_mode, *written)
    return found


@contextmanager
def place() -> Iterator[Path]:
    """A folder three deep in one of its own, so that `../..` from it can be seen to be written."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as root:
        folder = Path(root) / "a" / "b" / "c"
        folder.mkdir(parents=True)
        yield folder


def attempt(
    warm: Warm,
    folder: Path,
    *arguments: object,
    out: str,
    also: tuple[str, ...] = (),
    named: str = "",
    **limits: Any,
) -> Outcome:
    """Run a command in a folder of `place`, and assert what this module says of every command.

    out: name of the output in the folder; empty for a command without. also: of others that the
    command keeps things in, whether it ends well or not. named: what a refusal must mention.
    """
    root = folder.parents[2]
    before = snapshot(root)
    done = warm.run(folder, *arguments, **limits)
    after = snapshot(root)
    shown = f"exit code {done.code}: {done.err[-3000:]}"
    assert not done.hung, f"hung: {shown}"
    assert "Traceback" not in done.err, shown
    assert done.code in (0, 1, 2), shown
    for kept in also:
        before, after = (_without(found, root, folder / kept) for found in (before, after))
    others = _without(after, root, folder / out) if out else after
    new = {name: value for name, value in others.items() if before.get(name) != value}
    assert not new and before.keys() <= after.keys(), f"written elsewhere: {new}; {shown}"
    # An item that fails is told, and the others are written: a whole set, and exit code 1.
    whole = done.code == 1 and (folder / out / "manifest.json").is_file()
    if done.code:
        assert whole or after == before, f"left behind: {after.keys() - before.keys()}; {shown}"
        begins = (f"{arguments[0]}: ", "Error: ", f"{arguments[1]}: ")
        assert done.told.startswith(begins), shown
        if done.code == 2:
            assert named in done.told, f"{named} is not named: {shown}"
        assert len(done.told) < 20_000, f"{len(done.told)} letters: {shown}"
    else:
        assert not out or others != after, f"nothing written: {shown}"
    return done


def _without(found: dict[str, Any], root: Path, path: Path) -> dict[str, Any]:
    name = path.relative_to(root).as_posix()
    return {k: v for k, v in found.items() if k != name and not k.startswith(f"{name}/")}


def fuzz(
    name: str,
    inputs: SearchStrategy[T],
    one: Callable[[T], Outcome | None],
) -> None:
    """Draw inputs until as many as planned were refused; the same ones every time.

    one: attempts an input; None where it was none.
    """
    wanted = PLAN[name]
    count = 0

    @settings(
        max_examples=wanted * 4,
        derandomize=True,
        database=None,
        deadline=None,  # `attempt` has one of its own, that holds in C as well
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(inputs)
    def draw(value: T) -> None:
        nonlocal count
        if count < wanted:
            done = one(value)
            count += bool(done and (done.code or name in UNREFUSED))

    draw()
    assert count >= wanted, f"{name}: only {count} of {wanted} inputs were refused"


def copied(whole: Path, out: Path) -> Path:
    """A copy of an artifact, to be damaged."""
    shutil.copytree(whole, out)
    return out


def cold(folder: Path, *command: str) -> Outcome:
    """Run a command line as a person does, in a process that starts from nothing."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr, False)
