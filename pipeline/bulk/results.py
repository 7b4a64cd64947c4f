"""What becomes of items: their outputs and rows in place, or the reason why there are none."""

import logging
from dataclasses import dataclass, field
from importlib.metadata import version
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

from audiostyle.errors import AudiostyleError
from audiostyle.progress import bar
from audiostyle.retry import patiently
from pipeline.bulk.batches import Task
from pipeline.bulk.config import BulkConfig
from pipeline.bulk.items import Base, Item
from pipeline.bulk.ledger import Ledger, now
from pipeline.bulk.plan import Model, Plan, item_key

log = logging.getLogger(__name__)

# Outputs put into place at a time: that hides what a store far away, or a disk that is to have
# it all, takes to answer. Beside a store on the same two cores 8 took longer than one.
_PLACING = 4


class StoppedError(AudiostyleError):
    """The job ended at an item that failed, as asked for."""


@dataclass
class Outcome:
    """How a call ended. failed: ids that were set aside, with the reason; the first thousand.

    seconds: of each stage, and `all` that the processes had, from when they were ready to their
    last answer.
    """

    done: int = 0
    set_aside: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def spent(self, what: str, seconds: float) -> None:
        """Add to what was spent."""
        self.seconds[what] = self.seconds.get(what, 0.0) + seconds


class Results:
    """Puts down what comes of a plan's items, and counts."""

    def __init__(
        self, plan: Plan, ledger: Ledger, base: Base, model: Model, config: BulkConfig
    ) -> None:
        self.outcome = Outcome()
        self._ledger, self._base, self._model, self._config = ledger, base, model, config
        self._bar = bar(None, "stylize", plan.total)
        self._bar.update(plan.done)

    def place(self, task: Task, folder: Path, made: list[dict[str, Any]], seconds: float) -> None:
        """Put a batch's outputs, in `folder`, into place, and then their rows.

        made: what the process told of each item; one whose error is not empty is set aside.
        seconds: that the batch took. Raises AudiostyleError where storage fails for too long.
        """
        items = {item.id: item for item in task.items}
        good = [told for told in made if not told["error"]]
        self._put({told["output"]: folder / told["output"] for told in good})
        attempts = task.attempts + 1
        each = round(seconds / len(made), 3)
        self._append([self._done(items[told["id"]], told, attempts, each) for told in good])
        self.outcome.done += len(good)
        for told in made:
            if told["error"]:
                self.set_aside(items[told["id"]], told["error"], attempts)

    def set_aside(self, item: Item, reason: str, attempts: int) -> None:
        """Note that an item failed. Raises StoppedError where the job is to end then."""
        self._append([self._row(item, attempts, status="failed", error=reason)])
        self.outcome.set_aside += 1
        if len(self.outcome.failed) < 1000:
            self.outcome.failed[item.id] = reason
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

        # Its threads, unlike an executor's, hold up nobody who is interrupted.
        with ThreadPool(min(_PLACING, len(paths) or 1)) as pool:
            patiently(lambda: pool.map(put, list(paths), 1), self._config.patience, "stylize")

    def _append(self, rows: list[dict[str, Any]]) -> None:
        if rows:
            patiently(lambda: self._ledger.append(rows), self._config.patience, "stylize")
            self._bar.update(len(rows))

    def _done(
        self, item: Item, told: dict[str, Any], attempts: int, seconds: float
    ) -> dict[str, Any]:
        inputs = {role: file.get("tag", file["sha256"]) for role, file in told["inputs"].items()}
        row = self._row(
            item,
            attempts,
            seconds=seconds,
            key=item_key(item, self._base, self._model, inputs),
            **{name: told[name] for name in ("output", "bytes", "sha256", "measures", "losses")},
        )
        for role, file in told["inputs"].items():
            row["inputs"][role] |= file
        row["settings"]["stylize"] = told["settings"]
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
            "inputs": {role: {"place": place} for role, place in item.places().items()},
            "model": self._model.plain(),
            "settings": {"stylize": stylize.plain(), "reconstruct": reconstruct.plain()},
            "measures": {},
            "losses": {},
            "version": version("audiostyle"),
            "key": "",
            "error": "",
        }
        return row | more
