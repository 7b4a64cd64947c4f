"""How far a result has gone from the content's timbre to the style's: by their mean MFCCs."""

import librosa
import numpy as np

from audiostyle.audio import Samples
from components.reconstruct.measures.sounds import RATE, Sounds
from components.reconstruct.measures.target_distance import gain

_N_FFT, _HOP, _BANDS, _COEFFICIENTS = 2048, 512, 80, 14


def measure(sounds: Sounds) -> dict[str, float]:
    """Distances to the style's timbre, and the share of the content's that is covered.

    timbre gain: 0 for a copy of the content, 1 for the style itself. Empty where a recording is
    missing, silent, or shorter than a frame, 0.09 s.
    """
    heard = [sounds.result, sounds.content, sounds.style]
    vectors = [_mfcc(x) for x in heard if x is not None and len(x) >= _N_FFT and x.any()]
    if len(vectors) < len(heard):
        return {}
    of_result, of_content = (_cosine_distance(vector, vectors[2]) for vector in vectors[:2])
    return {
        "timbre distance of the result to the style": of_result,
        "timbre distance of the content to the style": of_content,
        "timbre gain": gain(of_result, of_content),
    }


def distance(a: Samples, b: Samples) -> float:
    """Cosine distance of two sounds' mean MFCC 2 to 14, in [0, 2]; their lengths may differ."""
    return _cosine_distance(_mfcc(a), _mfcc(b))


def _cosine_distance(a: Samples, b: Samples) -> float:
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    # Rounded, since a copy is at no distance, and shares of rounding errors mean nothing.
    return round(1 - float(a @ b) / max(lengths, 1e-12), 9)


def _mfcc(samples: Samples) -> Samples:
    """Mean over time of MFCC 2 to 14; the first is the level. Output: [13]."""
    values = librosa.feature.mfcc(
        y=samples, sr=RATE, n_mfcc=_COEFFICIENTS, n_fft=_N_FFT, hop_length=_HOP, n_mels=_BANDS
    )
    return np.asarray(values[1:].mean(1), np.float64)
