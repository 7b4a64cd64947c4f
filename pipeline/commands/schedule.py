"""The commands `audiostyle schedule`: recurring training on a cluster."""

from functools import partial
from typing import Any

import click

from audiostyle.command import Group
from audiostyle.terminal import say, say_fields, say_table
from pipeline.commands.answers import Answer, answering
from pipeline.commands.cluster_options import chosen, connected, opened, waiting
from pipeline.commands.options import with_options
from pipeline.commands.run_output import moment, started, when
from pipeline.commands.submit import PLACE, TRAINING, prepared, stamped, uploaded

_NAME = click.argument("name")


@click.group(cls=Group)
def schedule() -> None:
    """Recurring training on a Kubeflow Pipelines cluster.

    One run at a time, and none for moments that were missed. A run trains only if data, settings
    or release are not the champion's, and the gate decides on promotion.
    """


@schedule.command()
@_NAME
@with_options(TRAINING, PLACE)
@connected
@click.option(
    "--cron",
    required=True,
    metavar="CRON",
    help="Minute hour day month weekday, or six fields with seconds first; UTC by default.",
)
@click.option("--always", is_flag=True, help="Train even if nothing changed.")
@answering("schedule-create")
def create(name: str, cron: str, always: bool, **options: Any) -> Answer:
    """Make the schedule NAME, or change it."""
    from pipeline.cluster import schedules
    from pipeline.cluster.names import require_name
    from pipeline.cluster.submission import training_submission

    moment = schedules.cron(cron)
    require_name("name", name, 100)
    settings, submission = prepared(training_submission, {**options, "if_changed": not always})
    api = opened(settings)
    spec = uploaded(api, settings, submission)
    experiment = str(api.experiment(settings.cluster.experiment))
    schedule, done = schedules.put(api, experiment, name, moment, spec)
    say(f"Schedule  {name}, {schedule.recurring_run_id}: {done}")
    active = []
    if done == "updated":
        for run in schedules.active_runs(api, name):
            active.append(run.run_id)
            say(
                f"warning: {run.display_name} ({run.run_id}) goes on as it was started, and the"
                " server does not count it as this schedule's: the next run may begin beside it",
                error=True,
            )
    value = {"name": name, "schedule": schedule.recurring_run_id, "done": done, "active": active}
    return Answer(value)


@schedule.command("list")
@connected
@answering("schedule-list")
def list_(**options: Any) -> Answer:
    """List the schedules."""
    api = opened(chosen(options))
    rows = [("name", "status", "cron", "schedule")]
    values = []
    for schedule in api.schedules():
        values.append(_plain(schedule))
        rows.append(
            (schedule.display_name, _status(schedule), _cron(schedule), schedule.recurring_run_id)
        )
    return Answer(values, partial(say_table, rows))


@schedule.command()
@_NAME
@connected
@answering("schedule-show")
def show(name: str, **options: Any) -> Answer:
    """Show a schedule, its parameters and its last runs."""
    from pipeline.cluster import run_status, schedules
    from pipeline.cluster.run_spec import RunSpec

    api = opened(chosen(options))
    schedule = schedules.named(api, name)
    spec = RunSpec.of(schedule)
    say_fields(
        [
            ("name", name),
            ("status", _status(schedule)),
            ("cron", _cron(schedule)),
            ("id", schedule.recurring_run_id),
            ("version", spec.version_id),
        ]
    )
    for key, value in sorted(spec.parameters.items()):
        say(f"  {key}: {value}")
    recent = [
        (run.run_id, run_status.word(run_status.state_of(run)), run.created_at)
        for run in schedules.recent(api, name)
    ]
    rows = [(run, state, when(created)) for run, state, created in recent]
    say_table([("run", "state", "created"), *rows])
    value = {
        **_plain(schedule),
        "version": spec.version_id,
        "parameters": spec.parameters,
        "runs": [
            {"run": run, "state": state, "created": moment(created)}
            for run, state, created in recent
        ],
    }
    return Answer(value)


@schedule.command()
@_NAME
@connected
@answering("schedule-state")
def pause(name: str, **options: Any) -> Answer:
    """Let it start no more runs; a running one goes on."""
    from pipeline.cluster import schedules

    schedules.pause(opened(chosen(options)), name)
    return _state(name, "paused")


@schedule.command()
@_NAME
@connected
@answering("schedule-state")
def resume(name: str, **options: Any) -> Answer:
    """Let it start runs again; one for the last moment that was missed may start at once."""
    from pipeline.cluster import schedules

    schedules.resume(opened(chosen(options)), name)
    return _state(name, "enabled")


@schedule.command()
@_NAME
@connected
@answering("schedule-state")
def delete(name: str, **options: Any) -> Answer:
    """Delete it; its runs stay."""
    from pipeline.cluster import schedules

    schedules.delete(opened(chosen(options)), name)
    return _state(name, "deleted")


@schedule.command("run-now")
@_NAME
@connected
@click.option("--force", is_flag=True, help="Even while another of its runs is active.")
@waiting
@answering("submit")
def run_now(name: str, force: bool, wait: bool, poll: float, **options: Any) -> Answer:
    """Start what it would, now."""
    from pipeline.cluster import schedules
    from pipeline.cluster.run_spec import RunSpec

    api = opened(chosen(options))
    run = schedules.run_now(api, name, stamped(name), force=force)
    return started(api, run, RunSpec.of(run), poll if wait else None)


def _state(name: str, status: str) -> Answer:
    return Answer.lines({"name": name, "status": status}, [f"{name}: {status}"])


def _plain(schedule: Any) -> dict[str, Any]:
    return {
        "name": schedule.display_name,
        "status": _status(schedule),
        "cron": _cron(schedule),
        "schedule": schedule.recurring_run_id,
    }


def _status(schedule: Any) -> str:
    return "enabled" if schedule.status == "ENABLED" else "paused"


def _cron(schedule: Any) -> str:
    trigger = schedule.trigger.cron_schedule if schedule.trigger else None
    return (trigger.cron if trigger else None) or ""
