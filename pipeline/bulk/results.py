"""Results of items: outputs and rows are put into place, or the reason why there are none."""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

from audiostyle.errors import AudiostyleError
from audiostyle.progress import bar
from audiostyle.retry import patiently
from pipeline.bulk.config import BulkConfig
from pipeline.bulk.items import Base, Item
from pipeline.bulk.ledger import Ledger, now
from pipeline.bulk.plan import Batch, Model, Plan, item_key

log = logging.getLogger(__name__)

# Outputs put into place at a time: that hides what a store far away, or a disk that is to have
# it all, takes to answer. Beside a store on the same two cores 8 took longer than one.
_PLACING = 4


class StoppedError(AudiostyleError):
    """The job ended at an item that failed, as asked for."""


@dataclass
class Counts:
    """What a call has done. failed: ids that were set aside, with the reason; the first thousand.

    seconds: of each stage, and `all` that the processes had, from when they were ready to their
    last answer.
    """

    done: int = 0
    set_aside: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def add_seconds(self, stage: str, seconds: float) -> None:
        """Add to the time of a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


class Results:
    """Writes the results of a plan's items, and counts them."""

    def __init__(
        self, plan: Plan, ledger: Ledger, base: Base, model: Model, config: BulkConfig
    ) -> None:
        self.counts = Counts()
        self._ledger, self._base, self._model, self._config = ledger, base, model, config
        self._bar = bar(None, "stylize", plan.total)
        self._bar.update(plan.done)

    def place(
        self, batch: Batch, folder: Path, answers: list[dict[str, Any]], seconds: float
    ) -> None:
        """Put a batch's outputs, in `folder`, into place, and then their rows.

        answers: of the process, for each item; one whose error is not empty is set aside. seconds:
        that the batch took. Raises AudiostyleError where storage fails for too long.
        """
        items = {item.id: item for item in batch.items}
        good = [answer for answer in answers if not answer["error"]]
        self._put({answer["output"]: folder / answer["output"] for answer in good})
        attempts = batch.attempts + 1
        each = round(seconds / len(answers), 3)
        self._append([self._done(items[answer["id"]], answer, attempts, each) for answer in good])
        self.counts.done += len(good)
        for answer in answers:
            if answer["error"]:
                self.set_aside(items[answer["id"]], answer["error"], attempts)

    def set_aside(self, item: Item, reason: str, attempts: int) -> None:
        """Note that an item failed. Raises StoppedError where the job is to end then."""
        self._append([self._row(item, attempts, status="failed", error=reason)])
        self.counts.set_aside += 1
        if len(self.counts.failed) < 1000:
            self.counts.failed[item.id] = reason
        log.warning("%s: set aside: %s", item.id, reason)
        if self._config.on_error == "stop":
            raise StoppedError(f"{item.id}: {reason}")

    def close(self) -> None:
        """End the bar."""
        self._bar.close()

    def _put(self, paths: dict[str, Path]) -> None:
        def put(output: str) -> None:
            self._ledger.place(output, paths[output])
            del paths[output]  # an attempt after this one does what is left

        with _some_at_a_time(min(_PLACING, len(paths) or 1)) as each:
            patiently(lambda: each(put, list(paths)), self._config.patience, "stylize")

    def _append(self, rows: list[dict[str, Any]]) -> None:
        if rows:
            patiently(lambda: self._ledger.append(rows), self._config.patience, "stylize")
            self._bar.update(len(rows))

    def _done(
        self, item: Item, answer: dict[str, Any], attempts: int, seconds: float
    ) -> dict[str, Any]:
        inputs = {role: file.get("tag", file["sha256"]) for role, file in answer["inputs"].items()}
        row = self._row(
            item,
            attempts,
            seconds=seconds,
            key=item_key(item, self._base, self._model, inputs),
            **{name: answer[name] for name in ("output", "bytes", "sha256", "measures")},
            **{name: answer[name] for name in ("losses", "heard")},
        )
        for role, file in answer["inputs"].items():
            row["inputs"][role] |= file
        row["settings"]["stylize"] = answer["settings"]
        return row

    def _row(self, item: Item, attempts: int, **more: Any) -> dict[str, Any]:
        """A row of results.jsonl, in the order that all have."""
        stylize, reconstruct = self._base.of(item)
        row = {
            "id": item.id,
            "status": "done",
            "output": "",
            "bytes": 0,
            "sha256": "",
            "seconds": 0.0,
            "attempts": attempts,
            "finished": now(),
            "inputs": item.described(),
            "model": self._model.plain(),
            "settings": {"stylize": stylize.plain(), "reconstruct": reconstruct.plain()},
            "measures": {},
            "losses": {},
            "heard": "",
            "version": version("audiostyle"),
            "key": "",
            "error": "",
        }
        return row | more


@contextmanager
def _some_at_a_time(count: int) -> Iterator[Callable[[Callable[[str], None], list[str]], object]]:
    """What does something for each of a list in so many threads."""
    try:
        # Its threads, unlike an executor's, hold up nobody who is interrupted.
        pool = ThreadPool(count)
    except OSError:  # no semaphores, as where there is no /dev/shm
        yield lambda do, items: deque(map(do, items), 0)
        return
    with pool:
        yield lambda do, items: pool.map(do, items, 1)
