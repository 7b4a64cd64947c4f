"""What every command line and every kfp task runs inside: errors and exit codes."""

import contextlib
import io
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from audiostyle.errors import AudiostyleError, InputError
from audiostyle.extras import extra_of
from audiostyle.files import write_text
from audiostyle.option_types import own_type
from audiostyle.task_events import send_warnings
from audiostyle.terminal import end_for_closed_pipe, log_to_stderr, printable_trace, say, say_error

# A file in which a task leaves its error for whoever started it, as JSON.
ERROR_FILE = "AUDIOSTYLE_ERROR_FILE"
DEBUG = "AUDIOSTYLE_DEBUG"
_STANDARD_ERROR = 2  # number of its descriptor


class _Ending(click.Command):
    """A command line of which all that is printed goes through `audiostyle.terminal`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Of each command, so that its help is the same by itself and below a group.
        self.context_settings.setdefault("help_option_names", ["-h", "--help"])
        for parameter in self.params:
            parameter.type = own_type(parameter)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **more: Any,
    ) -> Any:
        """Run the command line and end the program, with click's words for wrong options."""
        _open_streams()
        args = [_with_home(each) for each in (sys.argv[1:] if args is None else args)]
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A terminal of few characters: others are spelled out, as on standard error.
            sys.stdout.reconfigure(errors="backslashreplace")
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, False, **more)
        try:
            code = super().main(args, prog_name, complete_var, False, **more)
            sys.exit(code if isinstance(code, int) else 0)
        except click.ClickException as error:
            words = io.StringIO()
            error.show(words)
            for line in words.getvalue().rstrip("\n").split("\n"):
                say(line, error=True)
            sys.exit(error.exit_code)
        except click.Abort:
            sys.exit(130)
        except OSError as error:
            # What click prints itself, such as help, where a full disk takes it.
            with contextlib.suppress(OSError):
                say_error(prog_name or self.name, error)
            sys.exit(1)
        except SystemExit:
            # What click prints itself, such as help, was not read.
            # By name: click means to take the class away.
            if type(sys.stdout).__name__.endswith("PacifyFlushWrapper"):
                end_for_closed_pipe()
            raise


class Command(_Ending):
    """A command that prints an AudiostyleError as one line and exits with its code.

    Exit codes: 0 done, 1 failure, 2 bad input (click's own code for bad options, too),
    130, 143 and 129 interrupted by Ctrl-C, SIGTERM and the end of its terminal, 141 where nobody
    reads what it prints.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.params.append(
            click.Option(
                ["--debug"],
                is_flag=True,
                envvar=DEBUG,
                expose_value=False,
                callback=_note_debug,
                help="Print a traceback with an error.",
            )
        )

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command with errors and signals turned into exit codes."""
        # These unwind like Ctrl-C does, so that temporary files go and what is done stays.
        signal.signal(signal.SIGTERM, _end)
        if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:  # not below nohup
            signal.signal(signal.SIGHUP, _end)
        # Processes that this one starts run no module that lies in the current folder.
        os.environ["PYTHONSAFEPATH"] = "1"
        try:
            return super().invoke(ctx)
        except AudiostyleError as error:
            _say_failure(ctx.info_name, error, debug=bool(ctx.meta.get(DEBUG)))
            sys.exit(error.exit_code)
        except ModuleNotFoundError as error:
            extra = extra_of(error.name or "")
            if not extra:
                raise
            line = f"needs {error.name}; `pip install 'audiostyle[{extra}]'` installs it"
            _say_failure(ctx.info_name, AudiostyleError(line), debug=bool(ctx.meta.get(DEBUG)))
            sys.exit(1)
        except KeyboardInterrupt:
            sys.exit(130)
        except OSError as error:
            # A full disk, a folder that cannot be written: the system's words name the file.
            _say_failure(ctx.info_name, error, debug=bool(ctx.meta.get(DEBUG)))
            sys.exit(1)


class Group(_Ending, click.Group):
    """A group of such commands."""

    command_class = Command


def _open_streams() -> None:
    """Open to nowhere what of standard input, output, and error is closed, as below a daemon.

    Else the next file that is opened takes its number, and what C code prints goes into that file.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _with_home(argument: str) -> str:
    """An argument with the home folder for ~, which shells leave in `--out=~/results`."""
    name, sign, rest = argument.partition("=~/")
    if not (sign and name.startswith("--")):
        return argument
    return f"{name}={os.path.expanduser(f'~/{rest}')}"  # noqa: PTH111, whose way has errors


def _end(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


def _note_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.meta[DEBUG] = value


def _say_failure(name: str | None, error: BaseException, *, debug: bool) -> None:
    if debug:
        # With what the error came from, which the one line leaves out.
        error.__suppress_context__ = False
        for line in printable_trace("".join(traceback.format_exception(error))).split("\n"):
            say(line, error=True)
    say_error(name, error)


@contextmanager
def task(**volumes: str) -> Iterator[None]:
    """What every kfp component runs inside: log lines, and errors in one line with their exit code.

    kfp passes on no more than 'failed'. So where the caller set AUDIOSTYLE_ERROR_FILE, the error is
    left there for it, as JSON.

    volumes: folders by the argument that names them, "" for none; tried before the work begins.
    """
    log_to_stderr()
    send_warnings()
    try:
        for name, folder in volumes.items():
            if folder:
                _require_writable(name, Path(folder))
        yield
    except (AudiostyleError, OSError) as error:
        _say_failure(None, error, debug=bool(os.environ.get(DEBUG)))
        exit_code = error.exit_code if isinstance(error, AudiostyleError) else 1
        if path := os.environ.get(ERROR_FILE):
            write_text(path, json.dumps({"message": str(error), "exit_code": exit_code}))
        sys.exit(exit_code)


def _require_writable(name: str, folder: Path) -> None:
    """Raise InputError unless files can be made in a folder: a fresh volume belongs to root."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{name}: user {os.getuid()} of group {os.getgid()} cannot write {folder}"
            f" ({error.strerror}); on a cluster see `Volumes` in docs/operations.md"
        ) from None
