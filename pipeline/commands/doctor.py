"""The command `audiostyle doctor`: what is there, what is not, and what to do."""

import json
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click

from audiostyle.command import Command
from audiostyle.errors import InputError
from audiostyle.terminal import say, say_lines
from audiostyle.uris import require_no_secret
from pipeline.commands.cluster_options import connected
from pipeline.commands.options import TRACKING, WORKSPACE

_CONNECTION = ("host", "ui", "namespace", "token_file", "ca_file")
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
        connection=_connection(options),
        seconds=min(10.0, limit / 2),
    )
    findings = examine(around, limit)
    good = all(finding.state != "problem" for finding in findings.values())
    if as_json:
        checks = [{"name": name, **asdict(finding)} for name, finding in findings.items()]
        report = {"audiostyle": version("audiostyle"), "ok": good, "checks": checks}
        say_lines(json.dumps(report, indent=2))
    else:
        for name, finding in findings.items():
            say(f"{_STATES[finding.state]:10}  {name:9} {finding.detail}")
            if finding.remedy:
                say(f"{'':22}{finding.remedy}")
    sys.exit(0 if good else 1)


def _connection(options: dict[str, Any]) -> dict[str, str]:
    """Settings of the cluster's connection: options over the file. The checks read no file."""
    config = options.pop("config")
    read: dict[str, str] = {}
    if config:
        from pipeline import settings

        read = settings.load(config).cluster.connection.plain()
    connection = {**read, **{name: options[name] for name in _CONNECTION if options[name]}}
    if "@" in connection.get("host", "").partition("://")[2].partition("/")[0]:
        raise InputError("host: must hold no password: use --token-file")
    return connection
