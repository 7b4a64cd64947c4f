"""Doing a job: batches to processes, their answers heard, failures told apart and tried again."""

import contextlib
import logging
import shutil
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiostyle.errors import AudiostyleError
from audiostyle.retry import Pauses
from pipeline.bulk.batches import ITEMS, Task, batches
from pipeline.bulk.config import BulkConfig
from pipeline.bulk.items import Base
from pipeline.bulk.ledger import Ledger
from pipeline.bulk.lock import Lock
from pipeline.bulk.plan import Model, Plan, Rates
from pipeline.bulk.process import Process, waiting
from pipeline.bulk.results import Outcome, Results

log = logging.getLogger(__name__)

# Less room than this, and whatever failed is taken to have failed for want of it.
_ROOM = 64 << 20
# Starts of a process, one after another, that come to nothing before the job ends.
_STARTS = 3


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
    results = Results(plan, ledger, base, model, config)
    job = _Job(plan, Rates(ledger.state), lock, base, model, config, scratch, results)
    try:
        job.work()
    finally:
        job.end()
    return results.outcome


@dataclass
class _Job:
    plan: Plan
    rates: Rates
    lock: Lock
    base: Base
    model: Model
    config: BulkConfig
    scratch: Path
    results: Results

    def __post_init__(self) -> None:
        todo = self.plan.todo
        self._count = min(self.config.processes(self.base), todo.count)
        # Every process gets several batches, so that none waits long for the last.
        self._tasks = batches(todo, self.base, min(ITEMS, -(-todo.count // (4 * self._count))))
        self._again: deque[Task] = deque()
        self._processes: list[Process] = []
        self._starts = 0
        self._fault: tuple[float, Pauses] | None = None  # since when storage fails
        self._hold = 0.0  # nothing is given out before

    def work(self) -> None:
        self._processes = [self._start(number) for number in range(self._count)]
        while True:
            for process in self._processes:
                if process.idle:
                    self._give(process)
            if not any(p.task or p.soon for p in self._processes) and not self._more():
                return
            self.lock.check()
            for process in waiting(self._processes, self._pause()):
                self._hear(process)
            for process in list(self._processes):
                late = not process.idle and time.monotonic() > process.until
                # Its answer may have come while this process waited for storage.
                if late and not waiting([process], 0):
                    self._late(process)

    def end(self) -> None:
        for process in self._processes:
            process.kill()
        self.results.close()
        with contextlib.suppress(AudiostyleError, OSError):  # a convenience for the next plan
            self.rates.save()

    def _start(self, number: int) -> Process:
        return Process(number, self.scratch, self.config.threads(self.base))

    def _more(self) -> bool:
        if not self._again and (task := next(self._tasks, None)):
            self._again.append(task)
        return bool(self._again)

    def _next(self, process: Process) -> Task | None:
        """What a process has begun to fetch, else what there is; at the end what others wait with.

        So the last batches go to whoever is free first.
        """
        if not process.soon and self._more():
            return self._again.popleft()
        holder = next((p for p in (process, *self._processes) if p.soon), process)
        task, holder.soon = holder.soon, None
        return task

    def _pause(self) -> float:
        """Seconds until something is to be done without being told."""
        until = [p.until for p in self._processes if not p.idle]
        if any(p.idle for p in self._processes) and self._hold > time.monotonic():
            until.append(self._hold)
        return min([*(at - time.monotonic() for at in until), 5.0])

    def _give(self, process: Process) -> None:
        if time.monotonic() < self._hold or (task := self._next(process)) is None:
            return
        process.soon = self._again.popleft() if self._more() else None
        folder = self.scratch / f"batch-{process.number}"
        place = folder / str(time.monotonic_ns())
        stylize, reconstruct = self.base.of(task.items[0])
        request = {
            "items": [{"id": item.id, "places": item.places()} for item in task.items],
            "soon": sorted(process.soon.places()) if process.soon else [],
            "stylize": stylize.plain(),
            "reconstruct": reconstruct.plain(),
            "classifier": str(self.model.folder),
            "model": self.model.name,
            "folder": str(place),
            "kept": str(self.scratch / "kept" / task.items[0].id),
            "recordings": str(folder / "recordings"),
        }
        process.send(task, place, request, self.config.time_limit)

    def _hear(self, process: Process) -> None:
        try:
            answer = process.heard()
        except EOFError:
            self._died(process)
            return
        if answer is None:
            return
        task, folder = process.task, process.folder
        if task is None:  # it says that it is ready
            process.ready = True
            process.heard_at = time.monotonic()
            self._starts = 0
            return
        outcome = self.results.outcome
        seconds = time.monotonic() - process.since
        outcome.spent("all", time.monotonic() - process.heard_at)
        process.heard_at = time.monotonic()
        process.task = None
        if "error" in answer:
            self._failed(task, answer["error"], answer)
        else:
            # The next batch first: it is worked on while this one is put into place.
            self._fault = None
            self._give(process)
            for stage, each in answer["seconds"].items():
                outcome.spent(stage, each)
            self.rates.measured(task.group, len(task.items), seconds, warm=process.warm)
            process.warm = True
            self.results.place(task, folder / "audio", answer["rows"], seconds)
        shutil.rmtree(folder, ignore_errors=True)

    def _died(self, process: Process) -> None:
        words = process.last_words()
        self._replace(process)
        if process.task:
            self._failed(process.task, words, {})
            return
        self._starts += 1
        if self._starts >= _STARTS:
            raise AudiostyleError(f"the processes that do the work do not start: {words}")

    def _late(self, process: Process) -> None:
        self._replace(process)
        if process.task is None:
            raise AudiostyleError(f"process {process.number} did not start in time")
        limit = f"took longer than {self.config.time_limit:g} s (--time-limit)"
        self._failed(process.task, limit, {})

    def _replace(self, process: Process) -> None:
        process.kill()
        shutil.rmtree(self.scratch / f"batch-{process.number}", ignore_errors=True)
        started = self._start(process.number)
        started.soon = process.soon
        self._processes[process.number] = started

    def _failed(self, task: Task, reason: str, answer: dict[str, Any]) -> None:
        """Try again, smaller or later; or set aside."""
        if answer.get("passes") or (not answer.get("final") and _full(self.scratch, reason)):
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
        elif answer.get("final") or task.attempts >= self.config.retries:
            self.results.set_aside(task.items[0], reason, task.attempts + 1)
        else:
            log.warning("%s: %s; tried again", task.items[0].id, reason)
            self._again.append(Task(task.items, task.group, task.attempts + 1))

    def _wait_for_storage(self, task: Task, reason: str) -> None:
        since, pauses = self._fault or (time.monotonic(), Pauses())
        waited = time.monotonic() - since
        if waited > self.config.patience:
            raise AudiostyleError(
                f"{reason}; waited {waited:.0f} s for it. What is finished is kept: the same"
                " command goes on"
            )
        log.warning("%s; waiting for it", reason)
        self._fault = since, pauses
        self._hold = time.monotonic() + pauses.next()
        self._again.appendleft(task)


def _full(folder: Path, reason: str) -> bool:
    """Whether something failed for want of room, as far as can be told."""
    try:
        room = shutil.disk_usage(folder).free
    except OSError:
        return True
    words = ("no space left", "disk quota exceeded", "errno 28")
    return room < _ROOM or any(word in reason.lower() for word in words)
