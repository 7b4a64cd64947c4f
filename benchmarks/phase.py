"""How fast and how consistent is phase retrieval, beside librosa's?

    python -m benchmarks.phase [--quick]

Prints tables and, as its last line, one line of JSON. All in one run on the same clips: 3 s at
22,050 Hz, n_fft 2048, hop 512, Hann, in batches of 8. Clips are spread evenly over the files of
`$ESC10_DIR` or ../shared/data/ESC-10, else of examples/instruments, else synthetic; of each the
loudest 3 s. Two kinds of magnitudes: consistent ones are a clip's own; mixed ones have no clip, as
after a style transfer: geometric means of two clips, and one clip's fine structure under another's
envelope over frequency, half of them each.
"""

import argparse
import importlib
import json
import time
from bisect import bisect_left
from collections.abc import Callable
from functools import partial

import librosa
import numpy as np
import torch

from benchmarks.phase_clips import HOP, LENGTH, N_FFT, clips, magnitudes, mixed
from components.reconstruct.phase.clip_threads import clip_threads
from components.reconstruct.phase.frames import FrameTransform, window_values
from components.reconstruct.phase.retrieval import griffin_lim, spectral_convergence

BATCH = 8

Figures = dict[str, float | str | bool]


def seconds(run: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def librosa_batch(magnitude: np.ndarray, n_iter: int) -> np.ndarray:
    """What one would use instead: clip by clip."""
    return np.stack(
        [
            librosa.griffinlim(
                clip, n_iter=n_iter, hop_length=HOP, n_fft=N_FFT, length=LENGTH, random_state=0
            )
            for clip in magnitude
        ]
    )


def speed(magnitude: np.ndarray, repeats: int) -> Figures:
    """One batch: time an iteration takes, ours, librosa's, torchaudio's and the floor's."""
    sound = torch.from_numpy(librosa_batch(magnitude, 1))
    hann = torch.hann_window(N_FFT)

    def torch_floor(n: int) -> None:
        wave = sound
        for _ in range(n):
            spectra = torch.stft(
                wave, N_FFT, HOP, window=hann, pad_mode="constant", return_complex=True
            )
            wave = torch.istft(spectra, N_FFT, HOP, window=hann, length=LENGTH)

    transform = FrameTransform(
        n_fft=N_FFT,
        hop_length=HOP,
        window=window_values("hann", N_FFT),
        length=LENGTH,
        device=torch.device("cpu"),
    )

    def own_floor(n: int) -> None:
        def one(clip: int) -> None:
            padded = transform.pad(sound[clip : clip + 1])
            for _ in range(n):
                padded = transform.synthesize(transform.analyze(padded))

        with clip_threads(len(sound)) as for_each_clip:
            for_each_clip(one, len(sound))

    runs: dict[str, Callable[[int], object]] = {
        "librosa": lambda n: librosa_batch(magnitude, n),
        "ours": lambda n: griffin_lim(magnitude, n_iter=n, init="random", length=LENGTH),
        "torch.stft + istft": torch_floor,
        "our STFT + inverse": own_floor,
    }
    try:
        torchaudio = importlib.import_module("torchaudio.functional")
    except (ImportError, OSError) as error:
        print(f"torchaudio: not here ({error})")
    else:
        runs["torchaudio"] = lambda n: torchaudio.griffinlim(
            torch.from_numpy(magnitude), hann, N_FFT, HOP, N_FFT, 1.0, n, 0.99, LENGTH, True
        )
    for run in runs.values():
        run(1)
    # Two numbers of iterations, so that what is done only once can be taken off. All in turn, and
    # of each the least disturbed run: other programs add time, none takes any away.
    counts = {name: (2, 10) if name == "librosa" else (4, 36) for name in runs}
    times: dict[str, list[list[float]]] = {name: [[], []] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            for which, count in enumerate(counts[name]):
                times[name][which].append(seconds(partial(run, count)))
    ms: dict[str, float] = {}
    print(f"\nms an iteration and clip, batches of {len(magnitude)}, best of {repeats}")
    for name, (few, many) in times.items():
        low, high = counts[name]
        ms[name] = 1e3 * (min(many) - min(few)) / (high - low) / len(magnitude)
        print(f"  {name:20} {ms[name]:7.3f}")

    def ratio(over: str, under: str) -> float:
        return round(ms[over] / ms[under], 2)

    figures: Figures = {
        "ms_per_iteration": round(ms["ours"], 3),
        "per_iteration_speedup": ratio("librosa", "ours"),
        "floor_ratio": ratio("ours", "our STFT + inverse"),
        "floor_ratio_torch": ratio("ours", "torch.stft + istft"),
        "torchaudio": "torchaudio" in runs,
    }
    if "torchaudio" in runs:
        figures["per_iteration_speedup_torchaudio"] = ratio("torchaudio", "ours")
    return figures


def time_to_quality(magnitude: np.ndarray, repeats: int) -> Figures:
    """How much sooner ours is as consistent as 100 iterations of librosa's; its start counts."""
    target = float(spectral_convergence(magnitude, librosa_batch(magnitude, 100)).mean())

    def ours(n: int) -> np.ndarray:
        return griffin_lim(magnitude, n_iter=n, length=LENGTH)

    # More iterations are more consistent, so the least number that suffices can be bisected for.
    n_iter = 1 + bisect_left(
        range(1, 101),
        True,
        key=lambda n: bool(spectral_convergence(magnitude, ours(n)).mean() <= target),
    )
    wall: dict[str, float] = {}
    work: dict[str, float] = {}
    runs: dict[str, Callable[[], object]] = {
        "librosa": lambda: librosa_batch(magnitude, 100),
        "ours": lambda: ours(n_iter),
    }
    for _ in range(repeats):
        for name, run in runs.items():
            before = time.process_time()
            wall[name] = min(wall.get(name, np.inf), seconds(run))
            work[name] = min(work.get(name, np.inf), time.process_time() - before)
    speedup, less_work = wall["librosa"] / wall["ours"], work["librosa"] / work["ours"]
    print(f"\nto {target:.1f} dB, start included, a batch, best of {repeats}")
    print(f"  librosa, 100 iterations: {wall['librosa']:.3f} s, {work['librosa']:.3f} s of a core")
    print(f"  ours, {n_iter} iterations:     {wall['ours']:.3f} s, {work['ours']:.3f} s of a core")
    return {
        "time_to_quality_speedup": round(speedup, 1),
        "time_to_quality_core_seconds_ratio": round(less_work, 1),
        "quality_db": round(target, 2),
        "iterations_to_quality": n_iter,
    }


def curve(name: str, magnitude: np.ndarray, marks: list[int], phase: np.ndarray) -> None:
    """Print spectral convergence after some iterations, for each start."""
    print(f"\nspectral convergence in dB, {name} magnitudes, mean of {len(magnitude)} clips")
    print(f"  {'iterations':30}" + "".join(f"{n:8d}" for n in marks))
    kinds: list[tuple[str, float, str]] = [
        ("plain, random (the paper)", 0.0, "random"),
        ("fast, random", 0.99, "random"),
        ("plain, integrated", 0.0, "pghi"),
        ("fast, integrated", 0.99, "pghi"),
    ]
    if name == "mixed":
        kinds += [("fast, content's phase", 0.99, "phase"), ("fast, better of both", 0.99, "auto")]
    for label, momentum, init in kinds:
        row = [
            spectral_convergence(
                magnitude,
                griffin_lim(
                    magnitude,
                    n_iter=n,
                    momentum=momentum,
                    init=init,  # type: ignore[arg-type]
                    phase=phase if init in ("phase", "auto") else None,
                    length=LENGTH,
                ),
            ).mean()
            for n in marks
        ]
        print(f"  {label:30}" + "".join(f"{db:8.1f}" for db in row))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Phase retrieval: speed and consistency")
    parser.add_argument("--quick", action="store_true", help="fewer clips, under a minute")
    quick: bool = parser.parse_args().quick
    sound, source = clips(BATCH if quick else 3 * BATCH)
    cores = torch.get_num_threads()
    print(f"{len(sound)} clips of 3 s from {source}; {cores} threads; torch {torch.__version__}")
    consistent = magnitudes(sound)
    mixture = mixed(consistent, np.roll(consistent, 1, axis=0))
    content_phase = np.angle(librosa.stft(sound, n_fft=N_FFT, hop_length=HOP))

    compile_s = seconds(lambda: griffin_lim(consistent[:1], n_iter=1, length=LENGTH))
    print(f"first call, loops being compiled: {compile_s:.1f} s; left out of what follows")
    figures: Figures = {"clips": len(sound), "source": source, "threads": cores}
    figures["first_call_s"] = round(compile_s, 1)
    figures |= speed(consistent[:BATCH], 5 if quick else 9)
    figures |= time_to_quality(consistent[:BATCH], 2 if quick else 3)

    marks = [8, 32, 100] if quick else [8, 16, 32, 64, 100, 200, 500]
    few = 4 if quick else BATCH
    curve("consistent", consistent[:few], marks, content_phase[:few])
    curve("mixed", mixture[:few], marks[: 3 if quick else 5], content_phase[:few])
    for name, magnitude, phase in (
        ("consistent", consistent, None),
        ("mixed", mixture, content_phase),
    ):
        ours = griffin_lim(magnitude, phase=phase, length=LENGTH)
        db = spectral_convergence(magnitude, ours)
        figures[f"sc_db_32_{name}"] = round(float(db.mean()), 2)
        if name == "mixed":
            figures["sc_db_32_mixed_geometric"] = round(float(db[::2].mean()), 2)
            figures["sc_db_32_mixed_envelope"] = round(float(db[1::2].mean()), 2)
    paper = griffin_lim(consistent, n_iter=500, momentum=0, init="random", length=LENGTH)
    figures["sc_db_500_plain"] = round(float(spectral_convergence(consistent, paper).mean()), 2)
    print(
        f"\n32 iterations, the default: {figures['sc_db_32_consistent']} dB on consistent "
        f"magnitudes, {figures['sc_db_32_mixed']} dB on mixed ones. 500 plain iterations from "
        f"random phases, as the paper's code runs: {figures['sc_db_500_plain']} dB on consistent "
        "ones, for 16 times the work."
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
