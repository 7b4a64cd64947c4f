"""Running a pipeline on this machine: kfp.local, every task a subprocess or a container."""

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kfp import dsl, local

from audiostyle.artifacts import file_digest
from audiostyle.command import ERROR_FILE
from audiostyle.errors import AudiostyleError, InputError
from audiostyle.files_at import temporary_name


def run(
    pipeline: Any,
    arguments: dict[str, Any],
    workspace: Path,
    containers: Callable[[Path], dict[str, Any]] | None = None,
) -> Mapping[str, Any]:
    """Run a pipeline; returns its outputs by name.

    A task whose code, inputs and settings are those of an earlier run is not run again. For that,
    the pipeline must be built with `images.local_of`, or `containers.pinned` for containers.
    workspace: where outputs of tasks, and kfp's cache of them, are kept.
    containers: for tasks in containers instead of subprocesses of this environment: arguments of
        kfp.local.DockerRunner (`containers.prepared`), given a folder that tasks leave errors in.
    Raises the error of the stage that failed: InputError or AudiostyleError.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # kfp warns at compilation that parameters of pipelines have mutable defaults: its own way.
        warnings.simplefilter("ignore")
        local.init(
            runner=local.DockerRunner(**containers(Path(folder)))
            if containers
            else local.SubprocessRunner(use_venv=False),
            pipeline_root=str(workspace / "pipeline"),
            raise_on_error=True,
            enable_caching=True,
        )
        error_file = Path(folder) / "error.json"
        os.environ[ERROR_FILE] = str(error_file)
        # Lines of a task appear when they are written, not when its buffer is full.
        os.environ["PYTHONUNBUFFERED"] = "1"
        try:
            outputs: Mapping[str, Any] = pipeline(**arguments).outputs
        except (RuntimeError, KeyError, ValueError) as error:
            raise _told(error_file) or AudiostyleError(f"pipeline: {error}") from None
        finally:
            del os.environ[ERROR_FILE]
        # kfp takes a container that is gone before it was asked about for a success.
        if told := _told(error_file):
            raise told
        _check_there(outputs)
    return outputs


def _check_there(outputs: Mapping[str, Any]) -> None:
    for name, value in outputs.items():
        if value is None or (isinstance(value, dsl.Artifact) and not Path(value.uri).exists()):
            raise AudiostyleError(
                f"pipeline: its output {name!r} is not there, though kfp says that it succeeded;"
                " the task was ended from outside (memory?), see its lines above"
            )


def _told(error_file: Path) -> AudiostyleError | None:
    """The error that the failed task left, if it could explain itself."""
    if not error_file.is_file():
        return None
    told = json.loads(error_file.read_text(encoding="utf-8"))
    kind = InputError if told["exit_code"] == InputError.exit_code else AudiostyleError
    return kind(told["message"])


def fingerprint(folder: Path) -> str:
    """SHA-256 over names and contents of a folder's files: what the cache knows the data by."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            row = [path.relative_to(folder).as_posix(), file_digest(path)]
            digest.update(json.dumps(row).encode())
    return digest.hexdigest()


def show(made: Path, link: Path) -> Path:
    """Let a link with a name that stays point at the newest result; returns the link."""
    temporary = link.with_name(temporary_name(link.name))
    temporary.symlink_to(made.resolve(), target_is_directory=True)
    temporary.replace(link)
    return link
