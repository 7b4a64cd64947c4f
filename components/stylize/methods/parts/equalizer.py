"""A constant equalizer that gives one recording the long-term spectrum of another.

The simplest transfer of timbre there is, and the start of the better ones: it moves the envelope
to where the style's is on average and leaves every note where it was.
"""

from torch import Tensor
from torch.nn import functional

from audiostyle.spectrogram import SpectrogramConfig, filterbank

# Bands narrow enough to follow formants, wide enough not to copy the style's pitches: between 20
# and 60 linear bins, or 40 mel bands over 3, the log-mel distance to true targets is flat.
_BANDS = 40
_SMOOTHING = 3
_F_MIN = 40.0
# No band is raised or lowered by more: what a recording lacks altogether would come up as noise.
_LIMIT_DB = 30.0


def equalize(magnitude: Tensor, own: Tensor, style: Tensor, config: SpectrogramConfig) -> Tensor:
    """Magnitudes under the style's mean spectrum.

    magnitude: [batch, bins, frames], linear. own, style: [batch, bins], mean power spectra: of the
    recording that each is from, and of the style, at whatever level. Output: as magnitude.
    """
    top = 0.45 * config.sample_rate
    bank = filterbank(config, "mel", _BANDS, _F_MIN, top).to(magnitude.device)
    # Levels aside: both spectra are shares of their own power. The floor, 100 dB down, is silence.
    bands = [power @ bank.T for power in (own, style)]  # [batch, bands]
    shared = [power / power.sum(1, keepdim=True) + 1e-10 for power in bands]
    gain = 0.5 * (shared[1] / shared[0]).log()  # nepers of magnitude
    edge = _SMOOTHING // 2
    padded = functional.pad(gain[:, None], (edge, edge), mode="replicate")
    limit = _LIMIT_DB * 0.1151293  # dB to nepers of magnitude
    gain = functional.avg_pool1d(padded, _SMOOTHING, 1)[:, 0].clamp(-limit, limit)
    # Between the bands' centers the gain is interpolated, beyond the outer ones it stays.
    weights = bank / bank.amax(1, keepdim=True)
    weights = weights / weights.sum(0).clamp_min(1e-9)
    covered = weights.sum(0) > 0.5
    curve = gain @ weights  # [batch, bins]
    first, last = covered.nonzero()[[0, -1], 0]
    curve[:, :first], curve[:, last + 1 :] = curve[:, first, None], curve[:, last, None]
    return magnitude * curve.exp()[:, :, None]
