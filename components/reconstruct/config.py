"""Settings of the reconstruct stage."""

from typing import Literal

from pydantic import Field

from audiostyle.audio import Subtype
from audiostyle.config import NO_EFFECT, Config, Seed


class ReconstructConfig(Config):
    """Settings of the stage."""

    init: Literal["auto", "random", "pghi", "phase"] = Field(
        "auto", description="phase to start from: random, pghi, the content's (phase), or auto"
    )
    iterations: int = Field(64, ge=0, description="iterations of Griffin-Lim")
    momentum: float = Field(
        0.99,
        ge=0,
        le=1,
        description="momentum of Griffin-Lim: 0 (Griffin and Lim 1984), 0.99 (Perraudin 2013)",
    )
    seed: Seed = Field(0, description="seed of the random phase")
    format: Literal["wav", "flac"] = Field("wav", description="format of the recordings")
    subtype: Subtype = Field(
        "PCM_16", description="sample format: PCM_16, PCM_24 or FLOAT (WAV only)"
    )
    sample_rate: int | None = Field(
        None, ge=4000, le=192000, description="sample rate in Hz; by default, the content's"
    )
    channels: Literal["content", "mono"] = Field(
        "content", description="channels of the recordings"
    )
    title: str = Field(
        "Audio style transfer", description="title of the report page", json_schema_extra=NO_EFFECT
    )
