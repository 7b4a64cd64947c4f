"""A bulk job from its manifest to its report: what the command line and the cluster's tasks do.

Plain functions that print nothing: they return a summary of the call, for the caller to show.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from audiostyle.artifacts import CLASSIFIER, digest_of, opening
from audiostyle.errors import AudiostyleError, InputError
from audiostyle.files_at import remove_folder, subfolder
from audiostyle.retry import patiently
from components.reconstruct.config import ReconstructConfig
from components.stylize.config import StylizeConfig
from pipeline.bulk import manifest
from pipeline.bulk.config import BulkConfig
from pipeline.bulk.dispatch import CHECKPOINTS, run
from pipeline.bulk.forecast import Forecast, forecast
from pipeline.bulk.items import Base, Items, with_one_style
from pipeline.bulk.ledger import STATE, Ledger
from pipeline.bulk.lock import BEAT, EXPIRY, Lock
from pipeline.bulk.overlaps import refuse_model_folder, refuse_overlaps, written_before
from pipeline.bulk.plan import Model, Plan, Rates, plan
from pipeline.bulk.report import Page, write
from pipeline.bulk.results import Counts, StoppedError
from pipeline.styles import Style

# From a folder, into which a classifier may be put, to where it is and what it is called.
Finder = Callable[[Path], tuple[Path, str]]

# Seconds for which a task waits for the lock: that of a pod that was lost counts as held until it
# expires, and is watched for a while.
FOR_A_LOST_POD = EXPIRY + 4 * BEAT


@dataclass(frozen=True)
class Job:
    """What is to be stylized, and where results go.

    out: folder or s3:// of the results. manifest, or contents and styles: see `manifest.read` and
    `manifest.product`; style: of several recordings, instead of styles. shard: which part of how
    many. base: settings that items' own are laid over.
    """

    out: str
    base: Base
    config: BulkConfig
    manifest: str = ""
    contents: str = ""
    styles: str = ""
    style: Style | None = None
    shard: tuple[int, int] = (0, 1)

    @classmethod
    def parse(
        cls,
        manifest: str,
        out: str,
        shard: tuple[int, int],
        stylize: dict[str, Any],
        reconstruct: dict[str, Any],
        bulk: dict[str, Any],
    ) -> "Job":
        """From parameters of a task. Raises InputError naming the setting."""
        base = Base(
            StylizeConfig.parse(stylize, "config of stylize"),
            ReconstructConfig.parse(reconstruct, "config of reconstruct"),
        )
        return cls(out, base, BulkConfig.parse(bulk, "config of bulk"), manifest, shard=shard)

    def items(self, folder: Path, ledger: Ledger) -> Items:
        """All its items, checked, in a file in `folder`. Raises InputError for what is wrong.

        ledger: of its outputs, which patterns leave out.
        """
        path = folder / "items"
        if self.manifest:
            items = manifest.read(self.manifest, self.base, path)
        else:
            written = partial(written_before, ledger)
            items = manifest.product(self.contents, self.style or self.styles, path, written)
        return items


@dataclass(frozen=True)
class Summary:
    """What a call has done. items: of the shard; before: done by earlier calls; results: address.

    page: the report, where one was made.
    """

    items: int
    before: int
    counts: Counts
    results: str
    page: Page | None = None

    def figures(self) -> dict[str, int]:
        """The counts, by what a person would call them."""
        return {
            "items": self.items,
            "done before": self.before,
            "done now": self.counts.done,
            "set aside": self.counts.set_aside,
        }


def foresee(job: Job, find: Finder, price: float | None = None) -> Forecast:
    """What the job is about to do; nothing is written. price: of an hour of one machine.

    Raises InputError for a shard without items.
    """
    ledger = Ledger(job.out, job.shard)
    with _planning(job, ledger, find) as (items, model, folder):
        if not items.count:
            raise InputError(f"shard: {job.shard[0]}/{job.shard[1]} has no item")
        patiently(ledger.load, job.config.patience, "stylize")
        planned = plan(items, ledger, job.base, model, folder / "todo")
        processes = job.config.processes(job.base)
        return forecast(planned, Rates(ledger.state), processes, job.shard[1], price)


def work(job: Job, find: Finder, workspace: Path, wait: float = 0.0) -> Summary:
    """Do what is missing of a shard, or of all of it; then it joins the shards and reports.

    workspace: folder for work in progress where the results go to a bucket. wait: seconds for
    which a lock that another call holds is waited for. Items that fail are set aside and counted.
    A shard may have no items, and is done then. Raises InputError for a bad manifest, and for
    outputs that would replace recordings; AudiostyleError where storage fails for too long,
    another call works on it, or the first failure is to end the job.
    """
    ledger = Ledger(job.out, job.shard)
    with _planning(job, ledger, find) as (items, model, folder):
        if not items.count:
            return Summary(0, 0, Counts(), ledger.address)
        with _locked(job, ledger, workspace, wait) as (lock, scratch):
            planned = plan(items, ledger, job.base, model, folder / "todo")
            stopped = ""
            try:
                counts = run(planned, ledger, lock, job.base, model, job.config, scratch)
            except StoppedError as error:
                stopped = str(error)
            joins = ledger.whole and _in_parts(ledger)
            lock.confirm()
            patiently(lambda: ledger.compact(scratch / "results"), job.config.patience, "stylize")
            if stopped:
                raise AudiostyleError(
                    f"stopped at {stopped}; give the same command again to resume"
                )
            page = None
            if ledger.whole and (joins or counts.done or counts.set_aside):
                page = _page(job, items, ledger, model, lock, scratch)
        return Summary(items.count, planned.done, counts, ledger.address, page)


def join(job: Job, find: Finder, workspace: Path, wait: float = 0.0) -> Summary:
    """Join what all shards have done, and report; works on no item.

    What was set aside is counted, with its reasons, and not tried again. Raises as `work` does,
    and AudiostyleError where an item has neither a result nor a reason.
    """
    ledger = Ledger(job.out)
    with _planning(job, ledger, find) as (items, model, folder):
        with _locked(job, ledger, workspace, wait) as (lock, scratch):
            planned = plan(items, ledger, job.base, model, folder / "todo")
            counts, missing = _set_aside(planned, ledger)
            lock.confirm()
            patiently(lambda: ledger.compact(scratch / "results"), job.config.patience, "stylize")
            page = _page(job, items, ledger, model, lock, scratch)
        if missing:
            raise AudiostyleError(
                f"{job.out}: {len(missing)} of {items.count} items have no result yet, {missing[0]}"
                " the first; give the same command again to resume"
            )
        return Summary(items.count, planned.done, counts, ledger.address, page)


@contextmanager
def _planning(job: Job, ledger: Ledger, find: Finder) -> Iterator[tuple[Items, Model, Path]]:
    """Items, classifier, and a folder for what is planned. All that can be refused is, here."""
    with tempfile.TemporaryDirectory(prefix="audiostyle-") as temporary:
        folder = Path(temporary)
        items = job.items(folder, ledger)
        ledger.recordings = refuse_overlaps(items, job.base, ledger.store, job.manifest)
        if ledger.folder is not None:
            _require_writable(ledger.folder)
        classifier, name = find(folder)
        refuse_model_folder(ledger.store, classifier)
        digest = opening(classifier, CLASSIFIER).digest
        chosen = with_one_style(items.shard(*job.shard, folder / "shard"), folder)
        yield chosen, Model(classifier, name, digest), folder


def _require_writable(folder: Path) -> None:
    """Raise InputError where a folder is none and cannot be made. Makes nothing."""
    there = folder
    while not os.path.lexists(there):
        there = there.parent
    if not there.is_dir():
        raise InputError(f"out: {there}: is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"out: {there}: cannot be written to: no permission")


@contextmanager
def _locked(job: Job, ledger: Ledger, workspace: Path, wait: float) -> Iterator[tuple[Lock, Path]]:
    """The right to write to a ledger, which is loaded, and a folder for work in progress.

    An error leaves the folder for the next call to go on from.
    """
    if ledger.folder is not None:
        ledger.store.check()
    lock = Lock(ledger.state, job.shard, job.config.patience)
    lock.take(wait)
    root, name = workspace / "unfinished", f"bulk-{digest_of([job.out, *job.shard])[:16]}"
    parts: tuple[str, ...] = (name,)
    if ledger.folder is not None:
        root, parts = ledger.folder, (STATE, name)
    with lock.held():
        scratch = subfolder(root, *parts)
        _clear(scratch)
        ledger.clean()
        patiently(ledger.load, job.config.patience, "stylize")
        yield lock, scratch
        lock.confirm()
        remove_folder(root, *parts)
        with contextlib.suppress(OSError):  # others' work, or a workspace in use
            if ledger.folder is None:
                root.rmdir()
                workspace.rmdir()


def _clear(scratch: Path) -> None:
    """Remove what a call that was killed left, but for windows of long items to go on from."""
    for path in scratch.iterdir():
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        elif path.name != CHECKPOINTS:
            shutil.rmtree(path, ignore_errors=True)
    for folder, folders, files in os.walk(scratch / CHECKPOINTS):
        for name in (*folders, *files):
            if (path := Path(folder, name)).is_symlink():
                path.unlink()


def _page(
    job: Job, items: Items, ledger: Ledger, model: Model, lock: Lock, scratch: Path
) -> Page | None:
    if not job.config.report:
        return None
    lock.confirm()
    return write(items, ledger, job.base, model, job.config.report, scratch)


def _set_aside(planned: Plan, ledger: Ledger) -> tuple[Counts, list[str]]:
    """What the last rows say of items that are not done; and those of which there is nothing."""
    rows = ledger.latest({item.id for item in planned.todo})
    failed = {id: row.get("error", "") for id, row in rows.items() if row["status"] == "failed"}
    missing = [item.id for item in planned.todo if item.id not in failed]
    return Counts(set_aside=len(failed), failed=failed), missing


def _in_parts(ledger: Ledger) -> bool:
    """Whether shards have left rows."""
    return any(entry.key.endswith(".jsonl") for entry in ledger.store.list("results-"))
