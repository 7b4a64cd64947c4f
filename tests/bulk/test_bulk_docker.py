"""A shard of a bulk job in reconstruct's image, as locked up as a cluster's pods and more."""

import json
from pathlib import Path

import pytest
import yaml
from bulk_jobs import FAST, rows_of, write_csv
from docker_images import docker

pytestmark = [pytest.mark.slow, pytest.mark.docker]


def test_a_shard_runs_in_the_image_that_does_both_stages(
    images: dict[str, str], clips: Path, classifier: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o777)  # by whoever runs it
    write_csv(tmp_path / "m.csv", rows_of("/clips", 4))
    configs = (*yaml.safe_load(FAST).values(), {"workers": 1})
    program = f"""
import boto3, json, os
from audiostyle.command import task
from pipeline.bulk import tasks
assert os.getuid() == 10001
with task():
    given = ("/job/m.csv", "/out"), {configs!r}, ("/model", "m")
    print(json.dumps(tasks.shard(*given[0], (1, 2), *given[1:])))
"""
    folders = {clips: "/clips:ro", classifier: "/model:ro", tmp_path: "/job:ro", out: "/out"}
    for folder in (clips, classifier, tmp_path):
        folder.chmod(0o755)  # pytest's folders are root's alone
    locked = ["--rm", "--read-only", "--tmpfs=/tmp", "--network=none", "--cap-drop=ALL"]
    mounts = [f"--volume={folder}:{place}" for folder, place in folders.items()]
    # As kfp's executor starts it.
    started = ["--env=_KFP_RUNTIME=true", "--entrypoint=python", images["reconstruct"]]
    lines = docker("run", *locked, *mounts, *started, "-c", program).splitlines()
    assert json.loads(lines[-1]) == {
        "items": 2,
        "done before": 0,
        "done now": 2,
        "set aside": 0,
    }
    assert {path.name for path in out.glob("*.wav")} == {"item-1.wav", "item-3.wav"}
    rows = [json.loads(x) for x in (out / "results-1-of-2.jsonl").read_text().splitlines()]
    assert {row["status"] for row in rows} == {"done"}
