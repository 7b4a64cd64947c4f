"""The commands `audiostyle runs`: what runs on a cluster."""

from functools import partial
from typing import Any

import click

from audiostyle.command import Group
from audiostyle.errors import InputError
from audiostyle.terminal import say, say_fields, say_lines, say_table
from pipeline.commands.answers import Answer, answering
from pipeline.commands.cluster_options import chosen, connected, opened, waiting
from pipeline.commands.run_output import follow, moment, root_of, when


@click.group(cls=Group)
def runs() -> None:
    """Runs on a Kubeflow Pipelines cluster."""


@runs.command("list")
@connected
@click.option("--experiment", metavar="NAME", help="Only its runs.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@answering("runs-list")
def list_(experiment: str | None, limit: int, **options: Any) -> Answer:
    """List the newest runs.

    A run whose Workflow is gone is marked, if this machine may ask Kubernetes: it runs no more.
    """
    from pipeline.cluster import kubernetes_api, run_status
    from pipeline.cluster.api import DONE

    api = opened(chosen(options))
    number = api.experiment(experiment, make=False) if experiment else None
    if experiment and number is None:
        raise InputError(f"experiment: there is no {experiment!r}")
    rows = [("run", "state", "created", "name")]
    values = []
    newest = api.runs(number, limit)
    there = None
    if any(run.state not in DONE for run in newest):
        there = kubernetes_api.running_workflows(api.client.pods)
    # Where none of the runs has a Workflow, this machine may well ask another cluster.
    known = {run.run_id for run in newest} & (there or set())
    for run in newest:
        state = run_status.word(run_status.state_of(run))
        gone = bool(known and run.state not in DONE and run.run_id not in known)
        values.append(
            {
                "run": run.run_id,
                "name": run.display_name or "",
                "state": state,
                "created": moment(run.created_at),
                "workflow_gone": gone,
            }
        )
        if gone:
            state += ", Workflow gone"
        rows.append((run.run_id, state, when(run.created_at), run.display_name or ""))
    return Answer(values, partial(say_table, rows))


@runs.command()
@click.argument("run_id", metavar="RUN")
@connected
@waiting
@answering("runs-show")
def show(run_id: str, wait: bool, poll: float, **options: Any) -> Answer:
    """Show a run: its tasks, parameters and page."""
    from pipeline.cluster import run_details, run_status
    from pipeline.cluster.api import DONE
    from pipeline.cluster.logs import Outputs
    from pipeline.cluster.run_spec import RunSpec

    settings = chosen(options)
    api = opened(settings)
    run = api.run(run_id)
    spec = RunSpec.of(run)
    state = run_status.last_state(run, api.client)
    fields = [
        ("name", run.display_name),
        ("state", run_status.word(state)),
        ("created", when(run.created_at)),
    ]
    if run.finished_at and run.state in DONE:
        fields.append(("ended", when(run.finished_at)))
    fields += [("version", spec.version_id), ("page", api.page(run_id))]
    error = ""
    if state == "FAILED":
        outputs = Outputs(root_of(run), api.pipeline_name(spec.pipeline_id), run_id)
        error = run_status.failure(run, api.client, outputs)
        fields.append(("error", error))
    say_fields(fields)
    for key, value in sorted(spec.parameters.items()):
        say(f"  {key}: {value}")
    tasks = [
        {
            "task": task.label,
            "state": run_status.state_of_task(task),
            "started": moment(task.start),
            "pods": task.attempts,
        }
        for task in run_details.tasks(run)
    ]
    rows = [
        (task.label, run_status.state_of_task(task), when(task.start), str(task.attempts))
        for task in run_details.tasks(run)
    ]
    say_table([("task", "state", "started", "pods"), *rows])
    value = {
        "run": run_id,
        "name": run.display_name or "",
        "state": run_status.word(state),
        "created": moment(run.created_at),
        "ended": moment(run.finished_at) if run.state in DONE else None,
        "version": spec.version_id,
        "page": api.page(run_id),
        "error": str(error),
        "parameters": spec.parameters,
        "tasks": tasks,
        "outputs": [],
    }
    if not wait:
        return Answer(value)
    name = api.pipeline_name(spec.pipeline_id)
    end = follow(api, run_id, name, spec.pipeline_root, poll)
    return Answer({**value, **end.value}, exit_code=end.exit_code)


@runs.command()
@click.argument("run_id", metavar="RUN")
@click.argument("task", required=False)
@connected
def logs(run_id: str, task: str | None, **options: Any) -> None:
    """Print the lines of a TASK; by default of the one that failed, or else the last.

    TASK is a name, or a name and a shard: bulk[3]. The lines come from the bucket, if this machine
    may read it (AWS_…); else from the API, which has what Argo archived; else from the web
    interface's server (--ui).
    """
    from pipeline.cluster import run_details
    from pipeline.cluster.logs import Outputs, ended_shards, lines, missing
    from pipeline.cluster.run_spec import RunSpec

    api = opened(chosen(options))
    run = api.run(run_id)
    every = run_details.tasks(run)
    selected = [each for each in every if task is None or task in (each.name, each.label)]
    name = api.pipeline_name(RunSpec.of(run).pipeline_id)
    outputs = Outputs(root_of(run), name, run_id)
    if not selected and task and task.endswith("]"):
        # The server stops to tell of the tasks of a large run; the bucket has their lines.
        texts = [text for label, text in ended_shards(outputs, set()) if label == task]
        if texts:
            say_lines(texts[-1].rstrip("\n"))
            return
    if not selected:
        names = ", ".join(dict.fromkeys(each.label for each in every)) or "none yet"
        raise InputError(f"task: {task or 'none'} has not begun in this run; its tasks: {names}")
    if task is None:
        failed = [each for each in selected if each.state == "FAILED"]
        with_pod = [each for each in selected if each.pod]
        selected = (failed or with_pod or selected)[-1:]
    elif all(not each.pod for each in selected):
        raise InputError(f"logs: {selected[0].label}: {missing(api.client, selected[0])}")
    # A name stands for several tasks where the run is in shards.
    for each in selected:
        say(f"{each.label}, {each.attempts} pod{'s' * (each.attempts != 1)}", error=True)
        for text in lines(api.client, outputs, each):
            say(text)


@runs.command()
@click.argument("run_id", metavar="RUN")
@connected
@answering("runs-cancel")
def cancel(run_id: str, **options: Any) -> Answer:
    """Stop a run; what has finished stays."""
    from pipeline.cluster import canceled_runs, kubernetes_api, run_status
    from pipeline.cluster.api import DONE

    api = opened(chosen(options))
    before = api.cancel(run_id)
    if before not in DONE:
        canceled_runs.remember(run_id)
    page = api.page(run_id)
    if before in DONE:
        line = f"{run_id} has ended ({run_status.word(before)}): {page}"
    elif before != "CANCELING":
        line = f"canceling {run_id}: {page}"
    elif run_id in (kubernetes_api.running_workflows(api.client.pods) or {run_id}):
        line = f"{run_id} is being canceled: {page}"
    else:
        line = (
            f"{run_id} has no Workflow any more, so nothing of it runs; the server keeps calling it"
            f" canceling, and its record can only be deleted: {page}"
        )
    value = {"run": run_id, "before": run_status.word(before), "page": page}
    return Answer.lines(value, [line])
