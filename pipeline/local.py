"""Running a pipeline on this machine: kfp.local, every task a subprocess or a container."""

import builtins
import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kfp import dsl, local

from audiostyle import artifacts
from audiostyle.command import ERROR_FILE
from audiostyle.errors import AudiostyleError, InputError
from audiostyle.files_at import temporary_name
from audiostyle.task_events import EVENTS
from audiostyle.work_folder import make_in
from pipeline.run_display import Display
from pipeline.run_log import recorded

_COLOR = re.compile(r"\x1b\[[0-9;]*m")


def run(
    pipeline: Any,
    arguments: dict[str, Any],
    workspace: Path,
    containers: Callable[[Path], dict[str, Any]] | None = None,
    display: Display | None = None,
) -> Mapping[str, Any]:
    """Run a pipeline; returns its outputs by name, and the path of its log as `log`.

    A task whose code, inputs and settings are those of an earlier run is not run again. For that,
    the pipeline must be built with `images.local_of`, or `containers.pinned` for containers.
    workspace: where outputs of tasks, and kfp's cache of them, are kept.
    containers: for tasks in containers instead of subprocesses of this environment: arguments of
        kfp.local.DockerRunner (`containers.prepared`), given a folder that tasks leave errors in.
    display: shows how far the run is.
    Raises the error of the stage that failed, with the path of the log: InputError or
    AudiostyleError.
    """
    with (
        recorded(workspace, display or Display()) as log,
        _outputs(workspace) as root,
        tempfile.TemporaryDirectory() as folder,
    ):
        error_file = Path(folder) / "error.json"
        with warnings.catch_warnings(), _environment(error_file), _same_print():
            # kfp warns at compilation that parameters of pipelines have mutable defaults.
            warnings.simplefilter("ignore")
            local.init(
                runner=local.DockerRunner(**containers(Path(folder)))
                if containers
                else local.SubprocessRunner(use_venv=False),
                pipeline_root=str(root),
                raise_on_error=True,
                enable_caching=True,
                cache_root=str(_cache(workspace)),
            )
            try:
                outputs: Mapping[str, Any] = pipeline(**arguments).outputs
            except (RuntimeError, KeyError, ValueError) as error:
                text = _COLOR.sub("", str(error))
                last = log.error_of(log.stage)
                raise _task_error(error_file) or AudiostyleError(
                    f"pipeline: {f'{log.stage}: {last}' if last else text}"
                ) from None
        # kfp takes a container that is gone before it was asked about for a success.
        if error_of_task := _task_error(error_file):
            raise error_of_task
        _check_there(outputs)
    return {**outputs, "log": log.path}


@contextlib.contextmanager
def _outputs(workspace: Path) -> Iterator[Path]:
    """A folder for what the tasks of one run write. A run that fails with nothing leaves nothing.

    What a task finished before another failed stays: the next run need not do it again.
    """
    new = not workspace.exists()
    root = workspace / "pipeline" / f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:6]}"
    make_in(root.parent, root.mkdir)
    root.chmod(root.parent.stat().st_mode)  # writable for containers where that one is
    try:
        yield root
    except BaseException:
        if not any(root.rglob(artifacts.MANIFEST)):
            shutil.rmtree(root, ignore_errors=True)
            cache = _cache(workspace)
            with contextlib.suppress(OSError):
                # Another run expects the cache's folder, which is empty before its first entry.
                if set(root.parent.iterdir()) <= {cache.parent}:
                    cache.rmdir()
                    cache.parent.rmdir()
            with contextlib.suppress(OSError):
                root.parent.rmdir()
                if new:
                    workspace.rmdir()
        raise


@contextlib.contextmanager
def _environment(error_file: Path) -> Iterator[None]:
    """Variables for the processes of tasks."""
    values = {
        ERROR_FILE: str(error_file),
        EVENTS: "1",
        # Lines of a task appear when they are written, not when its buffer is full.
        "PYTHONUNBUFFERED": "1",
        # A module in the current folder, such as kfp.py, is not run in place of the real one.
        "PYTHONSAFEPATH": "1",
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _same_print() -> Iterator[None]:
    """Leave `print` as it was.

    kfp indents it while a task runs; of several at a time, the last to end puts back what another
    one had set.
    """
    before = builtins.print
    try:
        yield
    finally:
        builtins.print = before


def _cache(workspace: Path) -> Path:
    """Folder of kfp's cache, whose entries are absolute: another one once a workspace has moved."""
    place = hashlib.sha256(os.fsencode(workspace.resolve())).hexdigest()[:12]
    return workspace / "pipeline" / ".kfp_cache" / place


def _check_there(outputs: Mapping[str, Any]) -> None:
    for name, value in outputs.items():
        if value is None or (isinstance(value, dsl.Artifact) and not Path(value.uri).exists()):
            raise AudiostyleError(
                f"pipeline: its output {name!r} is not there, though kfp says that it succeeded;"
                " the task was ended from outside (memory?)"
            )


def _task_error(error_file: Path) -> AudiostyleError | None:
    """The error that the failed task left, if it could explain itself."""
    if not error_file.is_file():
        return None
    row = json.loads(error_file.read_text(encoding="utf-8"))
    kind = InputError if row["exit_code"] == InputError.exit_code else AudiostyleError
    return kind(row["message"])


def show(result: Path, link: Path) -> Path:
    """Let a link with a name that stays point at the newest result; returns the link.

    Relative, so that it leads to the same result when the workspace is moved or copied.
    """
    temporary = link.with_name(temporary_name(link.name))
    target = os.path.relpath(result.resolve(), link.parent.resolve())
    temporary.symlink_to(target, target_is_directory=True)
    temporary.replace(link)
    return link
