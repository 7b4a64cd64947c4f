"""Long recordings, block by block: no seam, no growth."""

import json
import subprocess
import sys
from typing import Any

import librosa
import numpy as np
import pytest
import torch

from audiostyle.errors import InputError
from components.reconstruct.phase.retrieval import griffin_lim, spectral_convergence, stream

RATE = 22050
FAST: dict[str, Any] = {"n_fft": 512, "hop_length": 128}


def cut(array: np.ndarray, *sizes: int) -> list[np.ndarray]:
    """Along frames, in turn by these sizes."""
    parts: list[np.ndarray] = []
    start = 0
    while start < array.shape[-1]:
        size = sizes[len(parts) % len(sizes)]
        parts.append(array[..., start : start + size])
        start += size
    return parts


def notes(seconds: float) -> np.ndarray:
    """A glide and plucked notes, a new one every quarter of a second."""
    random = np.random.default_rng(5)
    t = np.arange(int(seconds * RATE)) / RATE
    sound = 0.1 * np.sin(2 * np.pi * (300 * t + 60 * t**2)) + 1e-3 * random.standard_normal(t.size)
    for onset in np.arange(0, seconds, 0.25):
        since = np.maximum(t - onset, 0)
        pitch = random.uniform(200, 900)
        sound += 0.2 * (t >= onset) * np.exp(-8 * since) * np.sin(2 * np.pi * pitch * since)
    return sound.astype(np.float32)


def magnitudes(sound: np.ndarray) -> np.ndarray:
    return np.asarray(np.abs(librosa.stft(sound, n_fft=512, hop_length=128)))


@pytest.mark.parametrize("init", ["random", "phase"])
@pytest.mark.parametrize("n_iter", [0, 3, 16])
def test_blocks_give_the_very_sound_of_the_whole(init: Any, n_iter: int) -> None:
    wanted = magnitudes(notes(4))
    phase = np.random.default_rng(0).uniform(-3, 3, wanted.shape).astype(np.float32)
    whole = griffin_lim(wanted, n_iter=n_iter, init=init, phase=phase, **FAST)
    blocks = zip(cut(wanted, 7, 130, 61), cut(phase, 7, 130, 61), strict=True)
    parts = list(stream(blocks, n_iter=n_iter, init=init, block_frames=64, **FAST))
    assert len(parts) > 5
    assert np.abs(np.concatenate(parts) - whole).max() < 1e-5 * np.abs(whole).max()


def test_where_blocks_are_cut_changes_nothing() -> None:
    wanted = magnitudes(np.stack([notes(4), notes(4)[::-1]]))
    output = [
        np.concatenate(list(stream(cut(wanted, *sizes), n_iter=4, **FAST)), axis=-1)
        for sizes in ((10,), (689,), (300, 1))
    ]
    assert output[0].shape == (2, 128 * (wanted.shape[-1] - 1))
    np.testing.assert_array_equal(output[0], output[1])
    np.testing.assert_array_equal(output[0], output[2])
    # One window of 1024 frames holds it, and is what griffin_lim takes.
    np.testing.assert_array_equal(output[0], griffin_lim(wanted, n_iter=4, **FAST))


def test_a_long_array_is_streamed_within() -> None:
    wanted = magnitudes(notes(15))
    assert wanted.shape[-1] > 2 * 1024
    whole = griffin_lim(wanted, n_iter=4, length=15 * RATE, **FAST)
    parts = list(stream(cut(wanted, 500), n_iter=4, length=15 * RATE, **FAST))
    assert len(parts) == 3
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_integrated_phases_go_on_from_block_to_block() -> None:
    """As consistent with 13 joints as with none."""
    wanted = magnitudes(notes(5))
    reached = []
    for block_frames in (60, 1024):
        parts = list(stream([wanted], block_frames=block_frames, **FAST))
        reached.append(float(spectral_convergence(wanted, np.concatenate(parts), **FAST)))
    assert reached[0] < reached[1] + 0.5


