"""The commands `audiostyle submit`: runs on a Kubeflow Pipelines cluster."""

import re
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from audiostyle.command import Group
from audiostyle.errors import InputError
from audiostyle.options import overlay, setting_options, values_from
from audiostyle.terminal import say
from pipeline.bulk.config import BulkConfig
from pipeline.cluster_config import ClusterConfig
from pipeline.commands.answers import Answer, answering
from pipeline.commands.cluster_options import chosen, connected, opened, waiting
from pipeline.commands.options import with_options
from pipeline.commands.run_output import started

if TYPE_CHECKING:
    from pipeline.cluster.api import Api
    from pipeline.cluster.run_spec import RunSpec
    from pipeline.cluster.submission import Submission
    from pipeline.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

_TRACKING = click.option(
    "--tracking-uri",
    default="",
    envvar="MLFLOW_TRACKING_URI",
    help="MLflow's address as the pods reach it.",
)
TRAINING = (
    click.option(
        "--data",
        required=True,
        metavar="DATA",
        help="A data set's name, an archive's address (s3://, https://), or a path on a volume.",
    ),
    click.option(
        "--data-version",
        default="",
        metavar="TEXT",
        help="Changes when the data do; without it, preprocess always looks.",
    ),
    click.option(
        "--from", "mirror", default="", metavar="URI", help="Where to fetch a named data set from."
    ),
    click.option("--cache", default="", metavar="URI", help="The spectrogram cache."),
    click.option(
        "--checkpoints",
        default="",
        metavar="DIR",
        help="Folder on a volume, for what a stopped training goes on from.",
    ),
    _TRACKING,
)


def _pairs(*, required: bool) -> tuple[Any, ...]:
    return (
        click.option(
            "--pairs",
            required=required,
            default=None if required else "",
            metavar="CSV",
            help="s3://bucket/NAME.csv, whose recordings may lie there, too; or on a volume.",
        ),
        click.option(
            "--pairs-version",
            default="",
            metavar="TEXT",
            help="Changes when the pairs do; without it, stylize never takes old results.",
        ),
        click.option(
            "--work",
            default="",
            metavar="DIR",
            help="Folder on a volume, for what a stopped stylize goes on from.",
        ),
    )


_BULK = (
    click.option(
        "--manifest",
        default="",
        metavar="FILE",
        help="CSV, JSON lines or YAML: id,content,style; s3://, or a path on a volume.",
    ),
    click.option(
        "--out", default="", metavar="URI", help="s3://bucket/prefix of the results, or a volume's."
    ),
    setting_options(BulkConfig),
)
_tasks = partial(click.option, type=click.IntRange(1, 200), show_default=True)
_SHARDS = (
    _tasks("--shards", default=1, help="Tasks among which the rows are dealt."),
    _tasks("--parallelism", default=4, help="Of these at a time, at most."),
)
_MODEL = (
    click.option("--model", default="champion", show_default=True, help="Version, alias or URI."),
)
PLACE = (
    setting_options(ClusterConfig, "experiment", "pipeline_root", "service_account"),
    click.option(
        "--label",
        "labels",
        multiple=True,
        metavar="KEY=VALUE",
        help="Label of every pod; may be repeated.",
    ),
    click.option(
        "--allow-tags", is_flag=True, help="Run images that are named by a tag, not by digest."
    ),
    click.option(
        "--no-cache", is_flag=True, help="Run every task, even if kfp's cache has its outputs."
    ),
)
_NAME = (
    click.option(
        "--name", default="", metavar="NAME", help="Of the run. [default: the command and the time]"
    ),
)


def _sent(*groups: Any) -> Callable[[F], F]:
    """The options of a command that starts a run, with these of its own first."""
    return lambda function: connected(with_options(*groups, PLACE, _NAME)(waiting(function)))


@click.group(cls=Group)
def submit() -> None:
    """Start a run on a Kubeflow Pipelines cluster.

    Arguments and settings are checked before anything is sent; `audiostyle cluster check` looks at
    the cluster. Exits with 1 where --wait sees the run fail, with 3 where it sees it canceled.
    """


@submit.command()
@_sent(TRAINING)
@click.option("--if-changed", is_flag=True, help="Train only if data, settings or release changed.")
@answering("submit")
def train(**options: Any) -> Answer:
    """Train a classifier and register it."""
    return _submit("train", options)


