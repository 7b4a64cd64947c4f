"""The commands `audiostyle cluster`: whether a cluster has what runs need."""

from functools import partial
from typing import Any

import click

from audiostyle.command import Group
from audiostyle.terminal import say
from pipeline.commands.answers import Answer, answering
from pipeline.commands.cluster_options import chosen, connected

_SIGNS = {"ok": "ok", "missing": "MISSING", "unknown": "?"}


@click.group(cls=Group)
def cluster() -> None:
    """The cluster that runs are submitted to."""


@cluster.command()
@connected
@click.option("--allow-tags", is_flag=True, help="Accept images that are named by a tag.")
@answering("cluster-check")
def check(allow_tags: bool, **options: Any) -> Answer:
    """Look at what a run will need, and say how to get what is missing.

    The server, images, and, where this machine may ask Kubernetes: namespace, service account,
    secrets, the launcher's settings, volumes, room on the nodes. MLflow and the bucket, where they
    are reached from here. Exits with 1 where something is missing.
    """
    from pipeline.cluster.check import findings
    from pipeline.cluster.client import Client

    settings = chosen(options)
    connection = settings.cluster.connection
    results = []
    for finding in findings(settings.cluster, lambda: Client(connection), allow_tags=allow_tags):
        results.append(finding)
        # As soon as it is known: some answers take seconds.
        say(f"{_SIGNS[finding.state]:8}{finding.name:16}{finding.text}")
    missing = sum(finding.state == "missing" for finding in results)
    rows = [{"name": f.name, "state": f.state, "text": f.text} for f in results]
    return Answer(
        {"ready": missing == 0, "findings": rows}, partial(_warn, missing), min(missing, 1)
    )


def _warn(missing: int) -> None:
    if missing:
        say(f"{missing} missing: a run would not succeed", error=True)
