"""Whether a result plays the notes of its content: how alike their chroma are."""

import librosa
import numpy as np
from librosa.filters import chroma

from audiostyle.audio import Samples
from components.reconstruct.measures.sounds import RATE, Sounds

# Long enough to tell semitones apart from about 100 Hz up.
_N_FFT, _HOP = 4096, 1024


def measure(sounds: Sounds) -> dict[str, float]:
    """Likeness of the result's pitches to the content's, in [0, 1]; 1 for a copy.

    Empty where one of them is silent or shorter than a frame, 0.19 s.
    """
    if sounds.result is None or sounds.content is None:
        return {}
    value = likeness(sounds.result, sounds.content)
    return {} if value is None else {"pitch likeness to the content": value}


def likeness(a: Samples, b: Samples) -> float | None:
    """Mean over frames of the cosine similarity of two sounds' chroma, weighted by their level.

    a, b: as `sounds.leveled` gives them; compared over the length that both have.
    """
    both = min(len(a), len(b))
    if both < _N_FFT:
        return None
    one, two = (_chroma(x[:both]) for x in (a, b))
    # A frame counts by its energy: what is played in rests is noise, and has no pitch.
    lengths = np.linalg.norm(one, axis=0) * np.linalg.norm(two, axis=0)
    if not lengths.sum() > 0:
        return None
    return float(min(1.0, (one * two).sum() / lengths.sum()))


def _chroma(samples: Samples) -> Samples:
    magnitude = np.abs(librosa.stft(samples, n_fft=_N_FFT, hop_length=_HOP))
    bank = chroma(sr=RATE, n_fft=_N_FFT, tuning=0.0)
    return np.asarray(bank @ magnitude, np.float32)
