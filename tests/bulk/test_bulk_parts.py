"""The lock, the ledger and patience, by themselves, on real files and a real full disk."""

import json
import multiprocessing
import os
import threading
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from bulk_jobs import fill, small_disk
from conftest import DEADLINE

from audiostyle.errors import AudiostyleError
from audiostyle.retry import patiently
from audiostyle.store import StoreUnavailableError, open_store
from pipeline.bulk import lock as lock_module
from pipeline.bulk.ledger import Ledger, now
from pipeline.bulk.lock import Lock


def take(folder: Path, shard: tuple[int, int] = (0, 1)) -> Lock:
    lock = Lock(open_store(folder), shard, 0.0)
    lock.take()
    return lock


def _race(folder: Path, line: Barrier, won: "multiprocessing.Queue[int]") -> None:
    line.wait(DEADLINE)
    try:
        with take(folder).held():
            won.put(os.getpid())
            line.wait(DEADLINE)  # until all have tried
    except AudiostyleError:
        won.put(0)
        line.wait(DEADLINE)


def test_one_of_many_gets_the_lock(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for number in range(3):
        won: multiprocessing.Queue[int] = context.Queue()
        line = context.Barrier(8)
        racers = [
            context.Process(target=_race, args=(tmp_path / str(number), line, won))
            for _ in range(8)
        ]
        for racer in racers:
            racer.start()
        found = [won.get(timeout=DEADLINE) for _ in racers]
        for racer in racers:
            racer.join()
        # All may refuse one another at the very same moment, but two never win.
        assert sum(map(bool, found)) <= 1, found
        with take(tmp_path / str(number)).held():
            pass


@pytest.mark.slow
def test_who_is_gone_holds_no_lock(tmp_path: Path) -> None:
    lock = take(tmp_path)
    with pytest.raises(AudiostyleError, match=f"process {os.getpid()} on .* is working"):
        take(tmp_path)
    (path,) = tmp_path.glob("lock-*")
    told = json.loads(path.read_text())
    # On another machine, whose clock says the same: for a minute nobody knows.
    path.write_text(json.dumps({**told, "place": "elsewhere", "beat": time.time() - 50}))
    with pytest.raises(AudiostyleError, match="is working on this output"):
        take(tmp_path)
    path.write_text(json.dumps({**told, "place": "elsewhere", "beat": time.time() - 61}))
    taken = take(tmp_path)
    # The first, who was only asleep, finds out, and does not take it back.
    lock._renewed_at -= 100
    with pytest.raises(AudiostyleError, match="took over"):
        lock.check()
    taken.check()
    # A dead process of this machine is known to be dead at once, whoever has its number now.
    (path,) = tmp_path.glob("lock-*-000000002.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "begun": "1"}))
    take(tmp_path)


@pytest.mark.parametrize("wrong_by", [-3600, 3600])
def test_a_slow_clock_is_not_a_lost_machine(
    wrong_by: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A holder on another machine, an hour behind or ahead, holds its lock while it renews it."""
    monkeypatch.setattr(lock_module, "BEAT", 0.5)
    monkeypatch.setattr(lock_module, "EXPIRY", 2.0)
    take(tmp_path)
    (path,) = tmp_path.glob("lock-*")
    holder = {**json.loads(path.read_text()), "host": "another", "place": "elsewhere"}

    def renew() -> None:
        moved = {**holder, "beat": time.time() + wrong_by, "uptime": time.monotonic()}
        open_store(tmp_path).put(path.name, json.dumps(moved).encode())

    renew()
    stop = threading.Event()

    def live() -> None:
        while not stop.wait(0.2):
            renew()

    living = threading.Thread(target=live)
    living.start()
    try:
        with pytest.raises(AudiostyleError, match="on another is working on this output"):
            take(tmp_path)
    finally:
        stop.set()
        living.join()
    take(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b"null",
        b"\0" * 100,
        b'{"released": false}',
        b'{"released": false, "pid": "x", "beat": 1, "host": "h"}',
        b'{"released": false, "pid": 1, "beat": 1e999, "host": "h"}',
        b'{"released": false, "pid": 1e300, "beat": "x", "host": []}',
        b'{"released": 1, "pid": 1, "beat": 1, "host": {"a": 1}, "place": []}',
    ],
)
def test_a_lock_that_is_none_holds_nothing_up(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "lock-0-of-1-000000007.json").write_bytes(content)
    (tmp_path / "lock-0-of-1-999999999999.json").write_bytes(b"no name of a lock")
    with take(tmp_path).held():
        assert (tmp_path / "lock-0-of-1-000000008.json").exists()


def test_shards_work_side_by_side_and_no_others(tmp_path: Path) -> None:
    take(tmp_path, (0, 3))
    take(tmp_path, (1, 3))
    for other in ((1, 3), (0, 1), (1, 2)):
        with pytest.raises(AudiostyleError, match=r"shard [01]/3"):
            take(tmp_path, other)


def test_a_sign_of_life_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "BEAT", 0.05)
    lock = take(tmp_path)
    (path,) = tmp_path.glob("lock-*")
    before = json.loads(path.read_text())["beat"]
    with lock.held():
        until = time.monotonic() + DEADLINE
        while json.loads(path.read_text())["beat"] == before and time.monotonic() < until:
            time.sleep(0.02)
        assert json.loads(path.read_text())["beat"] > before
    assert json.loads(path.read_text())["released"]


def row(id: str, **more: object) -> dict[str, object]:
    base = {"id": id, "status": "done", "output": f"{id}.wav", "bytes": 3, "key": "ab" * 32}
    return {**base, "finished": now(), **more}


def filled(out: Path) -> Ledger:
    ledger = Ledger(str(out))
    ledger.load()
    return ledger


def test_the_last_row_counts(tmp_path: Path) -> None:
    ledger = filled(tmp_path)
    (tmp_path / "new.wav").write_bytes(b"abc")
    ledger.place("a.wav", tmp_path / "new.wav")
    ledger.append([row("a", status="failed", output="", key=""), row("b")])
    assert ledger.done("a") is None
    assert ledger.done("b") is None  # there is no output of it
    ledger.append([row("a")])
    assert ledger.done("a") is not None
    again = filled(tmp_path)
    assert again.done("a") == ledger.done("a")
    again.compact(tmp_path / "scratch")
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["b", "a"]
    assert json.loads(lines[1])["status"] == "done"
    before = (tmp_path / "results.jsonl").stat().st_ino
    again.compact(tmp_path / "scratch")  # nothing to do, nothing done
    assert (tmp_path / "results.jsonl").stat().st_ino == before


def test_rows_of_a_stranger_reach_no_other_file(tmp_path: Path) -> None:
    for hostile in (row("../x"), row("a", output="../b.wav"), row("a", output="/etc/x.wav")):
        (tmp_path / "results.jsonl").write_text(json.dumps(hostile) + "\n")
        assert list(filled(tmp_path).rows()) == []


def test_a_full_disk_leaves_whole_rows(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "256k") as disk:
        if not disk.is_mount():
            pytest.skip("no file system can be mounted here")
        ledger = filled(disk / "out")
        ledger.append([row("first")])
        assert fill(disk)
        big = [row(f"item-{n}", error="x" * 100) for n in range(100)]
        with pytest.raises(OSError, match="No space"):
            ledger.append(big)
        assert [found["id"] for found in ledger.rows()] == ["first"]
        (tmp_path / "a.wav").write_bytes(b"x" * 50_000)
        with pytest.raises(AudiostyleError, match=r"No space.*waited"):
            patiently(lambda: ledger.place("a.wav", tmp_path / "a.wav"), 0.3, "test")
        assert {path.name for path in (disk / "out").iterdir()} == {"results.jsonl"}
        (disk / "filler").unlink()
        ledger.append(big)
        ledger.place("a.wav", tmp_path / "a.wav")
        assert len(list(ledger.rows())) == 101
        assert (disk / "out" / "a.wav").stat().st_size == 50_000


def test_patience_has_an_end_and_is_for_storage_alone() -> None:
    asked = []

    def failing(times: int) -> str:
        asked.append(times)
        if len(asked) <= times:
            raise StoreUnavailableError("s3://b/k: no answer")
        return "there"

    assert patiently(lambda: failing(1), 30, "test") == "there"
    with pytest.raises(StoreUnavailableError, match=r"no answer; waited \d+ s"):
        patiently(lambda: failing(1000), 0.6, "test")
    asked.clear()

    def missing() -> None:
        asked.append(1)
        raise FileNotFoundError(2, "none", "x")

    with pytest.raises(FileNotFoundError):
        patiently(missing, 30, "test")
    assert len(asked) == 1
