"""Settings of the preprocess stage. Knows no torch."""

from typing import Literal

from pydantic import Field

from audiostyle.config import NO_EFFECT, Config
from audiostyle.spectrogram_config import SpectrogramConfig


class CutConfig(Config):
    """Which clips are cut from a recording that is longer or shorter than a clip."""

    long: Literal["first", "centre", "loudest", "windows"] = Field(
        "first", description="which part of a long recording to use; windows: all, one every hop"
    )
    hop_seconds: float = Field(
        3.0, gt=0, le=600, description="seconds from one window to the next, if long is windows"
    )
    short: Literal["pad", "loop"] = Field(
        "pad", description="what follows a short recording: zeros, or the recording again"
    )


class PreprocessConfig(Config):
    """Settings of the stage."""

    spectrogram: SpectrogramConfig = SpectrogramConfig()
    cut: CutConfig = CutConfig()
    layout: str = Field("auto", description="layout of the data set; auto: recognized by its files")
    validation: float = Field(
        0.15, ge=0, lt=1, description="share of validation clips, if the data has no splits"
    )
    test: float = Field(
        0.15, ge=0, lt=1, description="share of test clips, if the data has no splits"
    )
    seed: int = Field(0, description="seed of the random split")
    max_failures: float = Field(
        0.01, ge=0, le=1, description="share of unusable files beyond which the stage fails"
    )
    cache: str = Field(
        "",
        description="URI of the spectrogram cache: s3://bucket/prefix, file:///folder, a path",
        json_schema_extra=NO_EFFECT,
    )
    workers: int = Field(
        0,
        ge=0,
        le=256,
        description="threads; 0: one a core, two with a cache in a bucket",
        json_schema_extra=NO_EFFECT,
    )
