"""How near a result is to what an ideal transfer would have given: the `lsd` and `gain` of docs."""

import librosa
import numpy as np

from audiostyle.audio import Samples
from components.reconstruct.measures.sounds import RATE, Sounds

_BANDS, _RANGE_DB = 80, 60.0


def measure(sounds: Sounds) -> dict[str, float]:
    """Log-mel distances to the target, and the gain; empty without a target.

    gain: 0 for a copy of the content, 1 for the target itself.
    """
    if sounds.result is None or sounds.content is None or sounds.target is None:
        return {}
    of_result = lsd(sounds.result, sounds.target)
    of_content = lsd(sounds.content, sounds.target)
    return {
        "log-mel distance of the result to the target (dB)": of_result,
        "log-mel distance of the content to the target (dB)": of_content,
        "gain": gain(of_result, of_content),
    }


def lsd(a: Samples, b: Samples) -> float:
    """Root mean square over time and bands of the log-mel difference, dB.

    a, b: as `sounds.leveled` gives them; compared over the length that both have. 80 bands, each
    sound floored 60 dB below its own loudest cell.
    """
    both = min(len(a), len(b))
    difference = _log_mel(a[:both]) - _log_mel(b[:both])
    return float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))


def gain(result: float, content: float) -> float:
    """The share of the content's distance to the target that the transfer has covered."""
    return 1 - result / content if content else float("nan")


def _log_mel(samples: Samples) -> Samples:
    power = librosa.feature.melspectrogram(
        y=samples, sr=RATE, n_fft=2048, hop_length=512, n_mels=_BANDS
    )
    return np.asarray(librosa.power_to_db(power, ref=1.0, top_db=_RANGE_DB), np.float32)
