"""Integrated phases beside those of a published implementation."""

import librosa
import numpy as np
import pytest

from components.reconstruct.phase.retrieval import griffin_lim, spectral_convergence

RATE = 22050


def plucks() -> np.ndarray:
    random = np.random.default_rng(2)
    t = np.arange(2 * RATE) / RATE
    sound = 1e-3 * random.standard_normal(t.size)
    for onset in (0.1, 0.6, 1.1, 1.5):
        since, pitch = np.maximum(t - onset, 0), random.uniform(150, 600)
        for k in range(1, 6):
            sound += (
                0.1 / k * (t >= onset) * np.exp(-4 * since) * np.sin(2 * np.pi * k * pitch * since)
            )
    return sound.astype(np.float32)


@pytest.mark.slow  # pghipy compiles for 10 s
def test_as_consistent_as_pghipy() -> None:
    """Both from the same magnitudes, before any iteration, and after some."""
    pghipy = pytest.importorskip("pghipy")
    sound = plucks()
    wanted = np.abs(librosa.stft(sound))
    gamma = 0.25645 * 2048**2  # of Hann, from the paper's reference implementation
    theirs = pghipy.pghi(
        np.ascontiguousarray(wanted.T.astype(np.float64)), 2048, 512, gamma=gamma
    ).T
    for n_iter in (0, 16):
        ours = griffin_lim(wanted, n_iter=n_iter, init="pghi", length=sound.size)
        other = griffin_lim(wanted, n_iter=n_iter, init="phase", phase=theirs, length=sound.size)
        mine, published = (spectral_convergence(wanted, output) for output in (ours, other))
        # 0.5 dB: cells of nearly the same level leave our queue in another order.
        assert mine < published + 0.5


def test_a_sine_is_integrated_exactly() -> None:
    """Its phase advances by its frequency: no iteration is needed."""
    t = np.arange(2 * RATE) / RATE
    wanted = np.abs(librosa.stft(np.sin(2 * np.pi * 1000 * t).astype(np.float32)))
    output = griffin_lim(wanted, n_iter=0, init="pghi", length=2 * RATE)
    inside = slice(RATE // 2, RATE // 2 + RATE)
    spectrum = np.abs(np.fft.rfft(output[inside] * np.hanning(RATE))) ** 2
    assert abs(int(spectrum.argmax()) - 1000) <= 1  # bins are 1 Hz wide
    assert spectrum[990:1011].sum() > 0.99 * spectrum.sum()
    assert output[inside].std() == pytest.approx(np.sqrt(0.5), rel=0.05)


def test_an_impulse_is_integrated_sharply() -> None:
    """Its phase turns by its time from bin to bin: energy stays where it was."""
    sound = np.zeros(2 * RATE, np.float32)
    sound[20000] = 1
    wanted = np.abs(librosa.stft(sound))
    output = griffin_lim(wanted, n_iter=0, init="pghi", length=sound.size)
    around = output[20000 - 64 : 20000 + 64]
    assert np.sum(around**2) > 0.8 * np.sum(output**2)


def test_recordings_in_quiet_units_start_as_well() -> None:
    wanted = np.abs(librosa.stft(plucks()))
    loud, quiet = (
        spectral_convergence(wanted * scale, griffin_lim(wanted * scale, n_iter=0, init="pghi"))
        for scale in (np.float32(1), np.float32(1e-8))
    )
    assert quiet == pytest.approx(loud, abs=0.1)
