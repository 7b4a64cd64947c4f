"""Short-time Fourier analysis and what both of its ends must agree on."""

from typing import Literal

import torch

from audiostyle.errors import InputError
from audiostyle.spectrogram_config import SpectrogramConfig as SpectrogramConfig


def window_of(config: SpectrogramConfig, device: torch.device | str = "cpu") -> torch.Tensor:
    """The periodic analysis window. Output: [n_fft], float32."""
    make = {
        "hann": torch.hann_window,
        "hamming": torch.hamming_window,
        "blackman": torch.blackman_window,
    }[config.window]
    return make(config.n_fft, periodic=True, device=device)


def stft(samples: torch.Tensor, config: SpectrogramConfig) -> torch.Tensor:
    """Short-time Fourier transform.

    Input: [..., n] float32, n >= 1. Output: [..., bins, 1 + n // hop_length] complex64.

    >>> stft(torch.zeros(2, 22050), SpectrogramConfig()).shape
    torch.Size([2, 1025, 44])
    """
    if not samples.shape[-1]:
        raise InputError("samples: an empty signal has no spectrogram")
    flat = samples.reshape(-1, samples.shape[-1])
    spectrum = torch.stft(
        flat,
        config.n_fft,
        config.hop_length,
        window=window_of(config, samples.device),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )
    return spectrum.reshape(*samples.shape[:-1], *spectrum.shape[-2:])


def magnitude(samples: torch.Tensor, config: SpectrogramConfig) -> torch.Tensor:
    """Magnitude of the short-time Fourier transform, linear.

    Input: [..., n] float32. Output: [..., bins, frames] float32, >= 0.
    """
    return stft(samples, config).abs()


def filterbank(
    config: SpectrogramConfig,
    scale: Literal["mel", "log-frequency"],
    bands: int,
    f_min: float,
    f_max: float,
) -> torch.Tensor:
    """Triangular bands that gather STFT power, spaced evenly in mel (O'Shaughnessy) or octaves.

    f_min, f_max in Hz: edges of the lowest and highest band. Every band weighs its bins so that
    they sum to one: a band reads the mean power around its center, whatever its width, so a
    band narrower than the bin spacing reads the interpolated bin rather than nothing.
    Output: [bands, bins], float32.
    """
    if not 0 < f_min < f_max <= config.sample_rate / 2:
        raise InputError(
            f"f_min, f_max: need 0 < f_min < f_max <= {config.sample_rate / 2} Hz"
            f" (got {f_min}, {f_max})"
        )
    limits = torch.tensor([f_min, f_max], dtype=torch.float64)
    if scale == "mel":
        low, high = 2595 * torch.log10(1 + limits / 700)
        edges = 700 * (10 ** (torch.linspace(low, high, bands + 2, dtype=torch.float64) / 2595) - 1)
    else:
        low, high = torch.log2(limits)
        edges = 2 ** torch.linspace(low, high, bands + 2, dtype=torch.float64)
    spacing = config.sample_rate / config.n_fft
    bins = torch.arange(config.bins, dtype=torch.float64) * spacing
    center = edges[1:-1, None]
    # At least one bin spacing wide on either side, so that no triangle falls between two bins.
    left = torch.minimum(edges[:-2, None], center - spacing)
    right = torch.maximum(edges[2:, None], center + spacing)
    rising = (bins - left) / (center - left)
    falling = (right - bins) / (right - center)
    weights = torch.minimum(rising, falling).clamp_min(0)
    return (weights / weights.sum(1, keepdim=True)).float()
