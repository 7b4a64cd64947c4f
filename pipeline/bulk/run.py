"""Doing a job: batches to processes, results into place, failures told apart and tried again."""

import contextlib
import logging
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field

from audiostyle.command import bar
from audiostyle.config import Config
from audiostyle.errors import AudiostyleError
from audiostyle.patience import Pauses, patiently
from pipeline.bulk.ledger import Ledger, now
from pipeline.bulk.lock import Lock
from pipeline.bulk.manifest import Base, Item
from pipeline.bulk.plan import Model, Plan, Rates, group_of, item_key
from pipeline.bulk.pool import Process, waiting

log = logging.getLogger(__name__)

T = TypeVar("T")

# Items of a batch, and bytes of their contents: what is between the two stages lies on the disk,
# 30 bytes for one of a WAV.
_ITEMS, _BYTES = 16, 32 << 20
# Kinds of settings whose items wait for others of the kind at a time.
_KINDS = 32
# Less room than this, and whatever failed is taken to have failed for want of it.
_ROOM = 64 << 20
# Starts of a process, one after another, that come to nothing before the job ends.
_STARTS = 3


class BulkConfig(Config):
    """How a job is done; none of it changes what comes out."""

    on_error: Literal["skip", "stop"] = Field("skip", description="after an item was set aside")
    retries: int = Field(2, ge=0, le=100, description="more attempts for an item that failed")
    time_limit: float = Field(
        600, gt=0, description="seconds for an item, and for a batch, before it is ended"
    )
    patience: float = Field(
        300, ge=0, description="seconds for which storage that fails is waited for"
    )
    workers: int | None = Field(
        None, ge=1, le=256, description="processes; else one a core, and one for a GPU"
    )
    report: int = Field(50, ge=0, le=1000, description="items on the report page; 0: no page")

    def processes(self, base: Base) -> int:
        """How many processes work."""
        from audiostyle import network

        if self.workers:
            return self.workers
        if network.device_of(base.stylize.device).type == "cuda":
            return 1
        return _cores()


@dataclass
class Outcome:
    """How a call ended. failed: ids that were set aside, with the reason; the first thousand.

    seconds: of each stage, and `all` that the processes had, from their start to their last answer.
    """

    done: int = 0
    set_aside: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass
class Task:
    """Items to be worked on together. attempts: that failed, once it is a single one."""

    items: list[Item]
    group: str
    attempts: int = 0
    alone: bool = False


class StoppedError(AudiostyleError):
    """The job ended at an item that failed, as asked for."""


def run(
    plan: Plan,
    ledger: Ledger,
    lock: Lock,
    base: Base,
    model: Model,
    config: BulkConfig,
    scratch: Path,
) -> Outcome:
    """Do what is to do. The lock is held by the caller; scratch: a folder of this job's own.

    Raises AudiostyleError where storage fails for longer than the patience, or another call took
    over; StoppedError for the first failure under on_error="stop". What is finished is kept.
    """
    if not plan.todo.count:
        return Outcome()
    rates = Rates(ledger.state)
    job = _Job(plan, ledger, lock, base, model, config, scratch, rates)
    try:
        job.work()
    finally:
        job.end()
    return job.outcome