@submit.command()
@_sent(_BULK, _pairs(required=False), _SHARDS, _MODEL, (_TRACKING,))
@answering("submit")
def stylize(**options: Any) -> Answer:
    """Stylize pairs with a registered classifier.

    --manifest and --out: a bulk job, each item exactly once, on CPUs. --pairs: an artifact in the
    pipeline root; GPUs are given back before the phase is searched for.
    """
    bulk, pairs = ("manifest", "out"), ("pairs", "pairs_version")
    bulk_values = values_from(BulkConfig, options)
    if options["pairs"] and not (bulk_values or any(options[name] for name in bulk)):
        job = "stylization"
        unused = bulk
    elif all(options[name] for name in bulk) and not any(options[name] for name in pairs):
        job = "bulk"
        unused = pairs
        options["how"] = bulk_values
    else:
        raise click.UsageError(
            "give --manifest FILE --out URI, for a bulk job and how it is done; or --pairs CSV, for"
            " an artifact of the pipeline; not both"
        )
    for name in unused:
        del options[name]
    return _submit("stylize", options, job)


@submit.command()
@_sent(TRAINING, _pairs(required=True))
@answering("submit")
def run(**options: Any) -> Answer:
    """Train, register, stylize, reconstruct, report."""
    return _submit("run", options)


def prepared(
    make: Callable[..., "Submission"], options: dict[str, Any]
) -> tuple["Settings", "Submission"]:
    """Settings and submission from a command's options, checked; nothing has been sent yet.

    Takes the options of `connected` and PLACE out of `given`; the rest are the job's.
    """
    from pipeline.cluster.names import require_name

    settings = chosen(options)
    # Only what was set: a field of `every` that is set wins over a task's own default.
    cluster = overlay(settings.cluster, options)
    update: dict[str, Any] = {"labels": dict(_label(text) for text in options.pop("labels"))}
    if options.pop("no_cache"):
        update["caching"] = False
    written = cluster.model_dump(mode="json", exclude_unset=True)
    update["labels"] = {**cluster.labels, **update["labels"]}
    cluster = type(cluster).parse({**written, **update}, "options")
    require_name("experiment", cluster.experiment, 128)
    settings = settings.model_copy(update={"cluster": cluster})
    allow = options.pop("allow_tags")
    submission = make(settings, **options)
    submission.check()
    if mutable := submission.mutable_images():
        text = f"{', '.join(mutable)}: named by tag, and kfp's cache would take old results for new"
        if not allow:
            raise InputError(
                f"images: {text}; `deploy/build.sh --push` writes digests to"
                " deploy/images.lock.yaml, or give --allow-tags"
            )
        say(f"warning: images {text}", error=True)
    return settings, submission


def uploaded(api: "Api", settings: "Settings", submission: "Submission") -> "RunSpec":
    """The job as a version of its pipeline on the cluster; uploaded unless it is there."""
    from pipeline.cluster.run_spec import RunSpec

    with submission.package() as package:
        pipeline, version, new = api.version(package, submission.name)
    say(f"Pipeline  {submission.name}, version {version}{' (uploaded)' if new else ''}")
    return RunSpec(
        pipeline,
        version,
        submission.arguments,
        settings.cluster.pipeline_root,
        settings.cluster.service_account,
    )


def stamped(name: str) -> str:
    """A name of a run that no other has."""
    return f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}"


def _submit(command: str, options: dict[str, Any], job: str = "") -> Answer:
    from pipeline.cluster.arguments import visible_version
    from pipeline.cluster.names import require_name
    from pipeline.cluster.submission import BUILDERS

    # A schedule's data change under one address, so it has no version that holds for all its runs.
    if "data" in options and not options["data_version"] and not options["mirror"]:
        options["data_version"] = visible_version(options["data"])
        if options["data_version"]:
            say(f"Data      version {options['data_version']}, as seen from here")
    make = BUILDERS[job or command]
    name, wait, poll = options.pop("name"), options.pop("wait"), options.pop("poll")
    if name:
        require_name("name", name)
    settings, submission = prepared(make, options)
    api = opened(settings)
    spec = uploaded(api, settings, submission)
    experiment = api.experiment(settings.cluster.experiment)
    run = api.start(str(experiment), name or stamped(command), spec)
    return started(api, run, spec, poll if wait else None, submission.name)


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"\S+", key):
        raise InputError(f"label: must be KEY=VALUE (got {text!r})")
    return key, value
