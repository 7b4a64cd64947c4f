"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from audiostyle.addresses import require_no_secret
from audiostyle.command import option_value
from audiostyle.config import Config

C = TypeVar("C", bound=Config)

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


def registry_uri(workspace: Path, tracking_uri: str | None = None) -> str:
    """MLflow's address: the one that is given, or the sqlite database of a workspace."""
    if tracking_uri:
        return require_no_secret("tracking-uri", tracking_uri)
    return f"sqlite:///{workspace.resolve() / 'mlflow.db'}"


def setting_options(cls: type[Config], *names: str) -> Callable[[Callable[..., Any]], Any]:
    """Give a command options for some fields of a stage's settings, as `set_NAME`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names):
            function = click.option(
                f"--{name.replace('_', '-')}",
                f"set_{name}",
                help=(cls.model_fields[name].description or "").capitalize(),
            )(function)
        return function

    return decorate


def overridden(settings: C, given: dict[str, str | None]) -> C:
    """Settings, with the options of `setting_options` that were given. Raises InputError."""
    chosen = {
        (field := name.removeprefix("set_")): option_value(field, text)
        for name, text in given.items()
        if text is not None
    }
    return type(settings).parse({**settings.plain(), **chosen}, "options") if chosen else settings
