"""Random manifests and output folders, with links, odd names, wrong clocks, kills, and company.

Whatever a job meets: no recording changes, nothing outside its output does, and each item is done
once, or named with the reason why it is not.
"""

import contextlib
import json
import multiprocessing
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import soundfile
from bulk_jobs import FAST, bulk
from click.testing import Result
from conftest import DEADLINE, RATE, tone
from test_bulk_sources import state

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm_workers")]

BLOCKS, SITUATIONS, GROUPS = 5, 20, 6
NAMES = [
    "a.wav",
    "item-0.wav",
    "b c.wav",
    "tab\t.wav",
    "ü#1?.wav",
    "item-1.wav",
    "-o.wav",
    "x.y.wav",
]
PLANTS = [
    *(".audiostyle", ".audiostyle/rates.json", ".audiostyle/lock-0-of-1-000000001.json"),
    *("results.jsonl", "item-0.wav", "report.html", "pictures", "media", "item-1.wav"),
]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Recordings of a quarter of a second; the last one is none."""
    folder = tmp_path_factory.mktemp("sounds")
    for n in range(4):
        soundfile.write(folder / f"{n}.wav", tone(220 + 90 * n, seconds=0.25, harmonics=4), RATE)
    return [*(path.read_bytes() for path in sorted(folder.iterdir())), b"no audio"]


class Situation:
    """A folder with recordings, an output and a manifest, drawn by a seed."""

    def __init__(self, seed: int, root: Path, sounds: list[bytes], *, calm: bool = False) -> None:
        self.random = random.Random(seed)
        self.root = root
        self.inputs = root / "in"
        self.precious = root / "precious"
        for folder in (self.inputs, self.precious):
            folder.mkdir(parents=True)
        (self.precious / "thesis.txt").write_text("years of work\n")
        (root / "fast.yaml").write_text(FAST)
        names = self.random.sample(NAMES, 4)
        for name in names:
            bad = not calm and self.random.random() < 0.1
            (self.inputs / name).write_bytes(sounds[-1] if bad else self.random.choice(sounds[:-1]))
        self.out = root / "out" if calm else self._out()
        self.rows = [self._row(number, names) for number in range(self.random.randint(1, 4))]
        self.manifest = self._write()
        if not calm:
            self._plant()

    def _out(self) -> Path:
        kind = self.random.choice(["new", "new", "deep", "inputs", "link", "dots", "old"])
        out = self.root / "out"
        if kind == "deep":
            return out / "a" / "b c"
        if kind == "inputs":
            return self.inputs
        if kind == "link":
            out.symlink_to(self.inputs if self.random.random() < 0.5 else self.root / "real")
            (self.root / "real").mkdir()
        elif kind == "dots":
            return self.root / "in" / ".." / "out"
        elif kind == "old":
            out.mkdir()
            (out / "item-0.wav").write_bytes(b"of another program")
            (out / "notes.txt").write_text("mine")
        return out

    def _row(self, number: int, names: list[str]) -> dict[str, Any]:
        row: dict[str, Any] = {"id": f"item-{number}"}
        for role in ("content", "style"):
            path = self.inputs / self.random.choice(names)
            if self.random.random() < 0.15:
                link = self.inputs / f"link-{number}-{role}.wav"
                if self.random.random() < 0.5:
                    link.symlink_to(path.name)
                else:
                    link.hardlink_to(path)
                path = link
            row[role] = self.random.choice(
                [str(path), path.as_uri(), f"{path.parent}/./{path.name}"]
            )
        if self.random.random() < 0.2:
            row["format"] = "flac"
        return row

    def _write(self) -> Path:
        folder = self.random.choice([self.root, self.inputs])
        form = self.random.choice(["jsonl", "yaml"])
        path = folder / f"m.{form}"
        if self.random.random() < 0.05 and self.out.exists():
            path = self.out / "results.jsonl"
        lines = [json.dumps(row) for row in self.rows]
        path.write_text("\n".join(lines) if path.suffix == ".jsonl" else f"[{', '.join(lines)}]")
        return path

    def _plant(self) -> None:
        for name in self.random.sample(PLANTS, self.random.choice([0, 0, 1, 2])):
            path = self.out / name
            if os.path.lexists(path):
                continue
            with contextlib.suppress(FileExistsError, NotADirectoryError):
                path.parent.mkdir(parents=True, exist_ok=True)
                kind = self.random.choice(["link", "file", "pipe", "hard"])
                target = self.precious / "thesis.txt" if "." in name[1:] else self.precious
                if kind == "link":
                    path.symlink_to(target)
                elif kind == "hard":
                    path.hardlink_to(self.precious / "thesis.txt")
                elif kind == "pipe":
                    os.mkfifo(path)
                else:
                    path.write_bytes(self.random.choice([b"", b"[" * 9000, b'{"id": 1}\n', b"\0"]))

    def outputs(self) -> set[str]:
        """Names that the job may write in its folder."""
        forms = {f"{row['id']}.{row.get('format', 'wav')}" for row in self.rows}
        return {*forms, "results.jsonl", "report.html", "report-embedded.html"}

    def outside(self) -> dict[str, str]:
        """All but what the job may write; recordings and the manifest, wherever they lie."""
        real = self.out.resolve()
        kept = {}
        for name, digest in state(self.root).items():
            path = self.root / name
            place = path.parent.resolve() / path.name
            inside = place.is_relative_to(real) and place != real
            relative = place.relative_to(real) if inside else Path()
            made = inside and (
                relative.parts[0] in (".audiostyle", "pictures", "media")
                or str(relative) in self.outputs()
            )
            if not made:
                kept[name] = digest
        return kept

    def recordings(self) -> dict[str, str]:
        """Digests of what the rows name."""
        paths = {row[role] for row in self.rows for role in ("content", "style")}
        local = [Path(p.replace("file://", "") if p.startswith("file") else p) for p in paths]
        return {str(p): sha256(p.read_bytes()).hexdigest() for p in local if p.is_file()}

    def arguments(self) -> list[str]:
        config = ("--config", str(self.root / "fast.yaml"), "--workers", "1", "--retries", "0")
        return ["stylize", "--manifest", str(self.manifest), "--out", str(self.out), *config]


def check(situation: Situation, result: Result) -> tuple[int, int]:
    """What holds after a call that ended; returns how many items are done, and set aside."""
    assert "Traceback" not in result.output, result.output
    assert result.exit_code in (0, 1, 2), result.output
    if result.exit_code == 2 or "Items " not in result.output:
        assert "stylize: " in result.stderr, result.output
        return 0, 0
    text = (situation.out / "results.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert sorted(row["id"] for row in rows) == sorted(row["id"] for row in situation.rows)
    for row in rows:
        if row["status"] == "done":
            content = (situation.out / row["output"]).read_bytes()
            assert sha256(content).hexdigest() == row["sha256"]
            assert not (situation.out / row["output"]).is_symlink()
        else:
            assert row["error"]
            assert f"{row['id']}: " in result.stderr
    done = sum(row["status"] == "done" for row in rows)
    assert (done < len(rows)) == bool(result.exit_code), result.output
    return done, len(rows) - done


@pytest.fixture
def fast_folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where that can be: every row waits for the disk otherwise."""
    memory = Path("/dev/shm")  # noqa: S108
    with tempfile.TemporaryDirectory(
        dir=memory if os.access(memory, os.W_OK) else tmp_path
    ) as name:
        yield Path(name)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_situations(
    block: int,
    sounds: list[bytes],
    classifier: Path,
    fast_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = time.time
    ends: dict[int, int] = {}
    for seed in range(SITUATIONS * block, SITUATIONS * (block + 1)):
        situation = Situation(seed, fast_folder / str(seed), sounds)
        offset = situation.random.choice([0, 0, 3600, -3600, 10**8])
        given = [*situation.arguments(), "--model", str(classifier)]
        given += ["--report", situation.random.choice(["0", "0", "0", "0", "2"])]
        outside, recordings = situation.outside(), situation.recordings()
        before = 0
        for call in range(2):
            monkeypatch.setattr(time, "time", lambda by=offset * (call == 0): clock() + by)
            result = bulk(*given)
            try:
                assert situation.outside() == outside
                assert situation.recordings() == recordings
                done, _ = check(situation, result)
                if "Items " in result.output:
                    assert f": {before} done before" in result.output
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, call {call}: {result.output}") from error
            before = done
            ends[result.exit_code] = ends.get(result.exit_code, 0) + 1
        shutil.rmtree(fast_folder / str(seed))
    # Some of each kind, or the situations have become too easy or too hard.
    assert ends.get(0) and (ends.get(1) or ends.get(2)), ends


def _call(given: list[str], printed: Path) -> None:
    result = bulk(*given)
    printed.write_text(json.dumps([result.exit_code, result.output]))
    os._exit(0)


def test_calls_at_once(sounds: list[bytes], classifier: Path, fast_folder: Path) -> None:
    """Two to six calls of one job at a time, some of which are killed; then one that ends."""
    context = multiprocessing.get_context("fork")
    for seed in range(GROUPS):
        situation = Situation(1000 + seed, fast_folder / str(seed), sounds, calm=True)
        given = [*situation.arguments(), "--model", str(classifier), "--report", "0"]
        outside, recordings = situation.outside(), situation.recordings()
        printed = [fast_folder / f"{seed}-{n}" for n in range(situation.random.randint(2, 6))]
        calls = [context.Process(target=_call, args=(given, path)) for path in printed]
        for call in calls:
            call.start()
            time.sleep(situation.random.uniform(0, 0.1))
        for call in situation.random.sample(calls, len(calls) // 2):
            time.sleep(situation.random.uniform(0, 0.6))
            call.kill()
        for call in calls:
            call.join(DEADLINE)
            assert call.exitcode is not None
        for path in printed:
            if path.exists():  # else it was killed
                code, text = json.loads(path.read_text())
                assert "Traceback" not in text, text
                assert code == 0 or "is working on this output" in text or "took" in text, text
        result = bulk(*given)
        assert result.exit_code == 0, result.output
        assert check(situation, result) == (len(situation.rows), 0)
        assert " 0 done now, 0 set aside" in bulk(*given).output
        assert situation.outside() == outside
        assert situation.recordings() == recordings
