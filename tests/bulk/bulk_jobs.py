"""What the tests of bulk jobs share: recordings, manifests, and the command itself."""

import contextlib
import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import soundfile
from click.testing import CliRunner, Result
from conftest import RATE, ROOT, tone

# A few hundredths of a second an item.
FAST = """
stylize: {method: trained, init: content, iterations: 3, learning_rate: 0.1}
reconstruct: {iterations: 2, init: phase}
"""


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten contents `c0.wav` … and four styles `s0.wav` … of a second, and the settings."""
    root = tmp_path_factory.mktemp("clips")
    for n in range(10):
        soundfile.write(root / f"c{n}.wav", tone(220 + 30 * n, seconds=1, harmonics=3 + n), RATE)
    for n in range(4):
        soundfile.write(root / f"s{n}.wav", tone(300, seconds=1, harmonics=1 + 4 * n), RATE)
    (root / "fast.yaml").write_text(FAST)
    return root


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of this size, e.g. 256k; where none can be mounted, the folder as it is."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> bool:
    """Leave no room on a small disk; tells whether it was one."""
    if not folder.is_mount():
        return False
    with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))
    with contextlib.suppress(OSError), (folder / "filler").open("ab", buffering=0) as file:
        while True:
            file.write(bytes(512))
    return True


def workers_of(pid: int) -> list[int]:
    """Processes that a process started."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def rows_of(clips: Path | str, count: int) -> list[dict[str, Any]]:
    """Rows of a manifest: every content in every style, and on from the beginning."""
    return [
        {
            "id": f"item-{n}",
            "content": f"{clips}/c{n % 10}.wav",
            "style": f"{clips}/s{n // 10 % 4}.wav",
        }
        for n in range(count)
    ]


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    """A manifest."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


def arguments(
    manifest: object, out: object, model: object, clips: Path, *more: object
) -> list[str]:
    """Of the command `audiostyle`."""
    return [
        *("stylize", "--manifest", str(manifest), "--out", str(out), "--model", str(model)),
        *("--config", str(clips / "fast.yaml"), "--report", "0", "--workers", "1"),
        *map(str, more),
    ]


def bulk(*given: object) -> Result:
    """The command in this process."""
    from pipeline.cli import main

    result = CliRunner().invoke(main, [str(part) for part in given])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def started(given: list[str], prefix: Sequence[str] = ()) -> "subprocess.Popen[str]":
    """The command in a process of its own. prefix: a program that starts it."""
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", "pipeline.cli", *given],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def results(out: Path) -> dict[str, dict[str, Any]]:
    """The rows of results.jsonl by id; each id is there once."""
    found = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    by_id = {row["id"]: row for row in found}
    assert len(by_id) == len(found)
    return by_id


def counts(result: Result) -> tuple[int, int, int]:
    """Items done before, done now, and set aside."""
    line = next(x for x in result.stdout.splitlines() if x.startswith("Items "))
    before, now, aside = (int(part.split()[0]) for part in line.split(":")[1].split(","))
    return before, now, aside


def visible(out: Path) -> set[str]:
    """Names in a folder that are not hidden."""
    return {path.name for path in out.iterdir() if not path.name.startswith(".")}


def state(out: Path, names: Iterable[str]) -> dict[str, int]:
    """When each output was written."""
    return {name: (out / f"{name}.wav").stat().st_mtime_ns for name in names}
