"""The commands `audiostyle runs`: what runs on a cluster."""

from typing import Any

import click

from audiostyle.command import Group
from audiostyle.errors import InputError
from audiostyle.terminal import say, say_table
from pipeline.commands.cluster_options import chosen, connected, opened, waiting
from pipeline.commands.submit import follow


@click.group(cls=Group)
def runs() -> None:
    """Runs on a Kubeflow Pipelines cluster."""


@runs.command("list")
@connected
@click.option("--experiment", metavar="NAME", help="Only its runs.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
def list_(experiment: str | None, limit: int, **options: Any) -> None:
    """List the newest runs."""
    api = opened(chosen(options))
    number = api.experiment(experiment, make=False) if experiment else None
    if experiment and number is None:
        raise InputError(f"experiment: there is no {experiment!r}")
    rows = [("run", "state", "created", "name")]
    for run in api.runs(number, limit):
        rows.append((run.run_id, _word(run.state), when(run.created_at), run.display_name or ""))
    say_table(rows)


@runs.command()
@click.argument("run_id", metavar="RUN")
@connected
@waiting
def show(run_id: str, wait: bool, poll: float, **options: Any) -> None:
    """Show a run: its tasks, parameters and page."""
    from pipeline.cluster import run_status
    from pipeline.cluster.api import RunSpec

    settings = chosen(options)
    api = opened(settings)
    run = api.run(run_id)
    spec = RunSpec.of(run)
    say(f"name     {run.display_name}")
    say(f"state    {_word(run.state)}")
    say(f"created  {when(run.created_at)}")
    if run.finished_at and run.state in run_status.DONE:
        say(f"ended    {when(run.finished_at)}")
    say(f"version  {spec.version_id}")
    say(f"page     {api.page(run_id)}")
    if run.state == "FAILED":
        say(f"error    {run_status.failure(run, api.client)}")
    for key, value in sorted(spec.parameters.items()):
        say(f"  {key}: {value}")
    found = run_status.tasks(run)
    say_table(
        [("task", "state", "started"), *((t.name, _word(t.state), when(t.start)) for t in found)]
    )
    if wait:
        follow(api, run_id, api.pipeline_name(spec.pipeline_id), spec.pipeline_root, poll)


@runs.command()
@click.argument("run_id", metavar="RUN")
@click.argument("task", required=False)
@connected
def logs(run_id: str, task: str | None, **options: Any) -> None:
    """Print the lines of a TASK; by default of the one that failed, or else the last.

    Asks the server of Kubeflow's web interface (--ui), which reads them from Kubernetes while the
    pod is there, and from the archive of the workflows' logs where the cluster keeps one. Without
    either: `kubectl logs POD --container main`.
    """
    from pipeline.cluster import run_status
    from pipeline.cluster.logs import lines

    api = opened(chosen(options))
    run = api.run(run_id)
    found = [t for t in run_status.tasks(run) if t.pod and (task is None or t.name == task)]
    if not found:
        names = ", ".join(dict.fromkeys(t.name for t in run_status.tasks(run))) or "none yet"
        raise InputError(f"task: {task or 'none'} has no pod in this run; its tasks: {names}")
    failed = [t for t in found if t.state == "FAILED"]
    # A name stands for several pods where the run is in shards.
    for one in found if task else (failed or found)[-1:]:
        say(f"{one.name}, pod {one.pod}", error=True)
        for text in lines(api.client, run_id, one.pod):
            say(text)


@runs.command()
@click.argument("run_id", metavar="RUN")
@connected
def cancel(run_id: str, **options: Any) -> None:
    """Stop a run; what has finished stays."""
    api = opened(chosen(options))
    api.cancel(run_id)
    say(f"cancelling {run_id}: {api.page(run_id)}")


def when(moment: Any) -> str:
    """A time of the server in this machine's zone."""
    return "" if moment is None else moment.astimezone().isoformat(" ", "seconds")


def _word(state: str | None) -> str:
    return (state or "unknown").lower()
