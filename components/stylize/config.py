"""Settings of the stylize stage."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from audiostyle.config import NO_EFFECT, Config, Seed
from audiostyle.network_config import ALEXNET_TAPS, TAPS
from components.stylize import methods
from components.stylize.networks.catalog import CATALOG, Name

Init = Literal["method", "content", "noise"]
Optimizer = Literal["adam", "lbfgs"]


class StylizeConfig(Config):
    """Settings of the stage. What is None is the method's own choice."""

    method: str = Field(
        "default",
        description="default; notes, its way for one voice; or the systems of the paper:"
        " trained (the classifier's activations), shallow (Ulyanov and Lebedev), base (untrained"
        " 1-D convolutions); or pretrained, a network from elsewhere; or verma-smith (AlexNet"
        " trained here, with envelopes of energy)",
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
    content_layers: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="layers whose activations stay the content's; by default, the method's",
    )
    style_layers: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="layers whose statistics become the style's; by default, the method's",
    )
    network: Name | None = Field(None, description="network of the method pretrained")
    # The hash says which weights they are, wherever they lie.
    weights: str | None = Field(
        None,
        min_length=1,
        description="its weights: a safetensors file, s3://, or random (drawn from the seed)",
        json_schema_extra={**NO_EFFECT, "metavar": "FILE"},
    )
    weights_sha256: str | None = Field(
        None,
        pattern="^[0-9a-fA-F]{64}$",
        description="SHA-256 that the file of weights must have; needed for s3://",
        json_schema_extra={"metavar": "HEX"},
    )
    filters: int = Field(4096, ge=1, le=16384, description="random filters of the method shallow")
    tolerance: float = Field(
        1e-4, ge=0, lt=1, description="stop when 20 steps lower the loss by less than this share"
    )
    seed: Seed = Field(0, description="seed of random filters and of the noise to start from")
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
    def _network_is_whole(self) -> "StylizeConfig":
        """Of `pretrained` the network and its weights; of all methods, layers that there are."""
        if self.method == "pretrained":
            if self.network is None:
                raise ValueError(f"network: method pretrained needs one of {', '.join(CATALOG)}")
            if self.weights is None:
                raise ValueError("weights: method pretrained needs a file, or the word random")
            if self.weights == "random" and self.weights_sha256:
                raise ValueError("weights_sha256: random weights have none")
        for name in ("content_layers", "style_layers"):
            for layer in getattr(self, name) or ():
                if layer not in self.layers:
                    raise ValueError(
                        f"{name}: must be of {', '.join(self.layers)} (got {layer!r:.80})"
                    )
        return self

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers whose activations the method can take, where the classifier has them."""
        if self.method == "pretrained" and self.network:
            return CATALOG[self.network].layers
        return ALEXNET_TAPS if self.method in ("verma-smith", "trained") else TAPS

    @model_validator(mode="after")
    def _overlap_fits(self) -> "StylizeConfig":
        if self.overlap_seconds > self.window_seconds / 2:
            raise ValueError(
                f"overlap_seconds {self.overlap_seconds} must be at most half of window_seconds"
                f" {self.window_seconds}"
            )
        return self
