"""A run's figures as data, `OUT/data/paper-SIZE.json`: the page is written from these files."""

import json
from pathlib import Path

from pydantic import Field

from audiostyle.config import Config
from audiostyle.errors import InputError
from audiostyle.files import write_text

SIZES = ("full", "scaled", "tiny")  # the largest first
_FOR_TESTS = SIZES[2:]


class Row(Config):
    """A system from one start: means over the pairs.

    iterations: at most. steps: those that were taken, None if that is not known. figures: by the
    name of the measure; one that is not installed is left out.
    """

    system: str
    start: str
    iterations: int
    steps: float | None = None
    figures: dict[str, float]


class Results(Config):
    """The figures of a run.

    divisor: the paper's iterations, divided by it, are those of table 1. table_1: losses by
    iteration of the paper. missing: labels of the systems that are not finished. note: what a
    reader should know of this run, in Markdown.
    """

    size: str
    filters: int = Field(gt=0)
    divisor: int = Field(gt=0)
    rows: tuple[Row, ...]
    table_1: dict[int, float] = Field(default_factory=dict)
    missing: tuple[str, ...] = ()
    note: str = ""

    def value(self, system: str, start: str, measure: str) -> float | None:
        """A figure; None where the system is no part of the run, or the measure is missing."""
        for row in self.rows:
            if (row.system, row.start) == (system, start):
                return row.figures.get(measure)
        return None

    def save(self, folder: Path) -> None:
        """Write the file of this size in `folder`, whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        write_text(_path(folder, self.size), json.dumps(self.plain(), indent=2) + "\n")


def saved(folder: Path) -> list[Results]:
    """Those in a folder, the largest first. The size for tests is only there by itself.

    Raises InputError that names the file and what is wrong with it.
    """
    runs: list[Results] = []
    for size in SIZES:
        path = _path(folder, size)
        if not path.exists() or (size in _FOR_TESTS and runs):
            continue
        results = Results.load(path)
        if results.size != size:
            raise InputError(f"{path}: size: must be {size} (got {results.size})")
        runs.append(results)
    return runs


def has_larger(folder: Path, size: str) -> bool:
    """Whether there are figures of a larger size in a folder."""
    return any(_path(folder, each).exists() for each in SIZES[: SIZES.index(size)])


def _path(folder: Path, size: str) -> Path:
    return folder / f"paper-{size}.json"
