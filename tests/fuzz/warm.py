"""A process that has imported everything, and runs each command in a fork of itself.

Every fuzzed command is so a real process of its own, with limits on memory, files and time that the
kernel holds, at 20 ms instead of the 5 s that its imports take. One JSON object a line: in comes
`arguments`, `folder`, `seconds` and `bytes`; out goes `code` (negative: a signal), `seconds`,
`hung`, and what was printed.
"""

import contextlib
import gc
import importlib
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# Of spectrograms, as small as those of made_sets.
SETTINGS = (
    *("--n-fft", "256", "--hop-length", "128", "--clip-seconds", "0.25"),
    *("--validation", "0", "--test", "0"),
)
# Of stylize.
QUICK = ("--method", "trained", "--iterations", "1")


def _command(name: str) -> Any:
    if name == "audiostyle":
        return importlib.import_module("pipeline.cli").main
    return importlib.import_module(f"components.{name}.__main__").main


def _child(job: dict[str, Any], streams: dict[str, Path]) -> None:
    os.chdir(job["folder"])
    os.environ["TMPDIR"] = job["folder"]
    tempfile.tempdir = None  # so that it is looked up
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(streams["out"].parent / "torch")
    for number, path in ((1, streams["out"]), (2, streams["err"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + job["bytes"],) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    name, *arguments = job["arguments"]
    code = 1
    try:
        _command(name)(arguments, prog_name=name)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except BaseException:  # noqa: BLE001, as the interpreter would
        sys.excepthook(*sys.exc_info())
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _run(job: dict[str, Any], streams: dict[str, Path]) -> dict[str, Any]:
    began = time.monotonic()
    process = os.fork()
    if not process:
        _child(job, streams)
    watched = os.pidfd_open(process)
    hung = not select.select([watched], [], [], job["seconds"])[0]
    if hung:
        os.kill(process, signal.SIGKILL)
    os.close(watched)
    _, status = os.waitpid(process, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": time.monotonic() - began,
        "hung": hung,
        **{name: path.read_text(errors="replace") for name, path in streams.items()},
    }


def serve(folder: Path, small: Path) -> None:
    """Answer jobs until standard input ends.

    folder: for what the children print. small: inputs that are in order, see small.py; they are
    worked through once, so that everything is imported and compiled.
    """
    import torch

    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _command("audiostyle")
    importlib.import_module("audiostyle.store.s3")
    model = ("--classifier", str(small / "model"), "--out")
    data = ("--data", str(small / "set"), "--out")
    for name, arguments in (
        ("preprocess", ("--data", str(small / "clips.csv"), "--out", "set", *SETTINGS)),
        ("train", (*data, "model", "--epochs", "1", "--bands", "16", "--channels", "[2, 2, 2, 2]")),
        ("stylize", ("--pairs", str(small / "pairs.csv"), *model, "stylized", *QUICK)),
        ("reconstruct", ("--stylized", str(small / "stylized"), *model, "audio")),
    ):
        with tempfile.TemporaryDirectory() as temporary, contextlib.chdir(temporary):
            _command(name)(list(arguments), prog_name=name, standalone_mode=False)
    gc.collect()
    gc.freeze()  # or every child would touch, and so copy, every object
    streams = {name: folder / name for name in ("out", "err")}
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(_run(json.loads(line), streams)), file=answers, flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
