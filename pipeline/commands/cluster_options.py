"""Options of the commands that talk to a cluster."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from audiostyle.option_types import Number
from audiostyle.options import overlay, setting_options
from pipeline.cluster_config import ConnectionSettings
from pipeline.commands.options import with_options

if TYPE_CHECKING:
    from pipeline.cluster.api import Api
    from pipeline.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        envvar="AUDIOSTYLE_CONFIG",
        help="YAML with settings of the stages and the section `cluster`.",
    ),
    setting_options(ConnectionSettings),
)
_WAITING = (
    click.option("--wait", is_flag=True, help="Show each task's state until the run has ended."),
    click.option(
        "--poll",
        type=Number(0.1, 86400),
        default=5.0,
        show_default=True,
        metavar="SECONDS",
        help="Between two looks.",
    ),
)


def connected(function: F) -> F:
    """Give a command the options of a connection; see `chosen` and `opened`."""
    return with_options(_OPTIONS)(function)


def waiting(function: F) -> F:
    """Give a command the options `wait` and `poll`, with which it follows a run."""
    return with_options(_WAITING)(function)


def chosen(options: dict[str, Any]) -> "Settings":
    """Take the options of `connected` out of `options`: the settings, over which options win.

    An option wins over its environment variable, which wins over the file.
    """
    from pipeline import settings

    loaded = settings.load(options.pop("config"))
    connection = overlay(loaded.cluster.connection, options)
    cluster = loaded.cluster.model_copy(update={"connection": connection})
    return loaded.model_copy(update={"cluster": cluster})


def opened(settings: "Settings") -> "Api":
    """The cluster of the settings, once it has answered."""
    from pipeline.cluster.api import Api
    from pipeline.cluster.client import Client

    return Api(Client(settings.cluster.connection))
