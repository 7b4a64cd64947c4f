"""Settings of the classifier's network, which need no torch to be read."""

from typing import Literal

from pydantic import Field, model_validator

from audiostyle.config import Config

TAPS = ("conv1", "conv2", "conv3", "conv4")  # the layers, by name


class NetworkConfig(Config):
    """Shape of the classifier and of what it looks at."""

    representation: Literal["linear", "mel", "log-frequency"] = Field(
        "mel", description="frequency axis that the convolutions see; linear is the paper's"
    )
    bands: int = Field(40, ge=8, le=1024, description="bands of mel or log-frequency")
    f_min: float = Field(40.0, gt=0, description="Hz, lower edge of the lowest band")
    f_max: float = Field(10000.0, gt=0, description="Hz, upper edge of the highest band")
    floor_db: float = Field(
        50.0, gt=0, le=120, description="dB below the clip's mean power that count as silence"
    )
    channels: tuple[int, int, int, int] = Field(
        (24, 48, 96, 128), description="filters of the four convolution layers"
    )
    dropout: float = Field(0.3, ge=0, lt=1, description="before the last, linear layer")

    @model_validator(mode="after")
    def _bands_in_order(self) -> "NetworkConfig":
        if self.f_min >= self.f_max:
            raise ValueError(f"f_min {self.f_min} must be below f_max {self.f_max}")
        if min(self.channels) < 1:
            raise ValueError(f"channels {self.channels} must be positive")
        return self
