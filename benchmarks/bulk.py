"""How many pairs a minute does a bulk job make, beside the one-pair command in a loop?

    python -m benchmarks.bulk [--items N] [--loop N] [--memory FEW MANY]

Prints a table and, as its last line, one line of JSON. All in one run, on the same recordings of
examples/instruments and with the default settings, `audiostyle` being started as a person starts
it, so that everything counts: the processes' start, the plan, the report page.

- loop: `audiostyle stylize CONTENT STYLE -o OUT` once a pair, over the first of the pairs
- local: `audiostyle stylize --manifest … --out DIR`
- s3: the same with recordings and results in SeaweedFS on this host
- overhead: of what the working processes had, from when they were ready to work to their last
  answer, the part that was neither in stylize nor in reconstruct, relative to these
- plan: `--dry-run` of 10,000 rows: in one process that has imported everything, and the command
- memory: peak of the caller and of its largest process with few and with many items (1 s each, and
  settings that make them quick)
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import soundfile

from audiostyle.errors import AudiostyleError
from audiostyle.store import open_store
from benchmarks.preprocess import seaweedfs
from components.preprocess.config import PreprocessConfig
from components.preprocess.preprocess import preprocess
from components.reconstruct.config import ReconstructConfig
from components.stylize.config import StylizeConfig
from components.train.config import TrainConfig
from components.train.train import train
from pipeline.bulk import manifest
from pipeline.bulk.items import Base
from pipeline.bulk.ledger import Ledger
from pipeline.bulk.plan import Model, plan

ROOT = Path(__file__).resolve().parent.parent
BUNDLED = ROOT / "examples" / "instruments"
COMMAND = [sys.executable, "-m", "pipeline.cli", "stylize"]
QUICK = "stylize: {method: trained, iterations: 0}\nreconstruct: {iterations: 2, init: phase}\n"


def command(*arguments: object) -> tuple[float, str]:
    """Seconds and output of a command."""
    begun = time.perf_counter()
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    if done.returncode:
        raise AudiostyleError(f"{' '.join(map(str, arguments))}: {done.stdout}{done.stderr}")
    return time.perf_counter() - begun, done.stdout


def peaks(*arguments: object) -> tuple[int, int]:
    """Most memory of a command and of its largest process, in bytes."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    most = [0, 0]
    while process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        try:
            pids = [int(child) for child in children.read_text().split()]
        except OSError:
            pids = []
        most[0] = max(most[0], _peak(process.pid))
        most[1] = max([most[1], *map(_peak, pids)])
        time.sleep(0.1)
    if process.returncode:
        raise AudiostyleError(f"{' '.join(map(str, arguments))}: ended with {process.returncode}")
    return most[0], most[1]


def _peak(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    match = re.search(r"VmHWM:\s+(\d+) kB", text)
    return 1024 * int(match[1]) if match else 0


def write_manifest(path: Path, contents: list[str], styles: list[str], count: int) -> Path:
    """So many pairs, from the first on."""
    rows = [
        f"item-{n},{contents[n % len(contents)]},{styles[n // len(contents) % len(styles)]}\n"
        for n in range(count)
    ]
    path.write_text("id,content,style\n" + "".join(rows))
    return path


def overhead(output: str) -> float:
    """The part of the processes' time outside the stages, from what the command tells."""
    match = re.search(r"stylize ([\d.]+) s, reconstruct ([\d.]+) s; processes had ([\d.]+)", output)
    assert match, output
    stylize, reconstruct, everything = map(float, match.groups())
    return everything / (stylize + reconstruct) - 1


def planned(path: Path, folder: Path) -> float:
    """Seconds for the plan of a manifest."""
    base = Base(StylizeConfig(), ReconstructConfig())
    begun = time.perf_counter()
    items = manifest.read(path, base, folder / "items")
    ledger = Ledger(str(folder / "planned"))
    ledger.load()
    plan(items, ledger, base, Model(folder, "", ""), folder / "todo")
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--items", type=int, default=100, help="pairs of the jobs")
    parser.add_argument("--loop", type=int, default=5, help="pairs of the loop")
    parser.add_argument("--memory", type=int, nargs=2, default=(100, 2000), help="items")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        model = folder / "model"
        preprocess(BUNDLED, folder / "set", PreprocessConfig())
        train(folder / "set", model, TrainConfig(epochs=3))
        contents = [str(path) for path in sorted((BUNDLED / "test").rglob("*.ogg"))]
        styles = [str(path) for path in sorted((BUNDLED / "pairs").glob("*/style.ogg"))]
        figures: dict[str, float] = {"items": options.items, "cores": os.cpu_count() or 1}

        path = write_manifest(folder / "m.csv", contents, styles, options.items)
        output = ""
        figures["local_seconds"], output = command(
            *("--manifest", path, "--out", folder / "local", "--model", model)
        )
        figures["overhead"] = overhead(output)
        begun = time.perf_counter()
        for number in range(options.loop):
            pair = contents[number % len(contents)], styles[number // len(contents) % len(styles)]
            command(*pair, "-o", folder / f"{number}.wav", "--model", model)
        figures["loop_items_a_minute"] = 60 * options.loop / (time.perf_counter() - begun)
        figures["local_items_a_minute"] = 60 * options.items / figures["local_seconds"]
        if bucket := stack.enter_context(seaweedfs()):
            store = open_store(bucket)
            for place in {*contents, *styles}:
                store.put_file(Path(place).relative_to(BUNDLED).as_posix(), Path(place))
            places = [
                [f"{bucket}/{Path(place).relative_to(BUNDLED).as_posix()}" for place in part]
                for part in (contents, styles)
            ]
            path = write_manifest(folder / "s3.csv", places[0], places[1], options.items)
            seconds, output = command(
                *("--manifest", path, "--out", f"{bucket}/out", "--model", model),
                *("--workspace", folder / "workspace"),
            )
            figures["s3_items_a_minute"] = 60 * options.items / seconds
            figures["s3_overhead"] = overhead(output)
            figures["s3_speedup"] = figures["s3_items_a_minute"] / figures["loop_items_a_minute"]
        figures["speedup"] = figures["local_items_a_minute"] / figures["loop_items_a_minute"]

        many = write_manifest(folder / "many.csv", contents, styles, 10_000)
        figures["plan_seconds"] = planned(many, folder)
        figures["plan_command_seconds"], _ = command(
            *("--manifest", many, "--out", folder / "none", "--model", model, "--dry-run")
        )

        (folder / "quick.yaml").write_text(QUICK)
        short = []
        for number in range(20):
            short.append(str(folder / f"short-{number}.wav"))
            random = np.random.default_rng(number)
            soundfile.write(short[-1], 0.1 * random.standard_normal(22050), 22050)
        for which, count in zip(("few", "many"), options.memory, strict=True):
            path = write_manifest(folder / "memory.csv", short, short[:5], count)
            caller, worker = peaks(
                *("--manifest", path, "--out", folder / f"memory-{count}", "--model", model),
                *("--config", folder / "quick.yaml"),
            )
            figures[f"caller_{which}_mb"], figures[f"worker_{which}_mb"] = (
                caller / 1e6,
                worker / 1e6,
            )
        figures["memory_growth"] = (figures["caller_many_mb"] + figures["worker_many_mb"]) / (
            figures["caller_few_mb"] + figures["worker_few_mb"]
        ) - 1
    print()
    for figure, value in figures.items():
        print(f"{figure:24} {value:12.3f}")
    print(json.dumps({figure: round(value, 4) for figure, value in figures.items()}))


if __name__ == "__main__":
    main()
