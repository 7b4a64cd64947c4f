"""The bulk pipeline, run here with kfp.local on a bucket: shards, a bad item, a lost pod."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from bulk_jobs import FAST, rows_of, started, write_csv
from conftest import DEADLINE, ROOT
from seaweedfs import BUCKET, SeaweedFS

from audiostyle.errors import AudiostyleError
from audiostyle.store import Store, open_store
from components.train.gate import GateConfig
from components.train.register import register
from pipeline import images, local
from pipeline.bulk import tasks
from pipeline.bulk.lock import Lock
from pipeline.definitions import bulk_stylization

CONFIGS = (*yaml.safe_load(FAST).values(), {"workers": 1, "report": 2})


def test_tasks_import_nothing_that_their_image_lacks() -> None:
    program = """
import importlib, pkgutil, sys
LACKING = ("kfp", "kfp_server_api", "docker", "mlflow", "requests", "pooch")
class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in LACKING:
            raise ImportError(name)
sys.meta_path.insert(0, Lacking())
import pipeline.bulk
for found in pkgutil.iter_modules(pipeline.bulk.__path__, "pipeline.bulk."):
    if found.name != "pipeline.bulk.component":
        importlib.import_module(found.name)
import audiostyle.store.s3, components.stylize.stylize, components.reconstruct.reconstruct
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def put(clips: Path, name: str, folder: Path) -> Store:
    """Six items in a bucket, one of them with a recording that is none."""
    store = open_store(f"s3://{BUCKET}/{name}")
    rows = rows_of("audio", 6)
    rows[4]["content"] = "audio/bad.wav"
    for n in range(6):
        store.put(f"audio/c{n}.wav", (clips / f"c{n}.wav").read_bytes())
    store.put("audio/s0.wav", (clips / "s0.wav").read_bytes())
    store.put("audio/bad.wav", b"RIFF, and nothing else")
    store.put("m.csv", write_csv(folder / "m.csv", rows).read_bytes())
    return store


@pytest.mark.slow
def test_shards_do_each_item_once_and_are_joined(
    clips: Path,
    classifier: Path,
    spectrograms: Path,
    registry_uri: str,
    tmp_path: Path,
    seaweedfs: SeaweedFS,
) -> None:
    register(classifier, spectrograms, registry_uri, GateConfig(floor=1.0), {})
    store = put(clips, "pipeline", tmp_path)
    out = open_store(f"{store.uri}/out")
    given = {
        "manifest": f"{store.uri}/m.csv",
        "out": out.uri,
        "tracking_uri": registry_uri,
        **dict(zip(("stylize_config", "reconstruct_config", "bulk_config"), CONFIGS, strict=True)),
    }

    def once(name: str) -> dict[str, dict[str, float]]:
        """The metrics that the tasks of a run tell, by where they are."""
        pipeline = bulk_stylization.build(images.local_of, shards=2, parallelism=2)
        local.run(pipeline, given, tmp_path / name)
        found = sorted((tmp_path / name).rglob("metrics"))
        return {
            str(path.relative_to(tmp_path / name)): json.loads(path.read_text()) for path in found
        }

    first = once("first")
    (joined,) = (told for path, told in first.items() if "join" in path)
    shards = [told for path, told in first.items() if "join" not in path]
    assert joined == {"items": 6, "done": 5, "set aside": 1}
    assert sorted(told["set aside"] for told in shards) == [0, 1]
    assert [told["items"] for told in shards] == [3, 3]
    assert sum(told["done now"] for told in shards) == 5
    good = [f"item-{n}.wav" for n in (0, 1, 2, 3, 5)]
    keys = [entry.key for entry in out.list() if "/" not in entry.key]
    assert sorted(keys) == sorted([*good, "results.jsonl", "report.html", "report-embedded.html"])
    rows = [json.loads(line) for line in (out.get("results.jsonl") or b"").splitlines()]
    assert sorted(row["output"] for row in rows if row["status"] == "done") == good
    (bad,) = (row for row in rows if row["status"] == "failed")
    assert bad["id"] == "item-4"
    assert "bad.wav" in bad["error"]
    assert {row["model"]["name"] for row in rows} == {"models:/audio-style-classifier/1"}
    (page,) = (tmp_path / "first").rglob("report")
    assert "item-0" in page.read_text()

    before = {key: out.tag(key) for key in good}
    second = once("second")
    assert [told.get("done now", 0) for told in second.values()] == [0, 0, 0]
    assert {key: out.tag(key) for key in good} == before
    (joined,) = (told for path, told in second.items() if "join" in path)
    assert joined == {"items": 6, "done": 5, "set aside": 1}

    # The command line finds what the cluster has done, and does only what was set aside again.
    command = ["stylize", "--manifest", given["manifest"], "--out", out.uri, "--workers", "1"]
    command += ["--config", str(clips / "fast.yaml"), "--tracking-uri", registry_uri]
    process = started([*command, "--workspace", str(tmp_path / "workspace")])
    text = process.communicate(timeout=DEADLINE)[0]
    assert process.returncode == 1, text
    assert "6: 5 done before, 0 done now, 1 set aside" in text


@pytest.mark.slow
def test_what_follows_a_lost_pod_waits_for_its_lock_and_goes_on(
    clips: Path, classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = write_csv(tmp_path / "m.csv", rows_of(clips, 3))
    out = tmp_path / "out"
    given = (str(manifest), str(out), (0, 1), CONFIGS, (str(classifier), "m"))
    held = Lock(open_store(f"{out}/.audiostyle"), (0, 1), 0)
    held._me |= {"host": "another", "place": "elsewhere"}  # a machine that cannot be asked
    held.take()
    monkeypatch.setattr(tasks, "FOR_A_LOST_POD", 0.0)
    with pytest.raises(AudiostyleError, match="on another is working on this output"):
        tasks.shard(*given)
    monkeypatch.setattr("pipeline.bulk.lock.EXPIRY", 5.0)
    monkeypatch.setattr(tasks, "FOR_A_LOST_POD", 30.0)
    begun = time.monotonic()
    assert tasks.shard(*given)["done now"] == 3
    assert time.monotonic() - begun > 2
    # More tasks than items is no failure: there is nothing to do for some.
    assert tasks.shard(*given[:2], (3, 4), *given[3:])["items"] == 0


@pytest.mark.slow
def test_a_pod_that_is_told_to_end_gives_its_lock_back(
    clips: Path, classifier: Path, tmp_path: Path
) -> None:
    manifest = write_csv(tmp_path / "m.csv", rows_of(clips, 400))
    program = f"""
from audiostyle.command import task
from pipeline.bulk import tasks
with task():
    tasks.shard({str(manifest)!r}, {str(tmp_path / "out")!r}, (0, 1), {CONFIGS!r},
        ({str(classifier)!r}, "m"))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    until = time.monotonic() + DEADLINE
    while not list((tmp_path / "out").glob("*.wav")) and time.monotonic() < until:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == 143
    (lock,) = (tmp_path / "out" / ".audiostyle").glob("lock-*.json")
    assert json.loads(lock.read_text())["released"]
