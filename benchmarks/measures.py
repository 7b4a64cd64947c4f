"""How good a transfer is, measured against what would have been right.

All on float32 [n] at 22,050 Hz that `prepared` has scaled to one level: loudness is not timbre.
Where two sounds are compared frame by frame they have the same length.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import librosa
import numpy as np

from audiostyle.audio import Recording, Samples
from audiostyle.errors import InputError
from components.reconstruct.measures import RATE, gain, levelled, lsd

__all__ = ["RATE", "Measures", "gain", "lsd", "means", "measured", "pitch", "prepared", "timbre"]

_N_FFT, _HOP, _BANDS = 2048, 512, 80
_SHORTEST = RATE // 4  # a chroma frame of the lowest note is a quarter of a second long


@dataclass(frozen=True)
class Measures:
    """lsd in dB; gain: 0 for a copy of the content, 1 for the target; timbre and pitch below."""

    lsd: float
    gain: float
    timbre: float
    pitch: float

    def plain(self) -> dict[str, float]:
        """By name."""
        return asdict(self)


def prepared(recording: Recording) -> Samples:
    """Mono, at 22,050 Hz, of an RMS of 0.1. Raises InputError for silence and for a blink."""
    samples = levelled(recording)
    if not samples.any() or len(samples) < _SHORTEST:
        raise InputError(f"recording: {len(samples)} samples, silent or too few to be measured")
    return samples


def measured(result: Samples, content: Samples, style: Samples, target: Samples) -> Measures:
    """All measures of one transfer. Sounds as `prepared` gives them.

    Raises InputError where the lengths of result and target differ by more than a frame.
    """
    if abs(len(result) - len(target)) > _HOP:
        raise InputError(f"lsd: {len(result)} samples beside {len(target)}")
    own, nothing = lsd(result, target), lsd(content, target)
    return Measures(own, gain(own, nothing), timbre(result, style), pitch(result, content))


def timbre(result: Samples, style: Samples) -> float:
    """Cosine distance of the mean MFCC 2 to 14 to the style's; lengths may differ."""
    a, b = (
        librosa.feature.mfcc(
            y=sound, sr=RATE, n_mfcc=14, n_fft=_N_FFT, hop_length=_HOP, n_mels=_BANDS
        )[1:].mean(1)
        for sound in (result, style)
    )
    return 1 - float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12))


def pitch(result: Samples, content: Samples) -> float:
    """Mean over frames of the cosine similarity of CQT chroma to the content's."""
    both = min(len(result), len(content))
    a, b = (
        # Not scaled by frame: the cosine does that, and silence stays recognisable.
        librosa.feature.chroma_cqt(y=sound[:both], sr=RATE, hop_length=_HOP, norm=None)
        for sound in (result, content)
    )
    lengths = np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0)
    heard = lengths > 1e-9 * lengths.max()
    return float(((a * b).sum(0)[heard] / lengths[heard]).mean())


def means(rows: list[Mapping[str, float]]) -> dict[str, float]:
    """Mean of every column, and the median of the gain, as `gain_mean`, `gain_median`, ...."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    summary = {name: float(np.mean(values)) for name, values in columns.items() if name != "gain"}
    if "gain" in columns:
        summary |= {
            "gain_mean": float(np.mean(columns["gain"])),
            "gain_median": float(np.median(columns["gain"])),
        }
    return summary
