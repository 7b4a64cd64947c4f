"""What commands print of runs: a table, one run that is followed, where its outputs are."""

import sys
import time
from typing import TYPE_CHECKING, Any

from audiostyle.errors import AudiostyleError
from audiostyle.terminal import say
from pipeline.commands.answers import Answer

if TYPE_CHECKING:
    from pipeline.cluster.api import Api
    from pipeline.cluster.run_spec import RunSpec

CANCELED = 3  # exit code of a command that saw its run canceled


# What the answer of a command says of a run that it started and did not follow.
_NOT_FOLLOWED = {"state": "started", "outputs": [], "error": ""}


def moment(time: Any) -> str | None:
    """A time of the server, for a program."""
    return None if time is None else str(time.isoformat())


def when(moment: Any) -> str:
    """A time of the server in this machine's zone."""
    return "" if moment is None else moment.astimezone().isoformat(" ", "seconds")


def started(
    api: "Api", run: Any, spec: "RunSpec", poll: float | None, pipeline: str = ""
) -> Answer:
    """Print a run that was started, and follow it where there is a time between two looks.

    pipeline: its name, where it is known; else the server is asked.
    """
    say(f"Run       {run.display_name}, {run.run_id}")
    page = api.page(run.run_id)
    value = {"run": run.run_id, "name": run.display_name, "page": page}
    if poll is None:
        say(f"Page      {page}")
        return Answer({**value, **_NOT_FOLLOWED})
    name = pipeline or api.pipeline_name(spec.pipeline_id)
    end = follow(api, run.run_id, name, spec.pipeline_root, poll)
    return Answer({**value, **end.value}, exit_code=end.exit_code)


def follow(api: "Api", run_id: str, pipeline: str, root: str, poll: float) -> Answer:
    """Print a run's changes until it has ended; the answer says how.

    Its exit code is 1 where the run failed, and 3 where it was canceled.
    """
    from pipeline.cluster import run_status
    from pipeline.cluster.logs import Outputs
    from pipeline.cluster.server_errors import NotFoundError

    page = api.page(run_id)
    run: Any = None
    try:
        where = Outputs(root, pipeline, run_id) if root else None
        for event in run_status.changes(api, run_id, outputs=where, every=poll):
            say(f"{time.strftime('%H:%M:%S')}  {event.name or 'run':20}  {event.text}")
            run = event.run
    except KeyboardInterrupt:
        say(error=True)
        say(f"The run goes on: {page}", error=True)
        say(f"Stop it: audiostyle runs cancel {run_id}", error=True)
        sys.exit(130)
    except NotFoundError:
        raise AudiostyleError(
            f"run: {run_id} was deleted while it was waited for; Kubeflow deletes what runs of it,"
            " too"
        ) from None
    except AudiostyleError as error:
        raise type(error)(f"{error}; the run goes on: {page}") from None
    outputs = Outputs(root or root_of(run), pipeline, run_id)
    state = run_status.last_state(run, api.client)
    if state == "SUCCEEDED":
        uris = _print_outputs(outputs)
        say(f"Page      {page}")
        return Answer({"state": "succeeded", "outputs": uris, "error": ""})
    if state == "CANCELED":
        say("Canceled  what had finished stays", error=True)
        say(f"Page      {page}", error=True)
        return Answer({"state": "canceled", "outputs": [], "error": ""}, exit_code=CANCELED)
    failure = run_status.failure(run, api.client, outputs)
    say(f"Failed    {failure}", error=True)
    say(f"Page      {page}", error=True)
    say(f"Lines     audiostyle runs logs {run_id}", error=True)
    return Answer({"state": "failed", "outputs": [], "error": str(failure)}, exit_code=1)


def root_of(run: Any) -> str:
    """The pipeline root that a run was given, "" for the namespace's default."""
    return ((run.runtime_config.pipeline_root if run.runtime_config else "") or "").rstrip("/")


def _print_outputs(outputs: Any) -> list[str]:
    from pipeline.cluster import run_status

    if not outputs.root:
        say("Outputs   in the namespace's default pipeline root (ConfigMap kfp-launcher)")
        return []
    artifacts = run_status.artifacts(outputs)
    for uri in artifacts or ():
        say(f"Output    {uri}")
    if artifacts is None:
        say(f"Outputs   {outputs.folder}/TASK/…/OUTPUT (this machine cannot list them)")
    elif not artifacts:
        say("Outputs   none of its own: what came from the cache stays where an earlier run put it")
    return [str(uri) for uri in artifacts or ()]
