"""From magnitudes to what a network was trained to hear: pictures, waveforms, log-mel frames.

Everything is differentiable with respect to the magnitudes, which are what is optimized. A network
on waveforms hears the inverse transform of them, with a phase that is retrieved once of the clip
to begin with and then stays: see `docs/networks.md`.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from audiostyle.spectrogram import SpectrogramConfig, filterbank, window_of
from components.stylize.methods.parts.method import LEVEL

# From magnitudes [batch, bins, frames] to the input of a network.
Hearing = Callable[[Tensor], Tensor]

_ROWS = 224  # of ImageNet's pictures; so many columns are a clip
_LEAST_COLUMNS = 64  # through all pools of VGG-19 and AlexNet something remains
_F_MIN = 40.0
_FLOOR_DB, _RANGE_DB = -60.0, 90.0  # relative to LEVEL: black, and from there to white
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_SOUNDNET_RATE, _SOUNDNET_SCALE = 22050, 256.0  # samples were scaled to [-256, 256]
_SOUNDNET_LEAST = 22050  # samples: fewer do not pass through its layers

_VGGISH_RATE, _VGGISH_BANDS = 16000, 64
_VGGISH_WINDOW, _VGGISH_HOP, _VGGISH_FFT = 400, 160, 512  # 25 and 10 ms
_VGGISH_LOW, _VGGISH_HIGH, _VGGISH_OFFSET = 125.0, 7500.0, 0.01
_VGGISH_FRAMES = 96  # of an example, 0.96 s

_PHASE_STEPS = 32
_RMS = 0.1  # of a waveform at LEVEL: -20 dB of full scale


def hearing(network: str, start: Tensor, config: SpectrogramConfig) -> Hearing:
    """What a network hears of magnitudes like those of `start`, [batch, bins, frames] at LEVEL.

    start: of whose phase the waveforms are made; the function takes magnitudes of its shape.
    """
    if network in ("vgg19", "alexnet"):
        return lambda magnitude: picture(magnitude, config)
    phase = retrieved_phase(start, config)

    def waveform(magnitude: Tensor, rate: int) -> Tensor:
        sound = inverse(magnitude, phase, config) * (_RMS / _rms_of_level(config))
        return resampled(sound, config.sample_rate, rate)

    if network == "soundnet":
        return lambda magnitude: _long_enough(waveform(magnitude, _SOUNDNET_RATE))
    return lambda magnitude: log_mel(waveform(magnitude, _VGGISH_RATE))


def picture(magnitude: Tensor, config: SpectrogramConfig) -> Tensor:
    """A spectrogram as people draw it: mel bands, low ones below, 90 dB from black to white.

    A training clip's length is as wide as it is high. Three equal channels, normalized as
    ImageNet's pictures were. Output: [batch, 3, 224, columns].
    """
    bank = _mel(config, magnitude.device)
    power = (bank @ magnitude.square()) / LEVEL**2
    level = 10 * (power + 10 ** (_FLOOR_DB / 10)).log10()
    shade = ((level - _FLOOR_DB) / _RANGE_DB).flip(1)[:, None]
    columns = max(_LEAST_COLUMNS, round(_ROWS * magnitude.shape[2] / config.clip_frames))
    shade = functional.interpolate(shade, (_ROWS, columns), mode="bilinear", align_corners=False)
    mean, deviation = (shade.new_tensor(x)[:, None, None] for x in (_MEAN, _DEVIATION))
    return (shade - mean) / deviation


@lru_cache(maxsize=4)
def _mel(config: SpectrogramConfig, device: torch.device) -> Tensor:
    return filterbank(config, "mel", _ROWS, _F_MIN, 0.49 * config.sample_rate).to(device)


@torch.no_grad()
def retrieved_phase(magnitude: Tensor, config: SpectrogramConfig) -> Tensor:
    """A phase with which magnitudes are nearly a sound's (Griffin and Lim 1984): complex, size 1.

    From phase zero, so that equal magnitudes have equal phases. As magnitude [batch, bins, frames].
    """
    phase = torch.ones_like(magnitude, dtype=torch.complex64)
    for _ in range(_PHASE_STEPS):
        sound = inverse(magnitude, phase, config)
        spectrum = torch.stft(
            sound,
            config.n_fft,
            config.hop_length,
            window=window_of(config, sound.device),
            pad_mode="constant",
            return_complex=True,
        )
        spectrum = functional.pad(
            torch.view_as_real(spectrum), (0, 0, 0, magnitude.shape[2] - spectrum.shape[2])
        )
        spectrum = torch.view_as_complex(spectrum.contiguous())
        size = spectrum.abs()
        phase = torch.where(size > 1e-9, spectrum / size.clamp_min(1e-9), phase)
    return phase


def inverse(magnitude: Tensor, phase: Tensor, config: SpectrogramConfig) -> Tensor:
    """Inverse transform, [batch, bins, frames] -> [batch, samples]."""
    sound: Tensor = torch.istft(
        magnitude * phase,
        config.n_fft,
        config.hop_length,
        window=window_of(config, magnitude.device),
    )
    return sound


def _rms_of_level(config: SpectrogramConfig) -> float:
    """Of a sound whose magnitudes have the root mean square LEVEL, by Parseval."""
    return LEVEL / math.sqrt(float(window_of(config).square().sum()))


def resampled(sound: Tensor, rate: int, wanted: int) -> Tensor:
    """At another rate by its spectrum, [batch, samples]: band-limited, and differentiable."""
    if rate == wanted:
        return sound
    samples = sound.shape[1]
    count = round(samples * wanted / rate)
    bins = count // 2 + 1
    spectrum = torch.fft.rfft(sound)[:, :bins]
    resampled: Tensor = torch.fft.irfft(spectrum, n=count) * (count / samples)
    return resampled


def _long_enough(sound: Tensor) -> Tensor:
    """[batch, samples] -> [batch, 1, samples, 1], with silence behind a sound that is too short."""
    short = max(0, _SOUNDNET_LEAST - sound.shape[1])
    return functional.pad(sound * _SOUNDNET_SCALE, (0, short))[:, None, :, None]


def log_mel(sound: Tensor) -> Tensor:
    """VGGish's own: logarithms of mel magnitudes of a waveform at 16 kHz, [batch, 1, frames, 64].

    At least one example of 96 frames; silence goes behind a sound that is shorter.
    """
    least = _VGGISH_WINDOW + (_VGGISH_FRAMES - 1) * _VGGISH_HOP
    sound = functional.pad(sound, (0, max(0, least - sound.shape[1])))
    frames = sound.unfold(1, _VGGISH_WINDOW, _VGGISH_HOP)
    window = torch.hann_window(_VGGISH_WINDOW, periodic=True, device=sound.device)
    # The root's derivative at zero is infinite; a silent bin has no direction to go in.
    power = torch.view_as_real(torch.fft.rfft(frames * window, n=_VGGISH_FFT)).square().sum(-1)
    magnitude = (power + 1e-16).sqrt()
    return (magnitude @ _vggish_bank(sound.device) + _VGGISH_OFFSET).log()[:, None]


@lru_cache(maxsize=4)
def _vggish_bank(device: torch.device) -> Tensor:
    """Triangles in mel (1127 ln(1 + f / 700)), [257, 64]; the bin at 0 Hz counts for nothing."""

    def mel(frequency: Tensor) -> Tensor:
        return 1127.0 * (1.0 + frequency / 700.0).log()

    limits = mel(torch.tensor([_VGGISH_LOW, _VGGISH_HIGH], dtype=torch.float64))
    edges = torch.linspace(
        float(limits[0]), float(limits[1]), _VGGISH_BANDS + 2, dtype=torch.float64
    )
    bins = torch.arange(_VGGISH_FFT // 2 + 1, dtype=torch.float64) * _VGGISH_RATE / _VGGISH_FFT
    at = mel(bins)[:, None]
    rising = (at - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - at) / (edges[2:] - edges[1:-1])
    bank = torch.minimum(rising, falling).clamp_min(0)
    bank[0] = 0
    return bank.float().to(device)
