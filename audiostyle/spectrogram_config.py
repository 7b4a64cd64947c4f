"""The settings of a spectrogram, which travel in every artifact. Knows no torch."""

from typing import Literal

from pydantic import Field, model_validator

from audiostyle.config import Config

Window = Literal["hann", "hamming", "blackman"]


class SpectrogramConfig(Config):
    """How audio becomes a spectrogram. Travels inside every artifact, so that no stage guesses.

    Frames are centered on multiples of the hop, with zeros beyond both ends: librosa's defaults.
    """

    sample_rate: int = Field(22050, ge=4000, le=192000, description="in Hz")
    n_fft: int = Field(2048, ge=64, le=32768, description="samples in a frame; even")
    hop_length: int = Field(512, ge=1, description="samples between frames; at most half of n_fft")
    window: Window = Field("hann", description="periodic analysis window")
    clip_seconds: float = Field(3.0, gt=0, le=600, description="length of a training clip")

    @model_validator(mode="after")
    def _invertible(self) -> "SpectrogramConfig":
        if self.n_fft % 2:
            raise ValueError(f"n_fft {self.n_fft} must be even")
        # With less overlap than one half, the windows leave gaps that no inverse can fill.
        if self.hop_length * 2 > self.n_fft:
            raise ValueError(f"hop_length {self.hop_length} must be at most n_fft/2")
        if self.clip_samples < self.n_fft:
            raise ValueError(f"clip_seconds {self.clip_seconds} is shorter than one frame")
        return self

    @property
    def bins(self) -> int:
        """Frequency bins, 0 Hz to Nyquist."""
        return self.n_fft // 2 + 1

    @property
    def clip_samples(self) -> int:
        """Samples in one clip."""
        return round(self.clip_seconds * self.sample_rate)

    @property
    def clip_frames(self) -> int:
        """Frames in one clip."""
        return 1 + self.clip_samples // self.hop_length
