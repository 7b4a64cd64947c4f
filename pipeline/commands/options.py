"""Options that several commands share."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from audiostyle import tracking_uris
from audiostyle.config import Config
from audiostyle.options import option_value
from audiostyle.uris import require_no_secret

if TYPE_CHECKING:  # it imports torch, for which `--help` does not wait
    from pipeline.settings import Settings

C = TypeVar("C", bound=Config)
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
JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON on standard output, and nothing else."
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


def registry_uri(workspace: Path, tracking_uri: str | None = None) -> str:
    """MLflow's address: the one that is given, or the sqlite database of a workspace."""
    if tracking_uri:
        return tracking_uris.tracking_uri("tracking-uri", tracking_uri)
    return tracking_uris.sqlite_uri(workspace.resolve() / "mlflow.db")


def with_cache(settings: "Settings", uri: str | None) -> "Settings":
    """Settings of which preprocess uses the spectrogram cache at a URI, if one is given.

    A relative folder is made absolute: tasks may run elsewhere. Raises InputError for a secret.
    """
    if uri is None:
        return settings
    place = uri if not uri or "://" in uri else str(Path(uri).absolute())
    place = require_no_secret("cache", place)
    preprocess = settings.preprocess.model_copy(update={"cache": place})
    return settings.model_copy(update={"preprocess": preprocess})


def setting_options(cls: type[Config], *names: str) -> Callable[[Callable[..., Any]], Any]:
    """Give a command options for some fields of a stage's settings, as `set_NAME`."""
    return with_options(
        click.option(
            f"--{name.replace('_', '-')}",
            f"set_{name}",
            help=(cls.model_fields[name].description or "").capitalize(),
        )
        for name in names
    )


def overridden(settings: C, given: dict[str, str | None]) -> C:
    """Settings, with the options of `setting_options` that were given. Raises InputError."""
    chosen = {
        (field := name.removeprefix("set_")): option_value(field, text)
        for name, text in given.items()
        if text is not None
    }
    return type(settings).parse({**settings.plain(), **chosen}, "options") if chosen else settings
