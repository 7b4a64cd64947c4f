"""`audiostyle ui`: the registry in MLflow's web interface."""

import os
import socket
import sys
import time
import urllib.request
import webbrowser
from pathlib import Path

import click

from audiostyle.command import Command
from audiostyle.errors import InputError
from audiostyle.terminal import say
from pipeline.commands.options import WORKSPACE, registry_uri
from pipeline.screen import has_screen

# How long a server may take to start, on a busy machine.
_MOST_SECONDS = 300


@click.command(cls=Command)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5000,
    show_default=True,
    help="TCP port on this machine.",
)
@click.option("--no-open", is_flag=True, help="Do not open the page in a browser.")
@WORKSPACE
def ui(port: int, no_open: bool, workspace: Path) -> None:
    """Open the registry of the workspace in MLflow's web interface.

    Prints the page's address when the server answers, and opens it. Ctrl-C stops the server.
    """
    from audiostyle import tracking_uris, workspace_database

    uri = registry_uri(workspace)
    path = tracking_uris.sqlite_path(uri)
    if path is None or not workspace_database.exists(path):
        raise InputError(f"workspace: {workspace} has no registry yet; run `audiostyle run` first")
    _require_free(port)
    workspace_database.prepare(path)
    server = os.getpid()
    # The process becomes the server, so that signals reach it; a second one waits for its answer.
    if os.fork() == 0:
        status = 1
        try:
            status = _show_page(port, server, opens=not no_open)
        finally:
            os._exit(status)
    # Standard output has the address alone; what the server says of itself is no result.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    # Seven processes that wait for work on traces of language models.
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    # uvicorn puts the current folder first on the path of its workers, whatever the environment
    # says: so it is the one of the installation, in which no stranger's module lies.
    os.chdir(sys.prefix)
    os.execv(  # noqa: S606
        sys.executable,
        [
            *(sys.executable, "-P", "-m", "mlflow", "server"),
            *("--backend-store-uri", uri),
            *("--artifacts-destination", workspace_database.artifact_root(path)),
            # Four are the default, of 250 MB and some seconds each: for one person, one is enough.
            *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        ],
    )


def _require_free(port: int) -> None:
    with socket.socket() as attempt:
        # As the server does, which may follow one that was stopped a moment ago.
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError as error:
            raise InputError(
                f"port: {port} cannot be used ({error.strerror}); give another with --port"
            ) from None


def _show_page(port: int, server: int, *, opens: bool) -> int:
    """Wait until the server answers; print the page's address, and open it. Returns 0 or 1."""
    from audiostyle.registry import MODEL

    page = f"http://127.0.0.1:{port}/#/models/{MODEL}"
    until = time.monotonic() + _MOST_SECONDS
    while not _answers(port):
        if os.getppid() != server or time.monotonic() > until:
            return 1  # the server said why
        time.sleep(0.2)
    say(page)
    sys.stdout.flush()
    if opens and _has_browser():
        webbrowser.open(page)
    return 0


def _answers(port: int) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        direct.open(f"http://127.0.0.1:{port}/health", timeout=5).close()
    except OSError:
        return False
    return True


def _has_browser() -> bool:
    """Whether a page can be shown: not in a terminal alone, whose browser would take it over."""
    return bool(os.environ.get("BROWSER")) or (has_screen() and sys.stdout.isatty())
