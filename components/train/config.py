"""Settings of the train stage, which need no torch to be read."""

from typing import Literal

from pydantic import Field

from audiostyle.config import NO_EFFECT, Config, Seed
from audiostyle.network_config import NetworkConfig


class AugmentationConfig(Config):
    """How strongly. Zero turns a kind off, a crop of 1 the random time."""

    crop: float = Field(
        0.75, gt=0, le=1, description="share of a clip seen, at a random place; 1: all, unmoved"
    )
    filter_db: float = Field(8.0, ge=0, description="dB, deviation of a random smooth equalizer")
    room: float = Field(0.5, ge=0, le=1, description="share of clips that get a reverberant tail")
    noise: float = Field(0.5, ge=0, le=1, description="share of clips that get colored noise")
    tuning: float = Field(1.5, ge=0, description="bands, largest shift along the band axis")
    masks: int = Field(1, ge=0, description="time and band masks each (SpecAugment, Park 2019)")
    mixup: float = Field(
        0.3, ge=0, description="alpha of the Beta distribution of shares (Zhang 2018); 1: uniform"
    )
    mixing: Literal["level", "power"] = Field(
        "level", description="of two clips' levels, or of their sounds (between-class learning)"
    )


class TrainConfig(Config):
    """Settings of the stage."""

    network: NetworkConfig = NetworkConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    epochs: int = Field(50, ge=1, description="most passes over the training clips")
    patience: int = Field(20, ge=1, description="epochs without improvement before stopping")
    batch: int = Field(32, ge=2, description="clips per step")
    learning_rate: float = Field(3e-3, gt=0, description="peak of the one-cycle schedule (AdamW)")
    weight_decay: float = Field(0.02, ge=0, description="weight decay of AdamW")
    label_smoothing: float = Field(
        0.05, ge=0, lt=1, description="share of a label spread over all classes"
    )
    seed: Seed = Field(0, description="seed of weights, order, augmentation and dropout")
    device: str = Field(
        "auto",
        description="where to compute: auto, cpu, cuda or cuda:N",
        json_schema_extra=NO_EFFECT,
    )
