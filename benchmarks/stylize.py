"""How fast is the default method, beside Ulyanov and Lebedev's?

    python -m benchmarks.stylize [--quick] [--classifier DIR] [--device auto|cpu|cuda]

Prints tables and, as its last line, one line of JSON. All in one run on the bundled pairs of 3 s:
seconds a pair for the default and for `shallow` at 4,096 filters and 100 steps of L-BFGS, from
spectrograms to spectrogram, the style's statistics included. Then clips per second by batch, and
what share that is of the matrix products and of the memory bandwidth that the device was measured
to be capable of: the larger share is what binds.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch.utils.flop_counter import FlopCounterMode

from audiostyle import audio, network
from audiostyle.network import Classifier
from audiostyle.spectrogram import magnitude
from benchmarks import bundled
from components.stylize.config import StylizeConfig
from components.stylize.methods.parts.method import Contents
from components.stylize.registry import make
from components.stylize.transfer import style_of, transfer

Spectra = list[tuple[Tensor, Tensor]]  # content and style, [bins, frames]


def spectra(model: Classifier) -> Spectra:
    """Magnitudes of the bundled pairs, cut to one length."""
    config = model.spectrogram
    pairs = []
    for pair in bundled.pairs():
        sounds = [
            audio.mono(audio.resample(audio.read(path), config.sample_rate))
            for path in (pair.content, pair.style)
        ]
        both = [magnitude(torch.from_numpy(sound), config) for sound in sounds]
        pairs.append((both[0][:, : config.clip_frames], both[1][:, : config.clip_frames]))
    return pairs


def stylize(model: Classifier, pairs: Spectra, config: StylizeConfig) -> None:
    """One batch, style statistics included."""
    method = make(config, model)
    contents = torch.stack([content for content, _ in pairs])
    transfer(
        method,
        Contents(contents, contents.square().mean(2)),
        [style_of(method, style) for _, style in pairs],
        config,
        names=[str(number) for number in range(len(pairs))],
    )


def seconds(device: torch.device, run: Callable[[], object], repeats: int = 1) -> float:
    """Wall-clock time of the fastest call: other programs add time, none takes any away."""
    best = float("inf")
    for _ in range(repeats):
        _finish(device)
        start = time.perf_counter()
        run()
        _finish(device)
        best = min(best, time.perf_counter() - start)
    return best


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class _Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes that operators read and write, each tensor once an operator."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        # Views move nothing.
        if not func.is_view:
            for value in tree_flatten((args, kwargs or {}, out))[0]:
                if isinstance(value, Tensor):
                    self.bytes += value.numel() * value.element_size()
        return out


def ceilings(device: torch.device) -> tuple[float, float]:
    """Measured here and now: floating point operations a second in matrix products, bytes a second.

    float32, or TF32 on a GPU: what the stage uses.
    """
    size = 8192 if device.type == "cuda" else 1536
    a, b = (torch.randn(size, size, device=device) for _ in range(2))
    flops = 2 * size**3 / seconds(device, lambda: a @ b, 5)
    large = torch.empty(1 << (28 if device.type == "cuda" else 24), device=device)
    moved = 2 * large.numel() * large.element_size()
    other = torch.empty_like(large)
    return flops, moved / seconds(device, lambda: other.copy_(large), 5)


def beside_shallow(model: Classifier, pairs: Spectra, *, quick: bool) -> dict[str, float]:
    """Seconds a pair, in turn."""
    device = model.band_mean.device
    default = StylizeConfig()
    # No early end: so many steps are what is compared.
    steps = 20 if quick else 100
    shallow = StylizeConfig(method="shallow", filters=4096, iterations=steps, tolerance=0)
    stylize(model, pairs[:1], default)  # whatever is done only once
    few = pairs[:1] if quick else pairs[:3]
    times: dict[str, list[float]] = {"default": [], "shallow": []}
    for pair in few:
        times["default"].append(seconds(device, partial(stylize, model, [pair], default), 3))
        once = seconds(device, partial(stylize, model, [pair], shallow))
        times["shallow"].append(once * 100 / steps)
    mean = {name: sum(values) / len(values) for name, values in times.items()}
    print(f"\nseconds a pair of 3 s, one at a time, mean of {len(few)} pairs")
    print(f"  default                              {mean['default']:9.3f}")
    note = "" if steps == 100 else f" ({steps} were run)"
    print(f"  shallow, 4,096 filters, 100 L-BFGS   {mean['shallow']:9.3f}{note}")
    print(f"  speedup                              {mean['shallow'] / mean['default']:9.1f}")
    return {
        "default_s": round(mean["default"], 4),
        "shallow_s": round(mean["shallow"], 2),
        "speedup": round(mean["shallow"] / mean["default"], 1),
    }


def by_batch(model: Classifier, pairs: Spectra, *, quick: bool) -> dict[str, Any]:
    """Clips per second of the default method by batch, and the shares of the ceilings."""
    device = model.band_mean.device
    config = StylizeConfig()
    most = 512 if device.type == "cuda" else 4 if quick else 8
    rates: dict[int, float] = {}
    print(f"\nclips of 3 s per second on {_name(device)}, by batch")
    batch = 1
    while batch <= most:
        many = (pairs * (batch // len(pairs) + 1))[:batch]
        try:
            rates[batch] = batch / seconds(device, partial(stylize, model, many, config), 2)
        except torch.cuda.OutOfMemoryError:
            print(f"  {batch:4d}  does not fit")
            break
        print(f"  {batch:4d}  {rates[batch]:8.2f}")
        batch *= 2
    best = max(rates, key=lambda size: rates[size])
    many = (pairs * (best // len(pairs) + 1))[:best]
    counter = FlopCounterMode(display=False)
    with counter:
        stylize(model, many, config)
    with _Traffic() as traffic:
        stylize(model, many, config)
    took = best / rates[best]
    flops, bandwidth = ceilings(device)
    shares = {
        "matrix": counter.get_total_flops() / took / flops,
        "bandwidth": traffic.bytes / took / bandwidth,
    }
    binding = max(shares, key=lambda name: shares[name])
    print(
        f"best at {best}: {counter.get_total_flops() / best / 1e9:.2f} GFLOP and "
        f"{traffic.bytes / best / 1e9:.2f} GB a clip\n"
        f"  matrix products  {shares['matrix']:6.1%} of {flops / 1e12:.2f} TFLOP/s measured\n"
        f"  bandwidth        {shares['bandwidth']:6.1%} of {bandwidth / 1e9:.1f} GB/s measured\n"
        f"  nearer to its ceiling: {binding}"
    )
    return {
        "device": _name(device),
        "clips_per_second": round(rates[best], 2),
        "best_batch": best,
        "matrix_share": round(shares["matrix"], 4),
        "bandwidth_share": round(shares["bandwidth"], 4),
        "binds": binding,
    }


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Style transfer: speed")
    parser.add_argument("--quick", action="store_true", help="one pair, fewer steps of shallow")
    parser.add_argument("--classifier", type=Path, help="by default trained on what is bundled")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    device = network.device_of(given.device)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    model = network.load(bundled.classifier(given.classifier), device)
    pairs = spectra(model)
    figures: dict[str, Any] = {"threads": torch.get_num_threads()}
    figures |= beside_shallow(model, pairs, quick=given.quick)
    figures |= by_batch(model, pairs, quick=given.quick)
    if device.type != "cuda":
        print("\nThere is no GPU here: what one does per second is not measured.")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
