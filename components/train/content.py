"""What a spectrogram set is of, wherever it lies and whichever machine computed it."""

from audiostyle import artifacts
from audiostyle.spectrogram_set import SpectrogramSet


def content_digest(clips: SpectrogramSet) -> str:
    """SHA-256 over what is in the recordings, their labels and splits, and how they were analyzed.

    Paths are left out: the same recordings in another folder are the same data.
    """
    rows = sorted(
        [clip.sha256, clip.label, clip.split, clip.fold, clip.group, clip.start]
        for clip in clips.clips
    )
    cut = clips.artifact.table("data").get("cut")
    return artifacts.digest_of([clips.spectrogram.plain(), cut, rows])
