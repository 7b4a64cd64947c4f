"""A bulk job from its manifest to its report: what the command line and the cluster's tasks do.

Plain functions that print nothing: what came of a call is returned, and told by whoever called.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
from pipeline.bulk.dispatch import run
from pipeline.bulk.items import Base, Items
from pipeline.bulk.ledger import STATE, Ledger
from pipeline.bulk.lock import BEAT, EXPIRY, Lock
from pipeline.bulk.plan import Model, Plan, Rates, plan, told
from pipeline.bulk.report import Page, write
from pipeline.bulk.results import Outcome, StoppedError

# From a folder, into which a classifier may be put, to where it is and what it is called.
Finder = Callable[[Path], tuple[Path, str]]

# Seconds for which a task waits for the right to write: where a pod was lost, the one that takes
# its place finds the lock of a machine that nobody can ask, and it counts as held until it expires.
FOR_A_LOST_POD = EXPIRY + 2 * BEAT


@dataclass(frozen=True)
class Job:
    """What is to be made of what, and where it goes.

    out: folder or s3:// of the results. manifest, or contents and styles: see `manifest.read` and
    `manifest.product`. shard: which part of how many. base: settings that items' own are laid over.
    """

    out: str
    base: Base
    config: BulkConfig
    manifest: str = ""
    contents: str = ""
    styles: str = ""
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

    def items(self, folder: Path) -> Items:
        """Its items, checked, in files in `folder`. Raises InputError for all that is wrong."""
        path = folder / "items"
        if self.manifest:
            items = manifest.read(self.manifest, self.base, path)
        else:
            items = manifest.product(self.contents, self.styles, self.base, path)
        return items.shard(*self.shard, folder / "shard")


@dataclass(frozen=True)
class Done:
    """What came of a call. items: of the shard; before: done by earlier calls; results: address.

    page: the report, where one was made.
    """

    items: int
    before: int
    outcome: Outcome
    results: str
    page: Page | None = None

    def figures(self) -> dict[str, int]:
        """The counts, by what a person would call them."""
        return {
            "items": self.items,
            "done before": self.before,
            "done now": self.outcome.done,
            "set aside": self.outcome.set_aside,
        }


def foretold(job: Job, find: Finder, price: float | None = None) -> str:
    """The plan for a person; nothing is written. price: of an hour of one machine.

    Raises InputError for a shard without items.
    """
    ledger = Ledger(job.out, job.shard)
    with _planning(job, find) as (items, model, folder):
        if not items.count:
            raise InputError(f"shard: {job.shard[0]}/{job.shard[1]} has no item")
        patiently(ledger.load, job.config.patience, "stylize")
        found = plan(items, ledger, job.base, model, folder / "todo")
        processes = job.config.processes(job.base)
        return told(found, Rates(ledger.state), processes, job.shard[1], price)


def work(job: Job, find: Finder, workspace: Path, wait: float = 0.0) -> Done:
    """Do what is missing of a shard, or of all of it; then it joins the shards and reports.

    workspace: folder for work in progress where the results go to a bucket. wait: seconds for
    which a lock that another call holds is waited for. Items that fail are set aside and counted.
    A shard may have no items, and is done then. Raises InputError for a bad manifest,
    AudiostyleError where storage fails for too long, another call works on it, or the first failure
    is to end the job.
    """
    ledger = Ledger(job.out, job.shard)
    with _planning(job, find) as (items, model, folder):
        if not items.count:
            return Done(0, 0, Outcome(), _address(ledger))
        with _held(job, ledger, workspace, wait) as (lock, scratch):
            found = plan(items, ledger, job.base, model, folder / "todo")
            stopped = ""
            try:
                outcome = run(found, ledger, lock, job.base, model, job.config, scratch)
            except StoppedError as error:
                stopped = str(error)
            joins = ledger.whole and _in_parts(ledger)
            patiently(lambda: ledger.compact(scratch / "results"), job.config.patience, "stylize")
            if stopped:
                raise AudiostyleError(f"stopped at {stopped}; the same command goes on")
            page = None
            if ledger.whole and (joins or outcome.done or outcome.set_aside):
                page = _page(job, items, ledger, model, scratch)
        return Done(items.count, found.done, outcome, _address(ledger), page)


def join(job: Job, find: Finder, workspace: Path, wait: float = 0.0) -> Done:
    """Join what all shards have done, and report; works on no item.

    What was set aside is counted, with its reasons, and not tried again. Raises as `work` does,
    and AudiostyleError where an item has neither a result nor a reason.
    """
    ledger = Ledger(job.out)
    with _planning(job, find) as (items, model, folder):
        with _held(job, ledger, workspace, wait) as (_, scratch):
            found = plan(items, ledger, job.base, model, folder / "todo")
            outcome, missing = _set_aside(found, ledger)
            patiently(lambda: ledger.compact(scratch / "results"), job.config.patience, "stylize")
            page = _page(job, items, ledger, model, scratch)
        if missing:
            raise AudiostyleError(
                f"{job.out}: {len(missing)} of {items.count} items have no result yet, {missing[0]}"
                " the first; the same job goes on"
            )
        return Done(items.count, found.done, outcome, _address(ledger), page)


@contextmanager
def _planning(job: Job, find: Finder) -> Iterator[tuple[Items, Model, Path]]:
    """Items, classifier, and a folder for what is planned."""
    with tempfile.TemporaryDirectory(prefix="audiostyle-") as temporary:
        folder = Path(temporary)
        items = job.items(folder)
        classifier, name = find(folder)
        yield items, Model(classifier, name, opening(classifier, CLASSIFIER).digest), folder


@contextmanager
def _held(job: Job, ledger: Ledger, workspace: Path, wait: float) -> Iterator[tuple[Lock, Path]]:
    """The right to write to a ledger, which is loaded, and a folder for work in progress.

    An error leaves the folder for the next call to go on from.
    """
    if ledger.folder is not None:
        ledger.store.check()
    lock = Lock(ledger.state, job.shard, job.config.patience)
    lock.take(wait)
    unfinished = workspace / "unfinished"
    if ledger.folder is not None:
        unfinished = ledger.folder / STATE
    name = f"bulk-{digest_of([job.out, *job.shard])[:16]}"
    with lock.kept():
        scratch = subfolder(unfinished.parent, unfinished.name, name)
        _clear(scratch)
        ledger.clean()
        patiently(ledger.load, job.config.patience, "stylize")
        yield lock, scratch
        remove_folder(unfinished.parent, unfinished.name, name)
        with contextlib.suppress(OSError):  # others' work, or a workspace in use
            if ledger.folder is None:
                unfinished.rmdir()
                workspace.rmdir()


def _clear(scratch: Path) -> None:
    """What a call that was killed left goes, but for windows of long items to go on from."""
    for left in scratch.iterdir():
        if left.is_symlink() or left.is_file():
            left.unlink()
        elif left.is_dir() and left.name != "kept":
            shutil.rmtree(left, ignore_errors=True)


def _page(job: Job, items: Items, ledger: Ledger, model: Model, scratch: Path) -> Page | None:
    if not job.config.report:
        return None
    return write(items, ledger, job.base, model, job.config.report, scratch)


def _set_aside(found: Plan, ledger: Ledger) -> tuple[Outcome, list[str]]:
    """What the last rows say of items that are not done; and those of which there is nothing."""
    rows = ledger.latest({item.id for item in found.todo})
    failed = {id: row["error"] for id, row in rows.items() if row["status"] == "failed"}
    missing = [item.id for item in found.todo if item.id not in failed]
    return Outcome(set_aside=len(failed), failed=failed), missing


def _in_parts(ledger: Ledger) -> bool:
    """Whether shards have left rows."""
    return any(entry.key.endswith(".jsonl") for entry in ledger.store.list("results-"))


def _address(ledger: Ledger) -> str:
    return f"{ledger.store.uri}/{ledger.name}"
