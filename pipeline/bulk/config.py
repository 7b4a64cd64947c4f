"""How a bulk job is done: patience, limits, and how many processes share the machine."""

import os
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from audiostyle.config import Config

if TYPE_CHECKING:  # it imports what `--help` does without
    from pipeline.bulk.items import Base


class BulkConfig(Config):
    """How a job is done; none of it changes what comes out."""

    on_error: Literal["skip", "stop"] = Field(
        "skip", description="after an item failed: skip it, or stop"
    )
    retries: int = Field(2, ge=0, le=100, description="more attempts for an item that failed")
    time_limit: float = Field(
        600, gt=0, description="seconds after which an item, or a batch, is stopped"
    )
    patience: float = Field(
        300, ge=0, description="seconds to keep retrying while storage is unavailable"
    )
    workers: int | None = Field(
        None, ge=1, le=256, description="processes [default: one per core; one for a GPU]"
    )
    report: int = Field(50, ge=0, le=1000, description="items on the report page; 0: no page")

    def processes(self, base: "Base") -> int:
        """How many processes work."""
        return self.workers or (1 if _on_gpu(base) else _cores())

    def threads(self, base: "Base") -> int:
        """Threads of each.

        One where all is done on the CPU: sums over several end in other bits, and results would
        depend on how many processes there are.
        """
        return max(1, _cores() // self.processes(base)) if _on_gpu(base) else 1


def _on_gpu(base: "Base") -> bool:
    from audiostyle import network  # torch: a second, which a dry run can do without

    return network.device_of(base.stylize.device).type == "cuda"


def _cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1
