"""The command `audiostyle doctor`: what is there, what is not, and what to do."""

from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from audiostyle.command import Command
from audiostyle.option_types import Number
from audiostyle.uris import require_no_secret
from pipeline.commands.answers import Answer, answering
from pipeline.commands.cluster_options import chosen, connected
from pipeline.commands.options import TRACKING, WORKSPACE

_STATES = {"ok": "ok", "absent": "not set up", "problem": "problem"}


@click.command(cls=Command, short_help="Check this machine and the servers you use.")
@connected
@WORKSPACE
@TRACKING
@click.option("--store", default="", metavar="URI", help="A bucket to try: s3://bucket/prefix.")
@click.option(
    "--limit",
    type=Number(1, 86400),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="The longest that a check may take.",
)
@answering("doctor")
def doctor(
    workspace: Path,
    tracking_uri: str | None,
    store: str,
    limit: float,
    **options: Any,
) -> Answer:
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
    checks = [{"name": name, **asdict(finding)} for name, finding in findings.items()]
    report = {"audiostyle": version("audiostyle"), "ok": good, "checks": checks}
    lines = []
    for name, finding in findings.items():
        lines.append(f"{_STATES[finding.state]:10}  {name:9} {finding.detail}")
        if finding.remedy:
            lines.append(f"{'':22}{finding.remedy}")
    return Answer.lines(report, lines, 0 if good else 1)
