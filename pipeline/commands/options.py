"""Options that several commands share."""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from audiostyle.uris import is_address, require_no_secret
from pipeline.classifiers import registry_uri as registry_uri

if TYPE_CHECKING:  # it imports torch, for which `--help` does not wait
    from pipeline.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

WORKSPACE = click.option(
    "--workspace",
    type=click.Path(path_type=Path),
    default=Path("outputs"),
    show_default=True,
    envvar="AUDIOSTYLE_WORKSPACE",
    help="Folder of runs, models and results.",
)
TRACKING = click.option(
    "--tracking-uri",
    envvar="MLFLOW_TRACKING_URI",
    help="MLflow's address. [default: a database in the workspace]",
)
_DETAILS: dict[str, int] = {"verbose": logging.INFO, "quiet": logging.ERROR}


def _set_level(_: click.Context, __: click.Parameter, detail: str | None) -> str:
    if detail:
        logging.getLogger().setLevel(_DETAILS[detail])
    return detail or "normal"


_VERBOSE = click.option(
    "--verbose",
    "detail",
    flag_value="verbose",
    callback=_set_level,
    help="Show all lines of the log.",
)
_QUIET = click.option(
    "--quiet",
    "detail",
    flag_value="quiet",
    callback=_set_level,
    help="Show results and errors only.",
)
CACHE = click.option(
    "--cache",
    metavar="URI",
    help="The spectrogram cache: s3://bucket/prefix, file:///folder, or a path."
    " [default: preprocess.cache of --config]",
)


def with_options(*groups: Iterable[Any]) -> Callable[[F], F]:
    """A decorator that gives a command these click options, in this order."""
    options = [option for group in groups for option in group]

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


# How much a command shows of its work: the parameter `detail` (pipeline/run_display.py).
DETAIL = with_options([_VERBOSE, _QUIET])
# Of a command that has no log of its own.
QUIET = click.option(
    "--quiet",
    "quiet_detail",
    flag_value="quiet",
    callback=_set_level,
    expose_value=False,
    help="Show results and errors only.",
)


def with_cache(settings: "Settings", uri: str | None) -> "Settings":
    """Settings of which preprocess uses the spectrogram cache at a URI, if one is given.

    A relative folder is made absolute: tasks may run elsewhere. Raises InputError for a secret.
    """
    if uri is None:
        return settings
    place = uri if not uri or is_address(uri) else str(Path(uri).absolute())
    place = require_no_secret("cache", place)
    preprocess = settings.preprocess.model_copy(update={"cache": place})
    return settings.model_copy(update={"preprocess": preprocess})
