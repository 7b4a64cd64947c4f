"""The command `audiostyle doctor`: what is there, what is not, and what to do."""

import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from audiostyle.command import Command
from audiostyle.terminal import say, say_json
from audiostyle.uris import require_no_secret
from pipeline.commands.cluster_options import chosen, connected
from pipeline.commands.options import TRACKING, WORKSPACE

_STATES = {"ok": "ok", "absent": "not set up", "problem": "problem"}


@click.command(cls=Command)
@connected
@WORKSPACE
@TRACKING
@click.option("--store", default="", metavar="URI", help="A bucket to try: s3://bucket/prefix.")
@click.option(
    "--limit",
    type=click.FloatRange(1),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="The longest that a check may take.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(
    workspace: Path,
    tracking_uri: str | None,
    store: str,
    limit: float,
    as_json: bool,
    **options: Any,
) -> None:
    """Check this machine and the servers that are set: what works, what does not, what to do.

    Nothing is changed, and no secret is printed. Exits with 1 where there is a problem; what is
    optional and not set up is none.
    """
    from pipeline.doctor.examination import examine
    from pipeline.doctor.finding import Surroundings

    around = Surroundings(
        workspace=str(workspace.absolute()),
        tracking_uri=require_no_secret("tracking-uri", tracking_uri or ""),
        store=require_no_secret("store", store),
        connection=chosen(options).cluster.connection.plain(),
        seconds=min(10.0, limit / 2),
    )
    findings = examine(around, limit)
    good = all(finding.state != "problem" for finding in findings.values())
    if as_json:
        checks = [{"name": name, **asdict(finding)} for name, finding in findings.items()]
        report = {"audiostyle": version("audiostyle"), "ok": good, "checks": checks}
        say_json(report)
    else:
        for name, finding in findings.items():
            say(f"{_STATES[finding.state]:10}  {name:9} {finding.detail}")
            if finding.remedy:
                say(f"{'':22}{finding.remedy}")
    sys.exit(0 if good else 1)
