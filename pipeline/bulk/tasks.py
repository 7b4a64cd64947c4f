"""Bulk jobs as tasks of a cluster: a pod that is lost is followed by another, which goes on."""

import html
import json
import logging
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.bulk.job import FOR_A_LOST_POD, Job, Summary
from pipeline.bulk.job import join as join_shards
from pipeline.bulk.job import work as work_on

log_lines = logging.getLogger(__name__)

# Settings of stylize, of reconstruct, and of how a job is done.
Configs = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]
# Items whose reasons a task logs.
_LOGGED = 20


@dataclass(frozen=True)
class Joined:
    """figures: counts by name. results: address of results.jsonl. page: HTML."""

    figures: dict[str, int]
    results: str
    page: str


def shard(
    manifest: str,
    out: str,
    part: tuple[int, int],
    configs: Configs,
    model: tuple[str, str],
    work: str = "",
) -> dict[str, int]:
    """Do what is missing of a shard; returns counts by name. Items that fail are no failure.

    model: folder and name. work: folder that outlives the task. A shard without items is done.
    """
    job = Job.parse(manifest, out, part, *configs)
    with _ended_gently(), _folder(work) as workspace:
        summary = work_on(job, lambda _: (Path(model[0]), model[1]), workspace, FOR_A_LOST_POD)
    _log_summary(summary)
    return summary.figures()


def join(manifest: str, out: str, configs: Configs, model: tuple[str, str]) -> Joined:
    """Join what the shards have done; works on no item."""
    job = Job.parse(manifest, out, (0, 1), *configs)
    with _ended_gently(), _folder("") as workspace:
        summary = join_shards(job, lambda _: (Path(model[0]), model[1]), workspace, FOR_A_LOST_POD)
    _log_summary(summary)
    figures = {
        "items": summary.items,
        "done": summary.before,
        "set aside": summary.counts.set_aside,
    }
    page = summary.page.embedded if summary.page else f"<p>{html.escape(_line(figures))}</p>"
    return Joined(figures, summary.results, page)


def log(metrics: Any, figures: dict[str, int]) -> None:
    """Put figures into kfp's artifact, and into its file, which its local cache looks for."""
    for name, value in figures.items():
        metrics.log_metric(name, value)
    Path(metrics.path).write_text(json.dumps(metrics.metadata), encoding="utf-8")


def _log_summary(summary: Summary) -> None:
    log_lines.info("%s", _line(summary.figures()))
    log_lines.info("%s", summary.results)
    for id, reason in list(summary.counts.failed.items())[:_LOGGED]:
        log_lines.warning("%s: %s", id, reason)


def _line(figures: dict[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in figures.items())


@contextmanager
def _folder(work: str) -> Iterator[Path]:
    if work:
        yield Path(work)
        return
    with tempfile.TemporaryDirectory(prefix="audiostyle-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "workspace"


@contextmanager
def _ended_gently() -> Iterator[None]:
    """A pod that is evicted gives its lock back, so that the next need not wait for it."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
