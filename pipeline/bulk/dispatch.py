"""Doing a job: batches go to processes; what fails is tried again, smaller or later."""

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
from pipeline.bulk.config import BulkConfig
from pipeline.bulk.items import Base
from pipeline.bulk.ledger import Ledger
from pipeline.bulk.lock import Lock
from pipeline.bulk.plan import ITEMS, Batch, Model, Plan, Rates, batches
from pipeline.bulk.process import Process, answering
from pipeline.bulk.results import Counts, Results

log = logging.getLogger(__name__)

# Less room than this, and whatever failed is taken to have failed for lack of it.
_ROOM = 64 << 20
# In the scratch folder: windows of long items, which the next call goes on from.
CHECKPOINTS = "checkpoints"
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
) -> Counts:
    """Do what is to do. The lock is held by the caller; scratch: a folder of this job's own.

    Raises AudiostyleError where storage fails for longer than the patience, or another call took
    over; StoppedError for the first failure under on_error="stop". What is finished stays.
    """
    if not plan.todo.count:
        return Counts()
    results = Results(plan, ledger, base, model, config)
    dispatcher = _Dispatcher(plan, Rates(ledger.state), lock, base, model, config, scratch, results)
    try:
        dispatcher.work()
    finally:
        dispatcher.end()
    return results.counts


