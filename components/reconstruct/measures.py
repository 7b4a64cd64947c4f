"""How near a result is to what an ideal transfer would have given: the `lsd` and `gain` of docs."""

from pathlib import Path

import librosa
import numpy as np

from audiostyle.audio import Recording, Samples, blocks, mono, resample

# The analysis is fixed, whatever the transfer used, so that figures can be compared.
RATE = 22050
_RMS = 0.1
_BANDS, _RANGE_DB = 80, 60.0


def listening(path: Path) -> Recording:
    """A file's mono mix at 22,050 Hz, decoded a block at a time."""
    facts = blocks.facts(path)
    for _ in facts.through(blocks.blocks(path)):
        pass
    parts = blocks.resampled(blocks.mixed(blocks.blocks(path), facts), facts.sample_rate, RATE)
    return Recording(np.concatenate(list(parts), 1), RATE)


def levelled(recording: Recording) -> Samples:
    """Mono, at 22,050 Hz, of an RMS of 0.1: loudness is not timbre. Output: [n] float32."""
    samples = mono(resample(recording, RATE))
    level = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
    return np.asarray(samples * (_RMS / max(level, 1e-9)), np.float32)


def lsd(a: Samples, b: Samples) -> float:
    """Root mean square over time and bands of the log-mel difference, dB.

    a, b: as `levelled` gives them; compared over the length that both have. 80 bands, each sound
    floored 60 dB below its own loudest cell.
    """
    both = min(len(a), len(b))
    difference = _log_mel(a[:both]) - _log_mel(b[:both])
    return float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))


def log_mel_distance(a: Recording, b: Recording) -> float:
    """See `lsd`."""
    return lsd(levelled(a), levelled(b))


def gain(result: float, content: float) -> float:
    """The share of the content's distance to the target that the transfer has covered."""
    return 1 - result / content if content else float("nan")


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
        "gain": gain(of_result, of_content),
    }


def _log_mel(samples: Samples) -> Samples:
    power = librosa.feature.melspectrogram(
        y=samples, sr=RATE, n_fft=2048, hop_length=512, n_mels=_BANDS
    )
    return np.asarray(librosa.power_to_db(power, ref=1.0, top_db=_RANGE_DB), np.float32)
