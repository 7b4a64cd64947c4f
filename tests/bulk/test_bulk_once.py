"""Each item exactly once: what is there and right is left alone, all else is done."""

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import soundfile
import torch
from bulk_jobs import (
    arguments,
    bulk,
    counts,
    results,
    rows_of,
    started,
    state,
    visible,
    workers_of,
    write_csv,
)
from conftest import DEADLINE, RATE, tone

from audiostyle import audio
from audiostyle.artifacts import file_digest
from components.stylize.networks.stacks import build

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm_workers")]


def test_weights_count_by_what_is_in_them(clips: Path, classifier: Path, tmp_path: Path) -> None:
    """A file of weights that moved changes nothing; another file is another setting."""
    stack = build("alexnet")
    weights = tmp_path / "w.safetensors"
    safetensors.torch.save_file(stack.state_dict(), weights)
    path = write_csv(tmp_path / "m.csv", rows_of(clips, 2))
    given = arguments(path, tmp_path / "out", classifier, clips)
    given += ["--method", "pretrained", "--network", "alexnet", "--iterations", "1", "--weights"]
    assert counts(bulk(*given, weights)) == (0, 2, 0)
    digest = file_digest(weights)
    for row in results(tmp_path / "out").values():
        assert row["settings"]["stylize"]["weights_sha256"] == digest
    moved = weights.rename(tmp_path / "moved.safetensors")
    assert counts(bulk(*given, moved)) == (2, 0, 0)
    with torch.no_grad():
        for value in stack.parameters():
            value.mul_(1.5)
    safetensors.torch.save_file(stack.state_dict(), moved)
    assert counts(bulk(*given, moved)) == (0, 2, 0)
    moved.unlink()
    refused = bulk(*given, moved)
    assert refused.exit_code == 2 and "moved.safetensors: does not exist" in refused.stderr
    # A row says which layers, but not which file: that is looked at before the first.
    rows = [{**row, "weights": str(moved)} for row in rows_of(clips, 1)]
    refused = bulk(*arguments(write_csv(path, rows), tmp_path / "x", classifier, clips))
    assert refused.exit_code == 2 and "weights" in refused.stderr