@dataclass
class _Dispatcher:
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
        self._batches = batches(todo, self.base, min(ITEMS, -(-todo.count // (4 * self._count))))
        self._again: deque[Batch] = deque()
        self._processes: list[Process] = []
        self._starts = 0
        self._fault: tuple[float, Pauses] | None = None  # since when storage fails
        self._hold = 0.0  # until when no batch is assigned

    def work(self) -> None:
        self._processes = [self._start(number) for number in range(self._count)]
        while True:
            for process in self._processes:
                if process.idle:
                    self._assign(process)
            if not any(p.batch or p.soon for p in self._processes) and not self._more():
                return
            self.lock.check()
            for process in answering(self._processes, self._pause()):
                self._receive(process)
            for process in list(self._processes):
                late = not process.idle and time.monotonic() > process.until
                # Its answer may have come while this process waited for storage.
                if late and not answering([process], 0):
                    self._late(process)

    def end(self) -> None:
        for process in self._processes:
            process.kill()
        self.results.close()
        with contextlib.suppress(AudiostyleError, OSError):  # a convenience for the next plan
            self.rates.save()

    def _start(self, number: int) -> Process:
        return Process(number, self._folder(number), self.config.threads(self.base))

    def _folder(self, number: int) -> Path:
        # Of this call alone: one that lost its lock does not touch those of the next.
        return self.scratch / f"call-{self.lock.number}-{number}"

    def _more(self) -> bool:
        if not self._again and (batch := next(self._batches, None)):
            self._again.append(batch)
        return bool(self._again)

    def _next(self, process: Process) -> Batch | None:
        """What a process has begun to fetch, else the next batch; at the end one that others hold.

        So the last batches go to whoever is free first.
        """
        if not process.soon and self._more():
            return self._again.popleft()
        holder = next((p for p in (process, *self._processes) if p.soon), process)
        batch, holder.soon = holder.soon, None
        return batch

    def _pause(self) -> float:
        """Seconds until something is to be done though no process answers."""
        until = [p.until for p in self._processes if not p.idle]
        if any(p.idle for p in self._processes) and self._hold > time.monotonic():
            until.append(self._hold)
        return min([*(at - time.monotonic() for at in until), 5.0])

    def _assign(self, process: Process) -> None:
        if time.monotonic() < self._hold or (batch := self._next(process)) is None:
            return
        process.soon = self._again.popleft() if self._more() else None
        folder = self._folder(process.number)
        place = folder / str(time.monotonic_ns())
        stylize, reconstruct = self.base.of(batch.items[0])
        request = {
            "items": [{"id": item.id, "places": item.places()} for item in batch.items],
            "soon": sorted(process.soon.places()) if process.soon else [],
            "stylize": stylize.plain(),
            "reconstruct": reconstruct.plain(),
            "classifier": str(self.model.folder),
            "model": self.model.name,
            "folder": str(place),
            "checkpoint": str(self.scratch / CHECKPOINTS / batch.items[0].id),
            "recordings": str(folder / "recordings"),
        }
        process.send(batch, place, request, self.config.time_limit)

    def _receive(self, process: Process) -> None:
        try:
            answer = process.answer()
        except EOFError:
            self._ended(process)
            return
        if answer is None:
            return
        batch, folder = process.batch, process.folder
        if batch is None:  # it says that it is ready
            process.ready = True
            process.answered_at = time.monotonic()
            self._starts = 0
            return
        counts = self.results.counts
        seconds = time.monotonic() - process.since
        counts.add_seconds("all", time.monotonic() - process.answered_at)
        process.answered_at = time.monotonic()
        process.batch = None
        if "error" in answer:
            self._failed(batch, answer["error"], answer)
        else:
            # The next batch first: it is worked on while this one is put into place.
            self._fault = None
            self._assign(process)
            for stage, each in answer["seconds"].items():
                counts.add_seconds(stage, each)
            self.rates.add(batch.group, len(batch.items), seconds, warm=process.warm)
            process.warm = True
            self.results.place(batch, folder / "audio", answer["rows"], seconds)
        shutil.rmtree(folder, ignore_errors=True)

    def _ended(self, process: Process) -> None:
        reason = process.last_line()
        self._replace(process)
        if process.batch:
            self._failed(process.batch, reason, {})
            return
        self._starts += 1
        if self._starts >= _STARTS:
            raise AudiostyleError(f"the processes that do the work do not start: {reason}")

    def _late(self, process: Process) -> None:
        self._replace(process)
        if process.batch is None:
            raise AudiostyleError(f"process {process.number} did not start in time")
        limit = f"took longer than {self.config.time_limit:g} s (--time-limit)"
        self._failed(process.batch, limit, {})

    def _replace(self, process: Process) -> None:
        process.kill()
        shutil.rmtree(self._folder(process.number), ignore_errors=True)
        started = self._start(process.number)
        started.soon = process.soon
        self._processes[process.number] = started

    def _failed(self, batch: Batch, reason: str, answer: dict[str, Any]) -> None:
        """Try again, smaller or later; or set aside."""
        if answer.get("passes") or (not answer.get("final") and _full(self.scratch, reason)):
            self._wait_for_storage(batch, reason)
        elif len(batch.items) > 1:
            # Those that have the bad recording go alone, or all of them where none is named.
            path = answer.get("path")
            bad = [item for item in batch.items if not path or path in item.places().values()]
            rest = [item for item in batch.items if item not in bad]
            if not bad:
                bad, rest = rest, []
            again = [Batch([item], batch.group) for item in bad]
            self._again.extendleft([*again, *([Batch(rest, batch.group)] if rest else [])])
        elif answer.get("final") or batch.attempts >= self.config.retries:
            self.results.set_aside(batch.items[0], reason, batch.attempts + 1)
        else:
            log.warning("%s: %s; tried again", batch.items[0].id, reason)
            self._again.append(Batch(batch.items, batch.group, batch.attempts + 1))

    def _wait_for_storage(self, batch: Batch, reason: str) -> None:
        since, pauses = self._fault or (time.monotonic(), Pauses())
        waited = time.monotonic() - since
        if waited > self.config.patience:
            raise AudiostyleError(
                f"{reason}; waited {waited:.0f} s for it. What is finished stays: give"
                " the same command again to resume"
            )
        log.warning("%s; waiting for it", reason)
        self._fault = since, pauses
        self._hold = time.monotonic() + pauses.next()
        self._again.appendleft(batch)


def _full(folder: Path, reason: str) -> bool:
    """Whether something failed for lack of room, as far as can be seen."""
    try:
        room = shutil.disk_usage(folder).free
    except OSError:
        return True
    words = ("no space left", "disk quota exceeded", "errno 28")
    return room < _ROOM or any(word in reason.lower() for word in words)
