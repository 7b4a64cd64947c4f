"""Options of the commands that talk to a cluster."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

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
    click.option(
        "--host",
        envvar="KF_PIPELINES_ENDPOINT",
        metavar="URL",
        help="Kubeflow Pipelines' API.",
    ),
    click.option(
        "--ui",
        envvar="KF_PIPELINES_UI_ENDPOINT",
        metavar="URL",
        help="Its web interface. [default: the host]",
    ),
    click.option(
        "--namespace",
        envvar="AUDIOSTYLE_KFP_NAMESPACE",
        metavar="NAME",
        help="Namespace of the runs, where the server has many users.",
    ),
    click.option(
        "--token-file",
        envvar="AUDIOSTYLE_KFP_TOKEN_FILE",
        metavar="FILE",
        help="Bearer token; AUDIOSTYLE_KFP_TOKEN may hold one, too.",
    ),
    click.option(
        "--ca-file", envvar="AUDIOSTYLE_KFP_CA_FILE", metavar="FILE", help="Certificates, PEM."
    ),
)
_WAITING = (
    click.option("--wait", is_flag=True, help="Show each task's state until the run has ended."),
    click.option(
        "--poll",
        type=click.FloatRange(0.1),
        default=5.0,
        show_default=True,
        metavar="SECONDS",
        help="Between two looks.",
    ),
)
_CONNECTION = ("host", "ui", "namespace", "token_file", "ca_file")


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
    from pipeline.cluster_config import ConnectionSettings

    read = settings.load(options.pop("config"))
    told = {name: value for name in _CONNECTION if (value := options.pop(name))}
    connection = ConnectionSettings.parse({**read.cluster.connection.plain(), **told}, "options")
    cluster = read.cluster.model_copy(update={"connection": connection})
    return read.model_copy(update={"cluster": cluster})


def opened(settings: "Settings") -> "Api":
    """The cluster of the settings, found to answer."""
    from pipeline.cluster.api import Api
    from pipeline.cluster.client import Client

    return Api(Client(settings.cluster.connection))
