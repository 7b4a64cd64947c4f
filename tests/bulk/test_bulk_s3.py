"""A job whose manifest, recordings and results are all in a bucket, of a server that fails."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from bulk_jobs import arguments, bulk, counts, rows_of, started, write_csv
from conftest import DEADLINE, RATE, files_below
from s3_proxy import proxy
from seaweedfs import BUCKET, SeaweedFS

from audiostyle import audio
from audiostyle.artifacts import file_digest
from audiostyle.errors import InputError
from audiostyle.recordings import Recordings
from audiostyle.store import Store, open_store

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm_workers")]


def put(clips: Path, name: str, count: int, folder: Path) -> Store:
    """Recordings and a manifest in a folder of the bucket, and nothing on this machine."""
    store = open_store(f"s3://{BUCKET}/{name}")
    for path in clips.glob("*.wav"):
        store.put(f"audio/{path.name}", path.read_bytes())
    store.put("m.csv", write_csv(folder / "m.csv", rows_of("audio", count)).read_bytes())
    return store


def test_all_in_a_bucket(
    clips: Path, classifier: Path, tmp_path: Path, seaweedfs: SeaweedFS
) -> None:
    store = put(clips, "all", 5, tmp_path)
    out = open_store(f"s3://{BUCKET}/all/out")
    given = arguments(f"{store.uri}/m.csv", out.uri, classifier, clips)
    given += ["--report", "2", "--workspace", str(tmp_path / "workspace")]
    done = bulk(*given)
    assert done.exit_code == 0, done.stderr
    assert counts(done) == (0, 5, 0)
    keys = [entry.key for entry in out.list()]
    wavs = [f"item-{n}.wav" for n in range(5)]
    assert [key for key in keys if "/" not in key] == sorted(
        [*wavs, "results.jsonl", "report.html", "report-embedded.html"]
    )
    assert not [key for key in keys if "rows" in key]
    rows = [json.loads(line) for line in (out.get("results.jsonl") or b"").splitlines()]
    assert sorted(row["output"] for row in rows) == wavs
    assert {len(row["inputs"]["content"]["sha256"]) for row in rows} == {64}
    page = (out.get("report.html") or b"").decode()
    assert "./item-0.wav" in page
    assert any(key.startswith("media/") for key in keys)
    (tmp_path / "heard.wav").write_bytes(out.get("item-0.wav") or b"")
    assert audio.read(tmp_path / "heard.wav").frames == RATE

    store.put("audio/c3.wav", (clips / "c4.wav").read_bytes())
    out.put("item-1.wav", b"half")
    done = bulk(*given)
    assert counts(done) == (3, 2, 0)
    assert counts(bulk(*given)) == (5, 0, 0)
    assert not any((tmp_path / "workspace").rglob("*.wav"))
    # What is not there is said before anything starts, all of it.
    store.delete("audio/c3.wav")
    store.delete("audio/s0.wav")
    done = bulk(*given)
    assert done.exit_code == 2
    assert "2 bad rows" in done.stderr
    assert "audio/c3.wav: there is no such object" in done.stderr


def test_recordings_come_ahead_and_go(tmp_path: Path, seaweedfs: SeaweedFS) -> None:
    store = open_store(f"s3://{BUCKET}/ahead")
    a, b, c, late = (f"{store.uri}/{name}.wav" for name in ("a", "b", "c", "late"))
    for name in "abc":
        store.put(f"{name}.wav", name.encode() * 1000)
    recordings = Recordings(tmp_path / "files", most=2500)
    here = recordings.local({a}, [b, late])
    assert here[a][0].read_bytes() == b"a" * 1000
    assert here[a][1] == store.tag("a.wav")

    # The next is here before it is asked for: gone from the store, it is still to be had.
    until = time.monotonic() + DEADLINE
    while not (found := files_below(tmp_path, "b.wav")) or found[0].stat().st_size < 1000:
        assert time.monotonic() < until
        time.sleep(0.01)
    store.delete("b.wav")
    assert recordings.local({b}, [])[b][0].read_bytes() == b"b" * 1000
    # What could not be fetched ahead is said when it is asked for, and tried again each time.
    with pytest.raises(InputError, match=r"late\.wav: does not exist"):
        recordings.local({late}, [])
    store.put("late.wav", b"x")
    assert recordings.local({late, a}, [])[late][0].read_bytes() == b"x"

    # There is room for two and a half: the one used longest ago goes, and is fetched again.
    recordings.local({c}, [])
    recordings.local({c, a}, [])
    assert sorted(path.name for path in tmp_path.rglob("*.wav")) == ["a.wav", "c.wav", "late.wav"]
    with pytest.raises(InputError, match=r"b\.wav: does not exist"):
        recordings.local({b}, [])


def test_a_recording_that_arrives_changed_is_never_recorded_as_the_object(
    clips: Path,
    classifier: Path,
    tmp_path: Path,
    seaweedfs: SeaweedFS,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One byte differs, with the right length and ETag: it is fetched again, or waited for."""
    store = put(clips, "changed", 1, tmp_path)
    given = arguments(f"{store.uri}/m.csv", tmp_path / "out", classifier, clips)
    changed: list[str] = []

    def flip(path: str, headers: dict[str, str], content: bytes) -> bytes:
        if not path.partition("?")[0].endswith("c0.wav") or len(changed) >= times:
            return content
        changed.append(path)
        return content[:500] + bytes([content[500] ^ 1]) + content[501:]

    times = 1
    with proxy(seaweedfs.ports["s3"], flip) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        done = bulk(*given)
        assert counts(done) == (0, 1, 0), done.output
        assert len(changed) == 1
    rows = (tmp_path / "out" / "results.jsonl").read_text().splitlines()
    content = json.loads(rows[0])["inputs"]["content"]
    assert content["sha256"] == file_digest(clips / "c0.wav")
    shutil.rmtree(tmp_path / "out")
    times = 1000
    with proxy(seaweedfs.ports["s3"], flip) as address:
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        done = bulk(*given, "--patience", 1)
        assert done.exit_code == 1, done.output
        assert "c0.wav: is damaged" in done.stderr
        assert "Traceback" not in done.output
    assert not list((tmp_path / "out").glob("*.wav"))


def test_an_outage_is_waited_for_or_told(
    clips: Path, classifier: Path, tmp_path: Path, seaweedfs: SeaweedFS
) -> None:
    store = put(clips, "outage", 60, tmp_path)
    out = open_store(f"s3://{BUCKET}/outage/out")
    given = arguments(f"{store.uri}/m.csv", out.uri, classifier, clips)
    given += ["--workspace", str(tmp_path / "workspace")]

    def begun(*more: str) -> "subprocess.Popen[str]":
        process = started([*given, *more])
        have = len(list(out.list("item-")))
        until = time.monotonic() + DEADLINE
        while len(list(out.list("item-"))) <= have and time.monotonic() < until:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.05)
        return process

    process = begun("--patience", "0")
    seaweedfs.stop()
    text = process.communicate(timeout=DEADLINE)[0]
    assert process.returncode == 1, text
    assert "waited" in text
    assert "no answer from" in text
    assert "Traceback" not in text
    seaweedfs.start()
    process = begun()
    seaweedfs.stop()
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if "waiting for it" in line:
            seaweedfs.start()
            break
    text = "".join(lines) + process.communicate(timeout=DEADLINE)[0]
    assert process.returncode == 0, text
    assert "waiting for it" in text
    assert len(list(out.list("item-"))) == 60
    assert len((out.get("results.jsonl") or b"").splitlines()) == 60
