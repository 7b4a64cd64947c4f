"""How good a transfer is, measured against what would have been right.

All on float32 [n] at 22,050 Hz that `prepared` has scaled to one level: loudness is not timbre.
Where two sounds are compared frame by frame they have the same length, or a path of frames.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec

import librosa
import numpy as np
from librosa.sequence import dtw
from numpy.typing import NDArray

from audiostyle.audio import Recording, Samples
from audiostyle.errors import InputError
from components.reconstruct.measures.sounds import RATE, leveled
from components.reconstruct.measures.target_distance import gain
from components.reconstruct.measures.target_distance import lsd as frame_by_frame
from components.reconstruct.measures.timbre import distance as timbre

__all__ = ["RATE", "Measures", "gain", "lsd", "means", "measured", "pitch", "prepared", "timbre"]

_N_FFT, _HOP, _BANDS, _RANGE_DB = 2048, 512, 80, 60.0
_SHORTEST = RATE // 4  # a chroma frame of the lowest note is a quarter of a second long
_HEARD_DB = 50.0  # below the loudest frame, a frame's timbre counts for nothing


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
    samples = leveled(recording)
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


def lsd(a: Samples, b: Samples, path: NDArray[np.int_] | None = None) -> float:
    """Root mean square over time and bands of the log-mel difference, dB.

    path: [steps, 2], frames of a and b that belong together; else each frame to its own.
    """
    if path is None:
        return frame_by_frame(a, b)
    first, second = _log_mel(a), _log_mel(b)
    at = np.minimum(path, [first.shape[1] - 1, second.shape[1] - 1])
    difference = first[:, at[:, 0]] - second[:, at[:, 1]]
    return float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))


def alignment(a: Samples, b: Samples) -> NDArray[np.int_]:
    """Which frames of the same words, spoken twice, belong together, [steps, 2]: by their MFCCs."""
    one, two = (
        librosa.feature.mfcc(
            y=sound, sr=RATE, n_mfcc=14, n_fft=_N_FFT, hop_length=_HOP, n_mels=_BANDS
        )
        for sound in (a, b)
    )
    _, path = dtw(*(x - x.mean(1, keepdims=True) for x in (one, two)))
    steps: NDArray[np.int_] = path[::-1]
    return steps


def spread(result: Samples, style: Samples) -> float:
    """By how much MFCC 2 to 14 deviate otherwise than the style's: mean of |log ratio|."""
    a, b = (_heard_mfcc(sound).std(1) + 0.1 for sound in (result, style))
    return float(np.abs(np.log(a / b)).mean())


def estoi(result: Samples, content: Samples) -> float:
    """Intelligibility, extended short-time objective (Jensen and Taal 2016); 1 for a copy."""
    from pystoi import stoi

    both = min(len(result), len(content))
    return float(stoi(content[:both], result[:both], RATE, extended=True))


def can_hear_words() -> bool:
    """Whether what measures intelligibility is installed."""
    return find_spec("pystoi") is not None


def pitch(result: Samples, content: Samples) -> float:
    """Mean over frames of the cosine similarity of CQT chroma to the content's."""
    both = min(len(result), len(content))
    a, b = (
        # Not scaled by frame: the cosine does that, and silence stays recognizable.
        librosa.feature.chroma_cqt(y=sound[:both], sr=RATE, hop_length=_HOP, norm=None)
        for sound in (result, content)
    )
    lengths = np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0)
    heard = lengths > 1e-9 * lengths.max()
    return float(((a * b).sum(0)[heard] / lengths[heard]).mean())


def means(rows: list[Mapping[str, float]]) -> dict[str, float]:
    """Mean of every column, and of the gain median and lowest, as `gain_mean`, `gain_median`, ...

    A column that some rows lack is the mean of the others.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row[name] for row in rows if name in row] for name in names}
    summary = {name: float(np.mean(values)) for name, values in columns.items() if name != "gain"}
    if "gain" in columns:
        summary |= {
            "gain_mean": float(np.mean(columns["gain"])),
            "gain_median": float(np.median(columns["gain"])),
            "gain_worst": float(np.min(columns["gain"])),
        }
    return summary


def _heard_mfcc(sound: Samples) -> NDArray[np.float64]:
    """MFCC 2 to 14 of the frames that are not much softer than the loudest."""
    coefficients = librosa.feature.mfcc(
        y=sound, sr=RATE, n_mfcc=14, n_fft=_N_FFT, hop_length=_HOP, n_mels=_BANDS
    )
    level = librosa.feature.rms(y=sound, frame_length=_N_FFT, hop_length=_HOP)[0]
    heard: NDArray[np.float64] = coefficients[1:, level > level.max() * 10 ** (-_HEARD_DB / 20)]
    return heard


def _log_mel(samples: Samples) -> NDArray[np.float32]:
    power = librosa.feature.melspectrogram(
        y=samples, sr=RATE, n_fft=_N_FFT, hop_length=_HOP, n_mels=_BANDS
    )
    return np.asarray(librosa.power_to_db(power, ref=1.0, top_db=_RANGE_DB), np.float32)
