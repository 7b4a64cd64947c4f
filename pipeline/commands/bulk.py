"""`audiostyle stylize --manifest`: the command line of bulk jobs."""

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audiostyle.errors import InputError
from audiostyle.option_types import Number
from audiostyle.options import setting_options, values_from
from audiostyle.terminal import say
from pipeline.bulk.config import BulkConfig
from pipeline.commands.answers import Answer
from pipeline.commands.options import with_options

if TYPE_CHECKING:  # it imports torch, for which `--help` does not wait
    from pipeline.bulk.job import Summary


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a bulk job; `BulkRequest` takes them."""
    group = [
        click.option(
            "--manifest", metavar="FILE", help="CSV, JSON lines or YAML: id,content,style."
        ),
        click.option("--contents", metavar="GLOB", help="Instead: every one of these …"),
        click.option("--styles", metavar="GLOB", help="… in every one of these styles."),
        click.option("--out", metavar="URI", help="Folder or s3://bucket/prefix of the results."),
        click.option("--dry-run", is_flag=True, help="Print the plan: items, time, cost."),
        click.option("--price-per-hour", type=Number(0, 1e9), help="Of one machine."),
        click.option("--shard", metavar="I/N", default="0/1", help="Do every N-th item from I on."),
        setting_options(BulkConfig),
    ]
    return with_options(group)(function)


# What a single pair takes as well.
_SHARED = ("style", "shares")


@dataclass(frozen=True)
class BulkRequest:
    """A bulk job as the command line describes it."""

    manifest: str | None
    contents: str | None
    styles: str | None
    out: str | None
    dry_run: bool
    price_per_hour: float | None
    shard: str
    how: dict[str, Any]
    style: tuple[str, ...] = ()
    shares: str = ""

    @classmethod
    def take(cls, options: dict[str, Any]) -> "BulkRequest":
        """Take its options out of a command's."""
        names = [name for name in cls.__dataclass_fields__ if name not in ("how", *_SHARED)]
        return cls(
            **{name: options.pop(name) for name in names}, how=values_from(BulkConfig, options)
        )

    @property
    def is_complete(self) -> bool:
        """Whether a bulk job is described, and all that it needs."""
        styles = bool(self.styles) + bool(self.style)
        sources = bool(self.manifest) + bool(self.contents)
        chosen = styles == bool(self.contents) and not (self.shares and not self.style)
        return sources == 1 and chosen and bool(self.out)

    @property
    def is_empty(self) -> bool:
        """Whether no option of a bulk job was given."""
        return self == BulkRequest(None, None, None, None, False, None, "0/1", {})


def bulk(
    request: BulkRequest, stylize: Any, reconstruct: Any, find: Any, workspace: Path
) -> Answer:
    """Do a job, or plan it; the exit code is 1 where items were set aside.

    stylize, reconstruct: settings. find: puts a classifier into a folder, if it is in none;
    returns its folder and name.
    """
    from pipeline.bulk.items import Base
    from pipeline.bulk.job import Job, foresee, work
    from pipeline.styles import named_style

    job = Job(
        str(request.out),
        Base(stylize, reconstruct),
        BulkConfig.parse(request.how, "options"),
        request.manifest or "",
        request.contents or "",
        request.styles or "",
        named_style(request.style, request.shares) if request.style else None,
        _shard(request.shard),
    )
    if request.dry_run:
        plan = foresee(job, find, request.price_per_hour)
        return Answer.lines({"kind": "plan", **asdict(plan), "cost": plan.cost}, plan.lines())
    summary = work(job, find, workspace)
    if not summary.items:
        raise InputError(f"shard: {request.shard} has no item")
    return _outcome(summary)


def _outcome(summary: "Summary") -> Answer:
    counts = summary.counts
    value = {
        "kind": "job",
        "items": summary.items,
        "done_before": summary.before,
        "done": counts.done,
        "set_aside": counts.set_aside,
        "failed": counts.failed,
        "seconds": counts.seconds,
        "results": summary.results,
        "report": summary.page.address if summary.page else None,
    }
    return Answer(value, partial(_show, summary), 1 if counts.set_aside else 0)


def _show(summary: "Summary") -> None:
    counts = summary.counts
    say(
        f"Items     {summary.items}: {summary.before} done before, {counts.done} done now,"
        f" {counts.set_aside} set aside"
    )
    seconds = counts.seconds
    if len(seconds) > 1:
        stages = ", ".join(f"{name} {seconds[name]:.1f} s" for name in seconds if name != "all")
        say(f"Time      {stages}; processes had {seconds['all']:.1f} s")
    say(f"Results   {summary.results}")
    if summary.page:
        say(f"Report    {summary.page.address}")
    for id, reason in list(counts.failed.items())[:20]:
        say(f"{id}: {reason}", error=True)


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not match or not int(match[1]) < int(match[2]):
        raise InputError(f"shard: must be I/N with I from 0 to N-1 (got {text!r})")
    return int(match[1]), int(match[2])
