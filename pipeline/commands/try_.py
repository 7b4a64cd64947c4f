"""`audiostyle try`: a page in the browser to try transfers on."""

import socket
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import click

from audiostyle.artifacts import CLASSIFIER, opening
from audiostyle.command import Command
from audiostyle.errors import InputError
from audiostyle.option_types import Number
from audiostyle.terminal import say
from pipeline.classifiers import classifier_of
from pipeline.commands.options import TRACKING, WORKSPACE

HOST = "127.0.0.1"


@click.command(name="try", cls=Command, short_help="Open a page in the browser to try transfers.")
@click.option("--port", default=7860, show_default=True, help="TCP port; 0: a free one.")
@click.option(
    "--seconds",
    default=60.0,
    show_default=True,
    type=Number(1, 600),
    help="Longest recording.",
)
@click.option(
    "--megabytes",
    default=50,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Largest file of a recording.",
)
@click.option(
    "--model",
    help="Version, alias, URI or folder. [default: the champion, or else the bundled classifier]",
)
@WORKSPACE
@TRACKING
def try_(
    port: int,
    seconds: float,
    megabytes: int,
    model: str | None,
    workspace: Path,
    tracking_uri: str | None,
) -> None:
    """Open a page on this machine, on which you give two recordings and hear the result.

    Only this machine can reach the page, by the address that is printed. It needs no network and
    sends nothing anywhere. Recordings and results are deleted when the command ends (Ctrl-C).
    """
    import uvicorn

    with (
        tempfile.TemporaryDirectory(prefix="audiostyle-") as temporary,
        closing(_listener(port)) as listener,
    ):
        folder = Path(temporary)
        classifier, name = classifier_of(model, workspace, tracking_uri, folder)
        opening(classifier, CLASSIFIER)
        from pipeline.trial.server import application, new_secret
        from pipeline.trial.sounds import Limits

        (folder / "recordings").mkdir()
        limits = Limits(seconds=seconds, megabytes=megabytes)
        secret = new_secret()
        app, transfers = application(folder / "recordings", classifier, name, limits, secret)
        say(f"http://{HOST}:{listener.getsockname()[1]}/{secret}/")
        sys.stdout.flush()
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=5
        )
        try:
            uvicorn.Server(config).run(sockets=[listener])
        finally:
            transfers.close()


def _listener(port: int) -> socket.socket:
    """A socket on this machine's own address. Raises InputError where the port is in use."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        # Now: whoever reads the address may open it before the server has started, and two sockets
        # may have one port as long as neither listens.
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"port: {port}: {reason}; give another one with --port") from None
    return listener
