"""What counts as sound: long enough, and not silent. A constant offset is no sound."""

from math import ceil, log10
from pathlib import Path

from audiostyle.audio.recording import Recording
from audiostyle.errors import AudioError

# 80 dB below full scale: above the rounding noise of a 16-bit file of digital silence (-96 dB),
# below anything that was recorded.
SILENCE = 1e-4


def require_sound(recording: Recording, path: Path | str, *, seconds: float) -> Recording:
    """Return the recording if it can be worked with, else raise AudioError naming `path`.

    seconds: shortest length that is accepted.
    """
    require_seconds(recording.frames, recording.sample_rate, path, least=seconds)
    samples = recording.samples
    require_level(float((samples.max(1) - samples.min(1)).max() / 2), path)
    return recording


def require_seconds(samples: int, sample_rate: int, path: Path | str, *, least: float) -> None:
    """Raise AudioError naming `path` where a recording is shorter than `least` seconds."""
    needed = samples_in(least, sample_rate)
    if samples < needed:
        raise AudioError(
            path,
            f"is too short: {samples} samples ({samples / sample_rate:.4f} s) at {sample_rate} Hz;"
            f" at least {needed} samples ({least:.4f} s) are needed",
        )


def require_level(amplitude: float, path: Path | str) -> None:
    """Raise AudioError naming `path` where a recording is silent.

    amplitude: half of the distance from the lowest to the highest sample, of full scale.
    """
    if amplitude < SILENCE:
        level = f"peak {20 * log10(amplitude):.0f} dBFS" if amplitude else "one value throughout"
        raise AudioError(path, f"is silent ({level}; a peak of at least -80 dBFS is needed)")


def samples_in(seconds: float, sample_rate: int) -> int:
    """The fewest samples that last so long."""
    return ceil(seconds * sample_rate - 1e-6)
