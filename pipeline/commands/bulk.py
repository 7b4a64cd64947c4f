"""`audiostyle stylize --manifest`: the command line of bulk jobs."""

import contextlib
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from audiostyle.artifacts import CLASSIFIER, digest_of, opening
from audiostyle.errors import AudiostyleError, InputError
from audiostyle.patience import patiently

_HELP = {
    "on_error": "After an item was set aside: go on with the others, or stop.",
    "retries": "More attempts for an item that failed.",
    "time_limit": "Seconds for an item before it is ended.",
    "patience": "Seconds for which storage that fails is waited for.",
    "workers": "Processes. [default: one a core; one for a GPU]",
    "report": "Items on the report page.",
}


def options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a bulk job; `Request` takes them."""
    made = [
        click.option(
            "--manifest", metavar="FILE", help="CSV, JSON lines or YAML: id,content,style."
        ),
        click.option("--contents", metavar="GLOB", help="Instead: every one of these …"),
        click.option("--styles", metavar="GLOB", help="… in every one of these styles."),
        click.option("--out", metavar="URI", help="Folder or s3://bucket/prefix of the results."),
        click.option("--dry-run", is_flag=True, help="Print the plan: items, time, cost."),
        click.option("--price-per-hour", type=click.FloatRange(0), help="Of one machine."),
        click.option("--shard", metavar="I/N", default="0/1", help="Do every N-th item from I on."),
        click.option("--on-error", type=click.Choice(["skip", "stop"]), help=_HELP["on_error"]),
        click.option("--retries", type=int, help=_HELP["retries"]),
        click.option("--time-limit", type=float, help=_HELP["time_limit"]),
        click.option("--patience", type=float, help=_HELP["patience"]),
        click.option("--workers", type=int, help=_HELP["workers"]),
        click.option("--report", type=int, help=_HELP["report"]),
    ]
    for option in reversed(made):
        function = option(function)
    return function


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    manifest: str | None
    contents: str | None
    styles: str | None
    out: str | None
    dry_run: bool
    price_per_hour: float | None
    shard: str
    how: dict[str, Any]

    @classmethod
    def taken(cls, given: dict[str, Any]) -> "Request":
        """Take its options out of a command's."""
        how = {name: value for name in _HELP if (value := given.pop(name)) is not None}
        names = [name for name in cls.__dataclass_fields__ if name != "how"]
        return cls(**{name: given.pop(name) for name in names}, how=how)

    @property
    def many(self) -> bool:
        """Whether a bulk job is asked for, wholly."""
        sources = bool(self.manifest) + bool(self.contents and self.styles)
        return sources == 1 and bool(self.contents) == bool(self.styles) and bool(self.out)

    @property
    def nothing(self) -> bool:
        """Whether no option of a bulk job was given."""
        return self == Request(None, None, None, None, False, None, "0/1", {})


def bulk(
    request: Request,
    stylize: Any,
    reconstruct: Any,
    model: Callable[[Path], tuple[Path, str]],
    workspace: Path,
) -> None:
    """Do a job, or print its plan; exits with 1 where items were set aside.

    stylize, reconstruct: settings. model: puts a classifier into a folder, if it is not in one;
    returns where it is and what it is called.
    """
    from pipeline.bulk import manifest
    from pipeline.bulk.ledger import STATE, Ledger
    from pipeline.bulk.lock import Lock
    from pipeline.bulk.manifest import Base
    from pipeline.bulk.plan import Model, Rates, plan, told
    from pipeline.bulk.report import write
    from pipeline.bulk.run import BulkConfig, StoppedError, run

    index, count = _shard(request.shard)
    config = BulkConfig.parse(request.how, "options")
    base = Base(stylize, reconstruct)
    out = str(request.out)
    ledger = Ledger(out, (index, count))
    with tempfile.TemporaryDirectory(prefix="audiostyle-") as temporary:
        folder = Path(temporary)
        if request.manifest:
            items = manifest.read(request.manifest, base, folder / "items")
        else:
            items = manifest.product(
                str(request.contents), str(request.styles), base, folder / "items"
            )
        items = items.shard(index, count, folder / "shard")
        if not items.count:
            raise InputError(f"shard: {request.shard} has no item")
        classifier, name = model(folder)
        used = Model(classifier, name, opening(classifier, CLASSIFIER).digest)
        if request.dry_run:
            patiently(ledger.load, config.patience, "stylize")
            found = plan(items, ledger, base, used, folder / "todo")
            processes = config.processes(base)
            text = told(found, Rates(ledger.state), processes, count, request.price_per_hour)
            click.echo(text)
            return
        if ledger.folder is not None:
            ledger.store.check()
        lock = Lock(ledger.state, (index, count), config.patience)
        lock.take()
        if ledger.folder is not None:
            work = ledger.folder / STATE
        else:
            work = workspace / "unfinished"
        scratch = work / f"bulk-{digest_of([out, index, count])[:16]}"
        with lock.kept(), _cleared(scratch):
            ledger.clean()
            patiently(ledger.load, config.patience, "stylize")
            found = plan(items, ledger, base, used, folder / "todo")
            stopped = ""
            try:
                outcome = run(found, ledger, lock, base, used, config, scratch)
            except StoppedError as error:
                stopped = str(error)
            patiently(lambda: ledger.compact(scratch / "results"), config.patience, "stylize")
            if stopped:
                raise AudiostyleError(f"stopped at {stopped}; the same command goes on")
            page = ""
            if config.report and count == 1 and (outcome.done or outcome.set_aside):
                page = write(items, ledger, base, used, config.report, scratch)
            shutil.rmtree(scratch, ignore_errors=True)
            with contextlib.suppress(OSError):  # others' work, or a workspace in use
                if ledger.folder is None:
                    work.rmdir()
                    workspace.rmdir()
    click.echo(
        f"Items     {items.count}: {found.done} done before, {outcome.done} done now,"
        f" {outcome.set_aside} set aside"
    )
    spent = outcome.seconds
    if len(spent) > 1:
        stages = ", ".join(f"{name} {spent[name]:.1f} s" for name in spent if name != "all")
        click.echo(f"Time      {stages}; processes had {spent['all']:.1f} s")
    click.echo(f"Results   {ledger.store.uri.removeprefix('file://')}/{ledger.name}")
    if page:
        click.echo(f"Report    {page}")
    if outcome.set_aside:
        for id, reason in list(outcome.failed.items())[:20]:
            click.echo(f"{id}: {reason}", err=True)
        sys.exit(1)


@contextmanager
def _cleared(scratch: Path) -> Iterator[None]:
    """What a call that was killed left goes, but for windows of long items to go on from."""
    scratch.mkdir(parents=True, exist_ok=True)
    for left in scratch.iterdir():
        if left.is_dir() and left.name != "kept":
            shutil.rmtree(left, ignore_errors=True)
        elif left.is_file():
            left.unlink()
    yield


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if not match or not int(match[1]) < int(match[2]):
        raise InputError(f"shard: must be I/N with I from 0 to N-1 (got {text!r})")
    return int(match[1]), int(match[2])
