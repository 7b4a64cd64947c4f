"""Half a hundred faults during one job: each item is there, once, and as without them."""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from bulk_jobs import (
    arguments,
    bulk,
    counts,
    fill,
    results,
    rows_of,
    small_disk,
    started,
    workers_of,
    write_csv,
)
from conftest import DEADLINE
from seaweedfs import BUCKET, SeaweedFS

from audiostyle.store import StoreUnavailableError, open_store

ITEMS, FAULTS = 200, 50
OUT = f"s3://{BUCKET}/chaos/out"


class Chaos:
    """A job, a store and a disk, and what happens to them."""

    def __init__(self, given: list[str], store: SeaweedFS, disk: Path) -> None:
        self.given, self.store, self.disk = given, store, disk
        self.random = random.Random(8)
        self.faults: Counter[str] = Counter()
        self.out = open_store(OUT)
        self.told: list[str] = []
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[str]":
        # Few files may be open, so that a job that left some behind would not end well.
        limited = ["sh", "-c", 'ulimit -n 128; exec "$@"', "sh"]
        return started(self.given, prefix=limited)

    def again(self) -> None:
        """Start the next call; the last one ended well or was made to end."""
        text = self.process.communicate()[0]
        self.told.append(text)
        assert "Traceback" not in text, text
        assert self.process.returncode in (0, 1, 143, -signal.SIGTERM, -signal.SIGKILL), text
        if self.process.returncode == 0:
            # All is there before all faults were: some of it goes, so that there is work.
            self.damage(10)
        self.process = self._start()

    def progress(self) -> None:
        """Let the job do something, for some seconds at most; and then a little more or less."""
        until = time.monotonic() + 5
        before = self._outputs()
        while time.monotonic() < until and self.process.poll() is None:
            if len(self._outputs()) > len(before):
                break
            time.sleep(0.1)
        time.sleep(self.random.uniform(0, 0.5))

    def _outputs(self) -> list[str]:
        try:
            return [e.key for e in self.out.list() if e.key.endswith((".wav", ".jsonl")) and e.size]
        except StoreUnavailableError:
            return []

    def worker(self) -> None:
        """A process that works is killed."""
        while not (children := workers_of(self.process.pid)):
            if self.process.poll() is not None:
                self.again()
            time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(self.random.choice(children), signal.SIGKILL)
        self.faults["worker killed"] += 1

    def caller(self) -> None:
        """The job is killed."""
        self.process.kill()
        self.faults["caller killed"] += 1
        self.again()

    def term(self) -> None:
        """The job is asked to end."""
        self.process.terminate()
        self.faults["caller ended"] += 1
        self.again()

    def outage(self) -> None:
        """The store is killed, and back after a while."""
        self.store.stop()
        time.sleep(self.random.uniform(0, 2))
        self.store.start()
        self.faults["store killed"] += 1

    def full(self) -> None:
        """The disk is full for a while."""
        if fill(self.disk):
            time.sleep(self.random.uniform(0.3, 1.5))
            self.faults["disk full"] += 1
        else:  # nobody but root may have a small disk
            self.damage()
        (self.disk / "filler").unlink(missing_ok=True)

    def damage(self, most: int = 2) -> None:
        """Objects of the job hold only a part of what was written."""
        known = self._outputs()
        with contextlib.suppress(StoreUnavailableError):
            for key in self.random.sample(known, min(most, len(known))):
                content = self.out.get(key) or b""
                self.out.put(key, content[: self.random.randrange(len(content) or 1)])
                self.faults["write truncated"] += 1


@pytest.mark.slow
def test_nothing_is_lost_nothing_twice(
    clips: Path, classifier: Path, tmp_path: Path, seaweedfs: SeaweedFS
) -> None:
    rows = rows_of(clips, ITEMS)
    path = write_csv(tmp_path / "m.csv", rows)
    calm = bulk(*arguments(path, tmp_path / "calm", classifier, clips, "--workers", 2))
    assert counts(calm) == (0, ITEMS, 0)
    # Some of the recordings come from the store that fails.
    for style in clips.glob("s*.wav"):
        open_store(f"s3://{BUCKET}/chaos").put(style.name, style.read_bytes())
    for row in rows[::3]:
        row["style"] = f"s3://{BUCKET}/chaos/{Path(row['style']).name}"
    write_csv(path, rows)

    with small_disk(tmp_path / "disk", "256m") as disk:
        more = ("--workers", 2, "--patience", 60, "--retries", 50, "--workspace", disk)
        begun = time.monotonic()
        chaos = Chaos(arguments(path, OUT, classifier, clips, *more), seaweedfs, disk)
        kinds = [chaos.worker] * 17 + [chaos.full] * 9 + [chaos.damage] * 8
        kinds += [chaos.outage] * 4 + [chaos.caller] * 5 + [chaos.term] * 3
        chaos.random.shuffle(kinds)
        for fault in kinds:
            chaos.progress()
            if chaos.process.poll() is not None:
                chaos.again()
            fault()
            print(f"{time.monotonic() - begun:.0f} s", dict(chaos.faults), flush=True)
        while chaos.faults.total() < FAULTS and time.monotonic() < begun + 900:
            chaos.progress()
            chaos.damage()
        # The store's last restart may have been just now.
        for _ in range(6):
            text = chaos.process.communicate(timeout=2 * DEADLINE)[0]
            assert "Traceback" not in text, text
            if chaos.process.returncode == 0 and " 0 done now" in text:
                break
            chaos.process = chaos._start()
        else:
            pytest.fail(f"the job does not end: {text}")
    print(f"{time.monotonic() - begun:.0f} s in all")
    assert chaos.faults.total() >= FAULTS
    store = open_store(OUT)
    found = {entry.key for entry in store.list() if "/" not in entry.key}
    assert found == {"results.jsonl", *(f"item-{n}.wav" for n in range(ITEMS))}
    for name in found:
        (tmp_path / name).write_bytes(store.get(name) or b"")
    told = results(tmp_path)
    assert {id for id, row in told.items() if row["status"] == "done"} == {r["id"] for r in rows}
    # Whoever did an item, in whatever company and after how many attempts.
    assert [name for name in told if not same(tmp_path, name)] == []


def same(folder: Path, name: str) -> bool:
    """Whether an output is, to the byte, that of the undisturbed job."""
    return (folder / f"{name}.wav").read_bytes() == (folder / "calm" / f"{name}.wav").read_bytes()
