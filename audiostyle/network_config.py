"""Settings of the classifier's network, which need no torch to be read."""

from typing import Literal

from pydantic import Field, model_validator

from audiostyle.config import Config

TAPS = ("conv1", "conv2", "conv3", "conv4")  # the layers, by name
ALEXNET_TAPS = (*TAPS, "conv5")
_ALEXNET_CHANNELS = (64, 192, 384, 256, 256)


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
    channels: tuple[int, ...] = Field(
        (24, 48, 96, 128),
        description="filters of each convolution layer; of alexnet 64,192,384,256,256 by default",
    )
    # None, and not a word, so that the settings of classifiers before it read as they were.
    architecture: Literal["alexnet"] | None = Field(
        None,
        description="alexnet: five layers of 3 x 3 (Verma and Smith); by default, the paper's four",
    )
    dropout: float = Field(0.3, ge=0, lt=1, description="before the last, linear layer")

    @model_validator(mode="after")
    def _bands_in_order(self) -> "NetworkConfig":
        if self.f_min >= self.f_max:
            raise ValueError(f"f_min {self.f_min} must be below f_max {self.f_max}")
        if self.architecture == "alexnet" and "channels" not in self.model_fields_set:
            # Frozen, and not counted as given: other settings laid over these begin without it.
            object.__setattr__(self, "channels", _ALEXNET_CHANNELS)
        if len(self.channels) != len(self.taps):
            raise ValueError(f"channels {self.channels} must be {len(self.taps)} numbers")
        if min(self.channels) < 1:
            raise ValueError(f"channels {self.channels} must be positive")
        return self

    @property
    def taps(self) -> tuple[str, ...]:
        """Names of the layers."""
        return ALEXNET_TAPS if self.architecture == "alexnet" else TAPS

    @property
    def pooled(self) -> tuple[str, ...]:
        """The layers that see both axes of the one before halved. AlexNet's last two do not."""
        return ALEXNET_TAPS[1:3] if self.architecture == "alexnet" else TAPS[1:]

    @property
    def first_kernel(self) -> int:
        """Cells of the first layer's kernel along either axis; all others have three."""
        return 3 if self.architecture == "alexnet" else 5
