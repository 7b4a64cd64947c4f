# ruff: noqa: F401, fixtures
"""Schedules and shards on a real server."""

import re
import time
from collections.abc import Iterator

import pytest
from live_server import INSTRUMENTS, Live, Output, champion, live, needs_server

from audiostyle.store import open_store

pytestmark = needs_server

MANY = (3, 12, 30)


@pytest.fixture
def name(live: Live) -> Iterator[str]:
    """A schedule's name; what is left of it is deleted."""
    name = f"live-{live.name}"
    yield name
    live("schedule", "delete", name)


def _runs(live: Live, name: str) -> list[tuple[str, str]]:
    """Runs of a schedule: id and state."""
    text = live("schedule", "show", name).text
    return re.findall(r"^([0-9a-f-]{36})  (\S+(?: \S+)?)  ", text, re.MULTILINE)


def test_schedule(live: Live, name: str) -> None:
    """A schedule: created, unchanged, changed while its run runs, paused, resumed, run by hand."""
    create = ("schedule", "create", name, f"--data={live.data}", "--allow-tags", "--always")
    # It fires at once, and then not again while this is watched.
    soon = time.gmtime(time.time() + 90)
    moment = f"--cron={soon.tm_min} {soon.tm_hour} {soon.tm_mday} {soon.tm_mon} *"
    assert live(*create, moment).text.rstrip().endswith("created")
    assert live(*create, moment).text.rstrip().endswith("unchanged")
    for _ in range(100):
        if found := [run for run, state in _runs(live, name) if state == "running"]:
            break
        time.sleep(5)
    else:
        raise AssertionError(live("schedule", "show", name).text)
    changed = live(*create, "--cron=0 3 1 1 *")
    assert "updated" in changed.text
    assert found[0] in changed.text  # that it goes on
    refused = live("schedule", "run-now", name)
    assert refused.code == 2
    assert "is active" in refused.text
    ended = live("runs", "show", found[0], "--wait", "--poll=5")
    assert ended.code == 0, ended.text
    assert live("schedule", "pause", name).code == 0
    assert re.search(rf"{name} +paused", live("schedule", "list").text)
    assert live("schedule", "resume", name).code == 0
    assert re.search(rf"{name} +enabled", live("schedule", "list").text)
    by_hand = live("schedule", "run-now", name)
    assert by_hand.code == 0, by_hand.text
    assert live("runs", "cancel", Output(0, by_hand.text).run).code == 0
    assert live("schedule", "delete", name).code == 0
    assert live("schedule", "show", name).code == 2


@pytest.mark.parametrize("shards", MANY)
def test_bulk_shards(live: Live, champion: None, shards: int) -> None:
    """A bulk job shows the end of each of its shards."""
    store = open_store(live.folder)
    pairs = (INSTRUMENTS / "pairs" / "pairs.csv").read_text(encoding="utf-8").splitlines()
    first = dict(zip(pairs[0].split(","), pairs[1].split(","), strict=True))
    rows = [
        f"item-{n},{live.folder}/pairs/{first['content']},{live.folder}/pairs/{first['style']}"
        for n in range(shards)
    ]
    manifest = f"bulk/{live.name}-{shards}.csv"
    store.put(manifest, "\n".join(["id,content,style", *rows, ""]).encode())
    done = live.submit(
        "stylize",
        f"--manifest={live.folder}/{manifest}",
        f"--out={live.folder}/bulk/{live.name}-{shards}",
        f"--shards={shards}",
        "--parallelism=4",
    )
    assert done.code == 0, done.text
    for shard in range(shards):
        assert re.search(rf"bulk\[{shard}\] +succeeded$", done.text, re.MULTILINE), done.text
    results = store.get(f"bulk/{live.name}-{shards}/results.jsonl")
    assert results is not None
    assert len(results.splitlines()) == shards
