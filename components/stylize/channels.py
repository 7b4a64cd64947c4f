"""From stylized windows to the channels of the recording: image, silence, phase."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from audiostyle import audio
from audiostyle.spectrogram import SpectrogramConfig, window_of
from components.stylize.batches import Item
from components.stylize.checkpoint import Results
from components.stylize.spectra import spectra, together
from components.stylize.windows import faded

# Frames so far below the recording's own level are its silence, and so is what `audio.SILENCE`
# says; over the next 10 dB the style comes in.
_QUIET_DB = 60.0
_RISE_DB = 10.0


def stylized_blocks(
    item: Item, results: Results, config: SpectrogramConfig
) -> Iterator[tuple[Tensor, Tensor]]:
    """Magnitude and the content's phase in order, each [channels, bins, any frames]."""
    at = 0
    floor = max(20 * np.log10(audio.SILENCE), 20 * np.log10(item.content.facts.rms) - _QUIET_DB)
    for spectrum in spectra(item.content, config):
        frames = spectrum.shape[2]
        level = together(spectrum)
        result = faded(
            item.windows,
            lambda window: results.magnitude((item.number, window)),
            at,
            at + frames,
        )
        heard = ((_frame_level(level, config) - floor) / _RISE_DB).clamp(0, 1)
        result = heard * result + (1 - heard) * level
        yield _spread(spectrum.abs(), level, result), spectrum.angle()
        at += frames


def _frame_level(magnitude: Tensor, config: SpectrogramConfig) -> Tensor:
    """Level of each frame's sound in dB of full scale, by Parseval. [bins, n] -> [n]."""
    # Bins above 0 Hz and below Nyquist stand for two.
    energy = 2 * magnitude.square().sum(0) / (config.n_fft * window_of(config).square().sum())
    return 10 * energy.clamp_min(1e-20).log10()


def _spread(channels: Tensor, level: Tensor, result: Tensor) -> Tensor:
    """Share a result among channels as the content's own energy is shared in each cell.

    channels: [channels, bins, frames]; level: of them together, and result: [bins, frames].
    Output as channels. The stereo image so stays the content's.
    """
    if len(channels) == 1:
        return result[None]
    share = channels / level.clamp_min(1e-12)
    # Where there was nothing, whatever the style adds goes to all channels alike.
    share = torch.where(level > 1e-9, share, torch.ones_like(share))
    return share * result