def test_a_steady_tone_stays_steady_across_every_joint() -> None:
    seconds = 12
    t = np.arange(seconds * RATE) / RATE
    wanted = np.abs(librosa.stft((0.3 * np.sin(2 * np.pi * 441.7 * t)).astype(np.float32)))
    parts = list(stream(cut(wanted, 50), block_frames=64))
    assert len(parts) > 5
    sound = np.concatenate(parts)
    # Level over four periods, away from the ends, which have no steady tone in their frames.
    span = round(4 * RATE / 441.7)
    inside = sound[RATE : len(sound) - RATE]
    level = np.sqrt(np.mean(inside[: inside.size // span * span].reshape(-1, span) ** 2, axis=1))
    assert np.ptp(20 * np.log10(level)) < 0.5
    # And in phase: the whole is one sine, not pieces of it.
    spectrum = np.abs(np.fft.rfft(inside * np.hanning(inside.size))) ** 2
    peak = spectrum.argmax()
    assert spectrum[peak - 3 : peak + 4].sum() > 0.99 * spectrum.sum()


def test_auto_decides_once_the_clip_sounds() -> None:
    late = np.concatenate([np.zeros(RATE, np.float32), notes(3)])
    spectrum = librosa.stft(late, **FAST)
    wanted, phase = np.abs(spectrum), np.angle(spectrum)
    pairs = zip(cut(wanted, 64), cut(phase, 64), strict=True)
    output = stream(pairs, n_iter=8, block_frames=64, length=late.size, **FAST)
    sound = np.concatenate(list(output))
    assert spectral_convergence(wanted, sound, **FAST) < -80  # the true phase was taken


def test_silence_and_kinds() -> None:
    parts = list(stream([torch.zeros(2, 257, 300)], block_frames=50, n_iter=2, **FAST))
    assert all(isinstance(part, torch.Tensor) for part in parts)
    joined = torch.cat(parts, dim=-1)
    assert joined.shape == (2, 299 * 128) and not joined.any()


@pytest.mark.parametrize(
    ("blocks", "arguments", "says"),
    [
        ([], {}, "blocks: there is none"),
        ([np.ones((257, 9)), np.ones((2, 257, 9))], {}, r"magnitude: shape \(2, 257, 9\) after"),
        (
            [np.ones((257, 9)), np.full((257, 9), np.nan)],
            {},
            r"magnitude: \[0, 9\] is nan",
        ),
        ([(np.ones((257, 9)), np.ones((257, 9))), np.ones((257, 9))], {}, "phase: missing .* 9"),
        ([np.ones((257, 9))], {"init": "phase"}, "phase: None"),
        ([np.ones((257, 9))], {"length": 2000}, "length: 2000 samples; 9 frames mean 1024 to 1151"),
        ([np.ones((257, 9))], {"block_frames": 0}, "block_frames: 0"),
    ],
)
def test_what_cannot_be_used_is_named(blocks: Any, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        list(stream(blocks, **{**FAST, **arguments}))


HOUR = """
import json
from pathlib import Path
import numpy as np
from components.reconstruct.phase.retrieval import stream

BLOCK, FRAMES, HOP = 400, 1 + 3600 * 22050 // 512, 512
window = np.hanning(2049)[:-1].astype(np.float32)

def blocks():
    for start in range(0, FRAMES, BLOCK):
        frames = min(BLOCK, FRAMES - start)
        t = (start * HOP - 1024 + np.arange((frames - 1) * HOP + 2048)) / 22050
        sound = 0.3 * np.sin(2 * np.pi * 441.7 * t) * (1 + 0.5 * np.sin(2 * np.pi * 0.2 * t))
        cut = np.lib.stride_tricks.sliding_window_view(sound.astype(np.float32), 2048)[::HOP]
        yield np.abs(np.fft.rfft(cut * window)).T

samples, level = 0, []
for part in stream(blocks(), n_iter=2, length=3600 * 22050):
    samples += part.size
    level.append(float(np.sqrt(np.mean(part**2))))
# Not getrusage: its peak starts from that of the process which started this one.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(json.dumps({
    "samples": samples,
    "level": [min(level), max(level)],
    "peak_bytes": int(status["VmHWM"].split()[0]) * 1024,
}))
"""


@pytest.mark.slow
def test_an_hour_takes_less_than_a_gigabyte() -> None:
    """The hour's magnitudes alone would be 0.64 GB, so they come in blocks, too."""
    run = subprocess.run(
        [sys.executable, "-c", HOUR], capture_output=True, text=True, timeout=600, check=False
    )
    assert run.returncode == 0, run.stderr
    output = json.loads(run.stdout)
    assert output["samples"] == 3600 * RATE
    assert output["peak_bytes"] < 1e9
    # An amplitude of 0.3, modulated by half: 0.3 / sqrt(2) * sqrt(1 + 1 / 8).
    assert output["level"] == pytest.approx([0.225, 0.225], rel=0.05)
