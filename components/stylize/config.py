"""Settings of the stylize stage."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from audiostyle.config import NO_EFFECT, Config
from components.stylize import methods

Tap = Literal["conv1", "conv2", "conv3", "conv4"]
Init = Literal["method", "content", "noise"]
Optimizer = Literal["adam", "lbfgs"]


class StylizeConfig(Config):
    """Settings of the stage. What is None is the method's own choice."""

    method: str = Field(
        "default",
        description="default; notes, its way for one voice; or the systems of the paper:"
        " trained (the classifier's activations), shallow (Ulyanov and Lebedev), base (untrained"
        " 1-D convolutions)",
        json_schema_extra={"metavar": "|".join(methods.names())},
    )
    strength: float = Field(
        1.0, ge=0, le=1, description="from the content, 0, to the whole transfer, 1"
    )
    transpose: Annotated[int, Field(ge=-36, le=36)] | Literal["auto"] = Field(
        0,
        description="semitones to move the content by; auto: by octaves, to where the style is",
        json_schema_extra={"metavar": "auto|INT"},
    )
    init: Init | None = Field(
        None, description="what to start from: the method's own start, the content, or noise"
    )
    optimizer: Optimizer | None = Field(
        None, description="optimizer of the spectrogram; by default, the method's"
    )
    iterations: int | None = Field(
        None, ge=0, description="most optimization steps; by default, the method's"
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        description="learning rate of Adam, or first step of L-BFGS; by default, the method's",
    )
    content_weight: float | None = Field(None, ge=0, description="weight of the content loss")
    style_weight: float | None = Field(None, ge=0, description="weight of the style loss")
    content_layers: tuple[Tap, ...] = Field(
        ("conv1",), min_length=1, description="layers whose activations stay the content's"
    )
    style_layers: tuple[Tap, ...] = Field(
        ("conv1", "conv2", "conv3", "conv4"),
        min_length=1,
        description="layers whose statistics become the style's",
    )
    filters: int = Field(4096, ge=1, le=16384, description="random filters of the method shallow")
    tolerance: float = Field(
        1e-4, ge=0, lt=1, description="stop when 20 steps lower the loss by less than this share"
    )
    seed: int = Field(0, ge=0, description="seed of random filters and of the noise to start from")
    window_seconds: float = Field(
        12.0,
        ge=1,
        le=600,
        description="seconds of a window; longer recordings are stylized in windows",
    )
    overlap_seconds: float = Field(
        1.5, ge=0.1, le=60, description="seconds of the cross-fade between windows"
    )
    batch: int | None = Field(
        None,
        ge=1,
        description="windows optimized together; by default, what suits the device",
        json_schema_extra=NO_EFFECT,
    )
    device: str = Field(
        "auto",
        description="where to compute: auto, cpu, cuda or cuda:N",
        json_schema_extra=NO_EFFECT,
    )

    @field_validator("method")
    @classmethod
    def _method_exists(cls, name: str) -> str:
        if name not in methods.names():
            raise ValueError(f"must be one of {', '.join(methods.names())}")
        return name

    @model_validator(mode="after")
    def _overlap_fits(self) -> "StylizeConfig":
        if self.overlap_seconds > self.window_seconds / 2:
            raise ValueError(
                f"overlap_seconds {self.overlap_seconds} must be at most half of window_seconds"
                f" {self.window_seconds}"
            )
        return self
