"""How near a result is to what an ideal transfer would have given."""

import librosa
import numpy as np

from audiostyle.audio import Recording, Samples, mono, resample

# The analysis is fixed, whatever the transfer used, so that figures can be compared.
_RATE = 22050
_BANDS = 80
_FLOOR_DB = -60.0


def log_mel(recording: Recording) -> Samples:
    """Log-mel spectrogram at 22.05 kHz of the mono mix, scaled to one RMS: level does not count.

    Output: [80, frames] float32 in dB, floored 60 dB below the loudest cell.
    """
    samples = mono(resample(recording, _RATE))
    samples = samples / max(float(np.sqrt(np.mean(np.square(samples)))), 1e-9)
    power = librosa.feature.melspectrogram(
        y=samples, sr=_RATE, n_fft=2048, hop_length=512, n_mels=_BANDS
    )
    return np.asarray(librosa.power_to_db(power, ref=np.max, top_db=-_FLOOR_DB), np.float32)


def log_mel_distance(a: Recording, b: Recording) -> float:
    """Root mean square difference of two log-mel spectrograms over bands and time, in dB.

    Compared over the length that both have.
    """
    left, right = log_mel(a), log_mel(b)
    frames = min(left.shape[1], right.shape[1])
    return float(np.sqrt(np.mean(np.square(left[:, :frames] - right[:, :frames]))))


def measures(result: Recording, content: Recording, target: Recording | None) -> dict[str, float]:
    """Measures of a result, named in words with their unit.

    gain: 0 for a copy of the content, 1 for the target itself. Empty without a target.
    """
    if target is None:
        return {}
    of_result = log_mel_distance(result, target)
    of_content = log_mel_distance(content, target)
    return {
        "log-mel distance of the result to the target (dB)": of_result,
        "log-mel distance of the content to the target (dB)": of_content,
        "gain": 1 - of_result / of_content if of_content else float("nan"),
    }
