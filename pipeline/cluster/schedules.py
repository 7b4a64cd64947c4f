"""Schedules by name: one of a name is enabled, or none where it is paused.

The server knows schedules by ids, lets several have one name, and cannot change one. So a change
makes a second, paused, then pauses the first, enables the second and deletes the first. Between
pausing and enabling there is none for an instant; the other way round there would be two, and a
moment at which both fire trains twice. Whatever stops this halfway is undone, or, where the
server is gone, said; giving the command again completes it.
"""

import re
from dataclasses import replace
from typing import Any

from audiostyle.errors import AudiostyleError, InputError
from pipeline.cluster.api import ACTIVE, Api
from pipeline.cluster.run_spec import RunSpec

ENABLED = "ENABLED"
_REPLACES = "replaces "  # in a schedule's description, with ids
_REMEMBERED = 5  # of schedules that were replaced
# A field of robfig/cron: lowest, highest, names. https://pkg.go.dev/github.com/robfig/cron
_FIELDS = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    (
        "month",
        1,
        12,
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    ),
    ("day of week", 0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # days of each month


def cron(text: str) -> str:
    """A cron expression as Kubeflow takes it: six fields, seconds first; five get `0` before.

    Raises InputError that names the field. Times are in the zone of the cluster's controller,
    UTC by default.
    """
    fields = text.split()
    if len(fields) == 5:
        fields = ["0", *fields]
    if len(fields) != 6:
        raise InputError(
            f"cron: must have 5 fields (minute hour day month weekday), or 6 with seconds first"
            f" (got {text!r})"
        )
    for field, (name, low, high, words) in zip(fields, _FIELDS, strict=True):
        for part in field.split(","):
            _check(part, name, low, high, words, text)
    _check_comes(fields, text)
    return " ".join(fields)


def _check_comes(fields: list[str], text: str) -> None:
    """Refuse days that none of the months has, as 31 February."""
    days, months, weekday = fields[3], fields[4], fields[5]
    if not weekday.startswith(("*", "?")):
        return  # a day of the week as well as one of the month will do
    names = _FIELDS[4][3]
    if not any(
        min(_values(days, 1, 31, ())) <= _LONGEST[month - 1]
        for month in _values(months, 1, 12, names)
    ):
        raise InputError(f"cron: {text!r} never comes: no such month has a day {days}")


def _values(field: str, low: int, high: int, words: tuple[str, ...]) -> set[int]:
    """Numbers that a field, which `_check` has passed, stands for."""
    values: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        ends = [
            int(end) if end.isdigit() else low + words.index(end.lower())
            for end in span.split("-")
            if end not in ("*", "?")
        ]
        first = ends[0] if ends else low
        # With a step, a single number is where it begins.
        last = ends[1] if len(ends) == 2 else first if ends and not step else high
        values.update(range(first, last + 1, int(step or 1)))
    return values


def _check(part: str, name: str, low: int, high: int, words: tuple[str, ...], text: str) -> None:
    matched = re.fullmatch(r"(\*|\?|(\w+)(?:-(\w+))?)(?:/(\d+))?", part)
    ends = [] if matched is None else [e for e in matched.groups()[1:3] if e is not None]
    numbers = [
        int(e) if e.isdigit() else low + words.index(e.lower()) if e.lower() in words else None
        for e in ends
    ]
    steps = matched.group(4) if matched else None
    wrong = (
        matched is None
        or any(n is None or not low <= n <= high for n in numbers)
        or (len(numbers) == 2 and (numbers[0] or 0) > (numbers[1] or 0))
        or (steps is not None and int(steps) < 1)
        or (part.startswith("?") and name not in ("day of month", "day of week"))
    )
    if wrong:
        raise InputError(f"cron: {part!r} is no {name}, {low} to {high} (in {text!r})")


def put(api: Api, experiment: str, name: str, when: str, spec: RunSpec) -> tuple[Any, str]:
    """Let the schedule of a name be this; returns it and what was done.

    What was done: created, updated or unchanged. One that is paused stays paused.
    """
    before = api.schedules(name)
    enabled = [s for s in before if s.status == ENABLED]
    # One that is paused was paused by someone. Two that are, were left by a change cut short.
    on = bool(enabled) or len(before) != 1
    same = [s for s in before if _is(s, experiment, when, spec)]
    unchanged = next((s for s in same if s in enabled), same[0] if same else None)
    about = _REPLACES + " ".join(_ids(before)) if before else ""
    schedule = unchanged or api.schedule(experiment, name, when, spec, about)
    others = [s for s in before if s is not schedule]
    if on and schedule not in enabled:
        _swap(api, schedule, enabled)
    _delete(api, others)
    own, schedule = schedule, _only(api, name, schedule)
    if schedule is not own and not _is(schedule, experiment, when, spec):
        raise AudiostyleError(
            f"schedule {name}: another command made it at the same time, otherwise; see `audiostyle"
            f" schedule show {name}`, and give the command again to change it"
        )
    if not before:
        return schedule, "created"
    return schedule, "unchanged" if before == [schedule] else "updated"


def _swap(api: Api, new: Any, old: list[Any]) -> None:
    """Enable one instead of others; all as it was where that fails."""
    paused = []
    try:
        for schedule in old:
            paused.append(schedule)
            api.disable(schedule.recurring_run_id)
        api.enable(new.recurring_run_id)
    except (AudiostyleError, KeyboardInterrupt) as error:
        try:
            api.disable(new.recurring_run_id)
            # One is enough: more would be two again.
            for schedule in paused[:1]:
                api.enable(schedule.recurring_run_id)
            api.unschedule(new.recurring_run_id)
        except AudiostyleError as second:
            raise AudiostyleError(
                f"schedule {new.display_name}: may be paused now ({second}); see `audiostyle"
                " schedule list`, and give the command again"
            ) from error
        raise


def _only(api: Api, name: str, schedule: Any) -> Any:
    """The one schedule of a name that stays enabled; the one given where no other is.

    Two commands at a time see none and make one each. Both keep the same of them.
    """
    enabled = [each for each in api.schedules(name) if each.status == ENABLED]
    if len(enabled) < 2:
        return schedule
    first = min(enabled, key=lambda each: str(each.recurring_run_id))
    _delete(api, [each for each in enabled if each is not first])
    return schedule if first.recurring_run_id == schedule.recurring_run_id else first


def _delete(api: Api, schedules: list[Any]) -> None:
    for schedule in schedules:
        api.unschedule(schedule.recurring_run_id)


def _is(schedule: Any, experiment: str, when: str, spec: RunSpec) -> bool:
    trigger = schedule.trigger.cron_schedule if schedule.trigger else None
    return (
        schedule.experiment_id == experiment
        and (trigger.cron if trigger else None) == when
        and schedule.no_catchup is True
        and str(schedule.max_concurrency) == "1"
        and _same_spec(RunSpec.of(schedule), spec)
    )


def _same_spec(spec: RunSpec, wanted: RunSpec) -> bool:
    """Whether a schedule does what is wanted. The server fills in the account that is left out."""
    if not wanted.service_account:
        spec = replace(spec, service_account="")
    return spec == wanted


def _ids(schedules: list[Any]) -> set[str]:
    """Ids of schedules, and of those that they replaced: their runs may still be active."""
    ids = {str(s.recurring_run_id) for s in schedules}
    for schedule in schedules:
        for line in (schedule.description or "").splitlines():
            if line.startswith(_REPLACES):
                ids |= set(line.removeprefix(_REPLACES).split()[:_REMEMBERED])
    return ids


def named(api: Api, name: str) -> Any:
    """The schedule of a name: the enabled one, or the newest. Raises InputError for none."""
    schedules = api.schedules(name)
    if not schedules:
        raise InputError(f"schedule: there is no {name!r}; `audiostyle schedule list` shows all")
    return next((s for s in schedules if s.status == ENABLED), schedules[0])


def pause(api: Api, name: str) -> None:
    """Let it start no more runs; all of the name, so that none is left."""
    named(api, name)
    for schedule in api.schedules(name):
        if schedule.status == ENABLED:
            api.disable(schedule.recurring_run_id)


def resume(api: Api, name: str) -> None:
    """Let it start runs again: one of the name."""
    schedule = named(api, name)
    if schedule.status != ENABLED:
        api.enable(schedule.recurring_run_id)


def delete(api: Api, name: str) -> None:
    """Delete all of the name; their runs stay."""
    named(api, name)
    _delete(api, api.schedules(name))


def recent(api: Api, name: str, most: int = 10) -> list[Any]:
    """The newest runs that the schedule started, or that were started for it, newest first."""
    ids = _ids(api.schedules(name))
    experiment = named(api, name).experiment_id
    return [
        run
        for run in api.runs(experiment, 100)
        if run.recurring_run_id in ids or (run.description or "").startswith(_marker(name))
    ][:most]


def active_runs(api: Api, name: str) -> list[Any]:
    """Runs of the schedule that have not ended, those of a schedule that it replaced among them."""
    return [run for run in recent(api, name) if run.state in ACTIVE]


def run_now(api: Api, name: str, run_name: str, *, force: bool = False) -> Any:
    """Start what the schedule would, now; paused or not.

    force: also while another of its runs is active. Raises InputError without it.
    """
    schedule = named(api, name)
    active = active_runs(api, name)
    if active and not force:
        raise InputError(
            f"schedule {name}: {active[0].display_name} ({active[0].run_id}) is active, and there"
            " is one run at a time; wait, cancel it, or give --force"
        )
    return api.start(schedule.experiment_id, run_name, RunSpec.of(schedule), _marker(name))


def _marker(name: str) -> str:
    return f"audiostyle schedule {name}\n"