class _Job:
    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        lock: Lock,
        base: Base,
        model: Model,
        config: BulkConfig,
        scratch: Path,
        rates: Rates,
    ) -> None:
        self.outcome = Outcome()
        self._ledger, self._lock, self._rates = ledger, lock, rates
        self._base, self._model, self._config = base, model, config
        self._scratch = scratch
        self._count = min(config.processes(base), plan.todo.count)
        self._threads = max(1, _cores() // self._count)
        # Every process gets several batches, so that none waits long for the last.
        most = min(_ITEMS, -(-plan.todo.count // (4 * self._count)))
        self._tasks = batches(iter(plan.todo), base, most)
        self._again: deque[Task] = deque()
        self._processes: list[Process] = []
        self._bar = bar(None, "stylize", plan.total)
        self._bar.update(plan.done)
        self._starts = 0
        self._fault: tuple[float, Pauses] | None = None  # since when storage fails
        self._hold = 0.0  # nothing is given out before

    def work(self) -> None:
        self._processes = [self._start(number) for number in range(self._count)]
        while True:
            for process in self._processes:
                if process.idle:
                    self._give(process)
            if not any(p.task for p in self._processes) and not self._more():
                return
            self._lock.check()
            for process in waiting(self._processes, self._pause()):
                self._hear(process)
            for number, process in enumerate(self._processes):
                late = not process.idle and time.monotonic() > process.until
                # Its answer may have come while this process waited for storage.
                if late and not waiting([process], 0):
                    self._late(number, process)

    def end(self) -> None:
        for process in self._processes:
            process.kill()
        self._bar.close()
        with contextlib.suppress(AudiostyleError, OSError):  # a convenience for the next plan
            self._rates.save()

    def _start(self, number: int) -> Process:
        return Process(number, self._scratch, self._threads)

    def _more(self) -> bool:
        if not self._again:
            task = next(self._tasks, None)
            if task is None:
                return False
            self._again.append(task)
        return True

    def _pause(self) -> float:
        """Seconds until something is to be done without being told."""
        until = [p.until for p in self._processes if not p.idle]
        if any(p.idle for p in self._processes) and self._hold > time.monotonic():
            until.append(self._hold)
        return min([*(at - time.monotonic() for at in until), 5.0])

    def _give(self, process: Process) -> None:
        if time.monotonic() < self._hold or not self._more():
            return
        task = self._again.popleft()
        folder = self._scratch / f"batch-{process.number}"
        place = folder / str(time.monotonic_ns())
        stylize, reconstruct = self._base.of(task.items[0])
        request = {
            "items": [{"id": item.id, "places": item.places()} for item in task.items],
            "stylize": stylize.plain(),
            "reconstruct": reconstruct.plain(),
            "classifier": str(self._model.folder),
            "model": self._model.name,
            "folder": str(place),
            "kept": str(self._scratch / "kept" / task.items[0].id),
            "recordings": str(folder / "recordings"),
        }
        process.send((task, place), request, self._config.time_limit)

    def _hear(self, process: Process) -> None:
        try:
            answer = process.heard()
        except EOFError:
            self._died(process)
            return
        if answer is None:
            return
        if "ready" in answer:
            process.ready = True
            process.heard_at = time.monotonic()
            self._starts = 0
            return
        task, folder = process.task
        seconds = time.monotonic() - process.since
        self._spent("all", time.monotonic() - process.heard_at)
        process.heard_at = time.monotonic()
        process.task = None
        if "error" in answer:
            shutil.rmtree(folder, ignore_errors=True)
            self._failed(task, answer["error"], answer)
        else:
            # The next batch first: it is worked on while this one is put into place.
            self._fault = None
            self._give(process)
            for stage, each in answer["seconds"].items():
                self._spent(stage, each)
            self._rates.measured(task.group, len(task.items), seconds, warm=process.warm)
            process.warm = True
            self._place(task, folder, answer["rows"], seconds)
            shutil.rmtree(folder, ignore_errors=True)

    def _spent(self, what: str, seconds: float) -> None:
        self.outcome.seconds[what] = self.outcome.seconds.get(what, 0.0) + seconds

    def _died(self, process: Process) -> None:
        words = process.last_words()
        task = process.task
        self._replace(process)
        if task is None:
            self._starts += 1
            if self._starts >= _STARTS:
                raise AudiostyleError(f"the processes that do the work do not start: {words}")
        else:
            shutil.rmtree(task[1], ignore_errors=True)
            self._failed(task[0], words, {})

    def _late(self, number: int, process: Process) -> None:
        task = process.task
        self._replace(process)
        if task is None:
            raise AudiostyleError(f"process {number} did not start in time")
        shutil.rmtree(task[1], ignore_errors=True)
        limit = f"took longer than {self._config.time_limit:g} s (--time-limit)"
        self._failed(task[0], limit, {})

    def _replace(self, process: Process) -> None:
        process.kill()
        shutil.rmtree(self._scratch / f"batch-{process.number}", ignore_errors=True)
        self._processes[process.number] = self._start(process.number)

    def _failed(self, task: Task, reason: str, answer: dict[str, Any]) -> None:
        """Try again, smaller or later; or set aside."""
        if answer.get("passes") or (not answer.get("final") and _full(self._scratch, reason)):
            self._wait_for_storage(task, reason)
        elif len(task.items) > 1:
            # Those that have the bad recording go alone, or all of them where none is named.
            path = answer.get("path")
            bad = [item for item in task.items if not path or path in item.places().values()]
            rest = [item for item in task.items if item not in bad]
            if not bad:
                bad, rest = rest, []
            again = [Task([item], task.group) for item in bad]
            self._again.extendleft([*again, *([Task(rest, task.group)] if rest else [])])
        elif answer.get("final") or task.attempts >= self._config.retries:
            self._set_aside(task.items[0], reason, task.attempts + 1)
        else:
            log.warning("%s: %s; tried again", task.items[0].id, reason)
            self._again.append(Task(task.items, task.group, task.attempts + 1))

    def _wait_for_storage(self, task: Task, reason: str) -> None:
        since, pauses = self._fault or (time.monotonic(), Pauses())
        waited = time.monotonic() - since
        if waited > self._config.patience:
            raise AudiostyleError(
                f"{reason}; waited {waited:.0f} s for it. What is finished is kept: the same"
                " command goes on"
            )
        log.warning("%s; waiting for it", reason)
        self._fault = since, pauses
        self._hold = time.monotonic() + pauses.next()
        self._again.appendleft(task)

    def _place(self, task: Task, folder: Path, made: list[dict[str, Any]], seconds: float) -> None:
        items = {item.id: item for item in task.items}
        rows = []
        for row in made:
            item = items[row["id"]]
            if row["error"]:
                self._set_aside(item, row["error"], task.attempts + 1)
                continue
            path = folder / "audio" / row["output"]
            self._patiently(partial(self._ledger.place, row["output"], path))
            inputs = {role: told.get("tag", told["sha256"]) for role, told in row["inputs"].items()}
            rows.append(
                {
                    "id": item.id,
                    "status": "done",
                    "output": row["output"],
                    "bytes": row["bytes"],
                    "sha256": row["sha256"],
                    "seconds": round(seconds / len(made), 3),
                    "attempts": task.attempts + 1,
                    "finished": now(),
                    "inputs": {
                        role: {"place": item.places()[role], **told}
                        for role, told in row["inputs"].items()
                    },
                    "model": self._model.plain(),
                    "settings": {
                        "stylize": row["settings"],
                        "reconstruct": self._base.of(item)[1].plain(),
                    },
                    "measures": row["measures"],
                    "losses": row["losses"],
                    "version": version("audiostyle"),
                    "key": item_key(item, self._base, self._model, inputs),
                    "error": "",
                }
            )
        if rows:
            self._patiently(lambda: self._ledger.append(rows))
        self.outcome.done += len(rows)
        self._bar.update(len(rows))

    def _set_aside(self, item: Item, reason: str, attempts: int) -> None:
        stylize, reconstruct = self._base.of(item)
        row = {
            "id": item.id,
            "status": "failed",
            "output": "",
            "bytes": 0,
            "sha256": "",
            "seconds": 0.0,
            "attempts": attempts,
            "finished": now(),
            "inputs": {role: {"place": place} for role, place in item.places().items()},
            "model": self._model.plain(),
            "settings": {"stylize": stylize.plain(), "reconstruct": reconstruct.plain()},
            "measures": {},
            "losses": {},
            "version": version("audiostyle"),
            "key": "",
            "error": reason,
        }
        self._patiently(lambda: self._ledger.append([row]))
        self.outcome.set_aside += 1
        if len(self.outcome.failed) < 1000:
            self.outcome.failed[item.id] = reason
        self._bar.update(1)
        log.warning("%s: set aside: %s", item.id, reason)
        if self._config.on_error == "stop":
            raise StoppedError(f"{item.id}: {reason}")

    def _patiently(self, request: Callable[[], T]) -> T:
        return patiently(request, self._config.patience, "stylize")


def batches(items: Iterator[Item], base: Base, most: int) -> Iterator[Task]:
    """Items to be worked on together: of the same settings, at most `most`, and not too long."""
    waiting: dict[str, list[Item]] = {}
    for item in items:
        group = group_of(item, base)
        held = waiting.get(group, [])
        if held and sum(i.size for i in held) + item.size > _BYTES:
            yield Task(waiting.pop(group), group)
        waiting.setdefault(group, []).append(item)
        if len(waiting[group]) >= most:
            yield Task(waiting.pop(group), group)
        elif len(waiting) > _KINDS:
            oldest = next(iter(waiting))
            yield Task(waiting.pop(oldest), oldest)
    for group, held in waiting.items():
        yield Task(held, group)


def _full(folder: Path, reason: str) -> bool:
    """Whether something failed for want of room, as far as can be told."""
    try:
        room = shutil.disk_usage(folder).free
    except OSError:
        return True
    words = ("no space left", "disk quota exceeded", "errno 28")
    return room < _ROOM or any(word in reason.lower() for word in words)


def _cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1
