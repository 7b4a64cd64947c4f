"""Clips that phases are retrieved for, and magnitudes: of clips, and of no clip."""

import os
from pathlib import Path

import librosa
import numpy as np
import torch

from audiostyle import audio
from audiostyle.errors import AudioError

RATE, N_FFT, HOP, LENGTH = 22050, 2048, 512, 3 * 22050
ROOT = Path(__file__).resolve().parent.parent


def clips(count: int) -> tuple[np.ndarray, str]:
    """float32 [count, LENGTH] and where they are from."""
    folders = [os.environ.get("ESC10_DIR"), ROOT.parent / "shared/data/ESC-10"]
    for folder in [*folders, ROOT / "examples/instruments"]:
        files = sorted(
            path
            for ending in ("ogg", "flac")
            for path in (Path(folder).rglob(f"*.{ending}") if folder else ())
        )
        sounds: list[np.ndarray] = []
        # Evenly spread, and then the ones between: so no class or file is favored.
        for step in range(len(files) // count if files else 0):
            for index in np.linspace(0, len(files) - 1, count, dtype=int):
                if len(sounds) < count:
                    sounds.extend(_loudest(files[min(index + step, len(files) - 1)]))
        if len(sounds) == count:
            return np.stack(sounds), str(folder)
    return np.stack([_synthetic(seed) for seed in range(count)]), "synthetic"


def _loudest(path: Path) -> list[np.ndarray]:
    """The 3 s with most energy, as a list of one; of none where the file is too short or silent."""
    try:
        recording = audio.require_sound(audio.read(path), path, seconds=LENGTH / RATE)
    except AudioError:
        return []
    samples = audio.mono(audio.resample(recording, RATE))
    energy = np.concatenate([[0.0], np.cumsum(samples.astype(np.float64) ** 2)])
    if len(samples) < LENGTH:
        return []
    start = int(np.argmax(energy[LENGTH:] - energy[:-LENGTH]))
    return [np.ascontiguousarray(samples[start : start + LENGTH])]


def _synthetic(seed: int) -> np.ndarray:
    """Decaying harmonic notes over a little noise."""
    random = np.random.default_rng(seed)
    t = np.arange(LENGTH) / RATE
    sound = 0.003 * random.standard_normal(LENGTH)
    for onset in np.arange(0, 3, 0.5):
        pitch, since = random.uniform(100, 800), np.maximum(t - onset, 0)
        partials = sum(np.sin(2 * np.pi * pitch * k * since) / k for k in range(1, 9))
        sound += 0.1 * (t >= onset) * np.exp(-4 * since) * partials
    return sound.astype(np.float32)


def magnitudes(sound: np.ndarray) -> np.ndarray:
    """[clips, LENGTH] -> [clips, bins, frames]."""
    return np.asarray(np.abs(librosa.stft(sound, n_fft=N_FFT, hop_length=HOP)), np.float32)


def mixed(content: np.ndarray, style: np.ndarray) -> np.ndarray:
    """Magnitudes of no sound, [clips, bins, frames]: even clips one way, odd ones the other."""

    def envelope(magnitude: np.ndarray) -> np.ndarray:
        # Mean over 33 bins, 355 Hz: wider than harmonics lie apart, narrower than formants are.
        pooled = torch.nn.functional.avg_pool1d(
            torch.from_numpy(magnitude.swapaxes(1, 2).copy()), 33, 1, 16, count_include_pad=False
        )
        return np.asarray(pooled.swapaxes(1, 2))

    out = np.asarray(np.sqrt(content * style))
    shaped = content / (envelope(content) + 1e-9) * envelope(style)
    out[1::2] = shaped[1::2]
    return out
