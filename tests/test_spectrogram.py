"""Analysis agrees with librosa; configurations refuse what cannot be inverted."""

import librosa
import numpy as np
import pytest
import torch
from conftest import noise, tone

from audiostyle.errors import InputError
from audiostyle.spectrogram import SpectrogramConfig, filterbank, magnitude, stft


@pytest.mark.parametrize("n_fft, hop_length", [(2048, 512), (1024, 256), (512, 100)])
@pytest.mark.parametrize("window", ["hann", "hamming", "blackman"])
def test_magnitude_is_librosas(n_fft: int, hop_length: int, window: str) -> None:
    config = SpectrogramConfig(n_fft=n_fft, hop_length=hop_length, window=window)
    samples = noise(seconds=1.3)
    ours = magnitude(torch.from_numpy(samples), config).numpy()
    theirs = np.abs(librosa.stft(samples, n_fft=n_fft, hop_length=hop_length, window=window))
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * theirs.max())


def test_batch_equals_single() -> None:
    config = SpectrogramConfig()
    batch = torch.from_numpy(np.stack([noise(seed=1), noise(seed=2), tone()])).reshape(3, 1, -1)
    together = stft(batch, config)
    assert together.shape == (3, 1, config.bins, config.clip_frames)
    torch.testing.assert_close(together[1, 0], stft(batch[1, 0], config))


@pytest.mark.parametrize(
    "values, words",
    [
        ({"n_fft": 2047}, "even"),
        ({"hop_length": 2000}, "hop_length 2000 must be at most"),
        ({"window": "boxcar"}, "window"),
        ({"sample_rate": "fast"}, "sample_rate"),
        ({"samplerate": 44100}, "samplerate"),
        ({"clip_seconds": 0.01}, "shorter than one frame"),
    ],
)
def test_bad_settings_are_named(values: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        SpectrogramConfig.parse(values, "settings.yaml")
    assert "settings.yaml" in str(caught.value)


def test_configuration_cannot_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        SpectrogramConfig().n_fft = 1024  # type: ignore[misc]


@pytest.mark.parametrize("scale", ["mel", "log-frequency"])
def test_filterbank_hears_a_tone_at_its_place(scale: str) -> None:
    config = SpectrogramConfig()
    bank = filterbank(config, scale, 96, 40, 10000)  # type: ignore[arg-type]
    torch.testing.assert_close(bank.sum(1), torch.ones(96))
    heard = [
        int((bank @ magnitude(torch.from_numpy(tone(f)), config).square()).mean(1).argmax())
        for f in (110, 440, 1760, 7040)
    ]
    assert heard == sorted(set(heard))
    octaves = np.diff(heard)
    if scale == "log-frequency":  # equal steps of two octaves
        assert np.ptp(octaves) <= 1


def test_filterbank_beyond_nyquist_is_refused() -> None:
    with pytest.raises(InputError, match="f_max"):
        filterbank(SpectrogramConfig(), "mel", 40, 40, 12000)