def test_only_what_is_missing_or_changed(clips: Path, classifier: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(clips, own)
    rows = rows_of(own, 6)
    path = write_csv(tmp_path / "m.csv", rows)
    out = tmp_path / "out"
    given = arguments(path, out, classifier, clips)

    first = bulk(*given)
    assert first.exit_code == 0, first.stderr
    assert counts(first) == (0, 6, 0)
    names = [row["id"] for row in rows]
    assert visible(out) == {"results.jsonl", *(f"{name}.wav" for name in names)}
    found = results(out)
    for row in rows:
        made = found[row["id"]]
        assert made["status"] == "done"
        assert made["sha256"] == file_digest(out / made["output"])
        assert made["inputs"]["style"]["sha256"] == file_digest(row["style"])
        assert made["settings"]["stylize"]["iterations"] == 3
        assert made["seconds"] > 0
        heard = audio.read(out / made["output"])
        assert (heard.sample_rate, heard.frames) == (RATE, RATE)
    # Its content in another color, and neither silence nor the content itself.
    content, result = (audio.read(p).samples[0] for p in (rows[0]["content"], out / "item-0.wav"))
    assert 0.2 < float(np.corrcoef(np.abs(np.fft.rfft([content, result])))[0, 1]) < 0.9999

    def again(*names_done: str) -> None:
        """The next call does these items and no others."""
        before = state(out, names)
        result = bulk(*given)
        assert result.exit_code == 0, result.stderr
        assert counts(result) == (6 - len(names_done), len(names_done), 0)
        after = state(out, names)
        assert {name for name in names if before[name] != after[name]} == set(names_done)
        assert set(results(out)) == set(names)

    again()
    # Another recording under the same name; half an output; half a row, as a power cut leaves it.
    (own / "c2.wav").write_bytes((own / "c9.wav").read_bytes())
    with (out / "item-3.wav").open("rb+") as file:
        file.truncate(100)
    text = (out / "results.jsonl").read_text()
    last = json.loads(text.splitlines()[-1])["id"]
    assert last not in ("item-2", "item-3")
    (out / "results.jsonl").write_text("{}\nnot a row\n" + text[:-40])
    again("item-2", "item-3", last)
    assert results(out)["item-2"]["inputs"]["content"]["sha256"] == file_digest(own / "c9.wav")
    assert audio.read(out / "item-3.wav").frames == RATE
    rows[4]["learning_rate"] = 0.2
    rows[5]["reconstruct.format"] = "flac"
    write_csv(path, rows)
    result = bulk(*given)
    assert counts(result) == (4, 2, 0)
    assert results(out)["item-4"]["settings"]["stylize"]["learning_rate"] == 0.2
    assert (out / "item-5.flac").exists()
    assert not (out / "item-5.wav").exists()
    # Another model, if only by name: everything.
    other = shutil.copytree(classifier, tmp_path / "other")
    result = bulk(*arguments(path, out, other, clips, "--report", 4))
    assert counts(result) == (0, 6, 0)
    assert {row["model"]["name"] for row in results(out).values()} == {"other"}
    page = (out / "report.html").read_text()
    assert ">item-3<" in page
    assert ">item-4<" not in page
    plan = bulk(*arguments(path, out, other, clips, "--dry-run", "--style-weight", 7))
    assert "6: 0 done, 6 to do" in plan.stdout
    assert "unknown for 6 of 6" in plan.stdout
    plan = bulk(*arguments(path, tmp_path / "new", other, clips, "--dry-run"))
    assert "6: 0 done, 6 to do" in plan.stdout
    assert not (tmp_path / "new").exists()


def test_what_comes_out_does_not_depend_on_who_does_it(
    clips: Path, classifier: Path, tmp_path: Path
) -> None:
    path = write_csv(tmp_path / "m.csv", rows_of(clips, 8))
    outs = [tmp_path / "by one", tmp_path / "by three"]
    for out, workers in zip(outs, (1, 3), strict=True):  # in batches of two, and one by one
        done = bulk(*arguments(path, out, classifier, clips, "--workers", workers))
        assert counts(done) == (0, 8, 0)
    for n in range(8):
        one, three = ((out / f"item-{n}.wav").read_bytes() for out in outs)
        assert one == three, n


def test_bad_items_do_not_stop_good_ones(clips: Path, classifier: Path, tmp_path: Path) -> None:
    rows = rows_of(clips, 8)
    (tmp_path / "text.wav").write_text("no audio")
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    rows[2]["content"] = "text.wav"
    rows[5]["style"] = "silent.wav"
    # Hours of work: it is ended at its time limit.
    rows[7]["reconstruct.iterations"] = 10_000_000
    out = tmp_path / "out"
    given = arguments(write_csv(tmp_path / "m.csv", rows), out, classifier, clips)
    done = bulk(*given, "--time-limit", 30, "--retries", 0, "--workers", 2)
    assert done.exit_code == 1
    assert counts(done) == (0, 5, 3)
    found = results(out)
    assert "text.wav" in found["item-2"]["error"]
    assert "silent" in found["item-5"]["error"]
    assert "--time-limit" in found["item-7"]["error"]
    failed = {id for id, row in found.items() if row["status"] == "failed"}
    assert failed == {"item-2", "item-5", "item-7"}
    assert "item-2: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (out / "item-7.wav").exists()

    # The next call tries them again, and only them.
    del rows[7]["reconstruct.iterations"]
    soundfile.write(tmp_path / "silent.wav", tone(500, seconds=1), RATE)
    write_csv(tmp_path / "m.csv", rows)
    done = bulk(*given)
    assert counts(done) == (5, 2, 1)
    stopped = bulk(*given, "--on-error", "stop")
    assert stopped.exit_code == 1
    assert "stopped at item-2" in stopped.stderr


def test_a_system_without_semaphores(
    clips: Path, classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a container without /dev/shm: the results were not put into place."""

    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    manifest = write_csv(tmp_path / "m.csv", rows_of(clips, 3))
    given = arguments(manifest, tmp_path / "out", classifier, clips)
    monkeypatch.setattr("multiprocessing.synchronize.SemLock.__init__", missing)
    assert counts(bulk(*given)) == (0, 3, 0)


def test_two_callers_and_ended_ones(clips: Path, classifier: Path, tmp_path: Path) -> None:
    rows = rows_of(clips, 100)
    out = tmp_path / "out"
    given = arguments(write_csv(tmp_path / "m.csv", rows), out, classifier, clips)

    def rows_written() -> int:
        path = out / "results.jsonl"
        return len(path.read_bytes().splitlines()) if path.exists() else 0

    def begun() -> "subprocess.Popen[str]":
        """A call that has finished something."""
        have = rows_written()
        process = started(given)
        until = time.monotonic() + DEADLINE
        while rows_written() <= have and time.monotonic() < until:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.02)
        return process

    process = begun()
    second = bulk(*given)
    assert process.poll() is None
    assert second.exit_code == 1
    assert f"process {process.pid} on " in second.stderr
    assert "is working on this output" in second.stderr
    process.send_signal(signal.SIGTERM)
    told = process.communicate(timeout=DEADLINE)[0]
    assert process.returncode == 143, told
    assert "Traceback" not in told
    whole(out)

    process = begun()
    children = workers_of(process.pid)
    process.kill()
    process.wait()
    whole(out)
    # Its workers see that it is gone; and the next caller that it holds no lock.
    until = time.monotonic() + DEADLINE
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{child}").exists() for child in children)
    done = bulk(*given)
    before, now, aside = counts(done)
    assert (before + now, aside) == (100, 0)
    assert 0 < before < 100
    assert len(results(out)) == 100
    whole(out)


def whole(out: Path) -> None:
    """Every output that is visible is one, from its first sample to its last."""
    for path in out.glob("*.wav"):
        assert audio.read(path).frames == RATE
    rows = out / "results.jsonl"
    for line in rows.read_text().splitlines() if rows.exists() else ():
        assert (out / json.loads(line)["output"]).is_file()
