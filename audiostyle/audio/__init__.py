"""Audio files in and out: the only soundfile and soxr I/O."""

from audiostyle.audio.decoding import RATES, AudioFile, opening, read
from audiostyle.audio.encoding import Subtype, Tag, check_writable, write, writing
from audiostyle.audio.levels import SILENCE, require_level, require_seconds, require_sound
from audiostyle.audio.recording import Recording, Samples, Source, mono, resample

__all__ = [
    "RATES",
    "SILENCE",
    "AudioFile",
    "Recording",
    "Samples",
    "Source",
    "Subtype",
    "Tag",
    "check_writable",
    "mono",
    "opening",
    "read",
    "require_level",
    "require_seconds",
    "require_sound",
    "resample",
    "write",
    "writing",
]
