"""Settings of the reconstruct stage."""

from typing import Literal

from pydantic import Field

from audiostyle.audio import Subtype
from audiostyle.config import NO_EFFECT, Config


class ReconstructConfig(Config):
    """Settings of the stage."""

    init: Literal["auto", "random", "pghi", "phase"] = Field(
        "auto", description="phase to start from; phase is the content's"
    )
    iterations: int = Field(64, ge=0, description="of Griffin-Lim")
    momentum: float = Field(
        0.99, ge=0, description="0 is Griffin and Lim 1984, 0.99 Perraudin 2013"
    )
    seed: int = Field(0, description="of the random phase")
    format: Literal["wav", "flac"] = Field("wav", description="of the files")
    subtype: Subtype = Field("PCM_16", description="PCM_16, PCM_24 or FLOAT (WAV only)")
    sample_rate: int | None = Field(
        None, ge=4000, le=192000, description="Hz; the content's where not given"
    )
    channels: Literal["content", "mono"] = Field("content", description="of the files")
    title: str = Field(
        "Audio style transfer", description="of the report page", json_schema_extra=NO_EFFECT
    )
