"""Options of decoding: which part of the video is read, and how."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from pydantic import Field

from vidrestore.config.stage import StageConfig

__all__ = ["DecodeConfig"]


class DecodeConfig(StageConfig):
    """Which part of the video is read, and how much damage is accepted."""

    start: float | None = Field(None, ge=0, le=1e7, description="restore from this second on")
    end: float | None = Field(None, gt=0, le=1e7, description="restore until before this second")
    fps: Fraction | None = Field(
        None,
        gt=0,
        le=1000,
        description="frames per second of a sequence of pictures, as 24 or 30000/1001; only DPX "
        "headers may tell it",
    )
    gaps: Literal["refuse", "hold"] = Field(
        "refuse",
        description="what becomes of missing numbers in a sequence of pictures: the run stops "
        "before work, or the picture before is shown in their place",
    )
    deinterlace: Literal["bwdif"] | None = Field(
        None,
        description="make interlaced frames progressive, one for each at its own time, before "
        "anything else; without it interlaced video stays interlaced",
    )
    prefilter: str | None = Field(
        None,
        max_length=10_000,
        description="send every frame through FFmpeg filters before anything else (after "
        "deinterlacing), as `ffmpeg -vf` takes them: deflicker, or crop=704:576,atadenoise; only "
        "filters that give one frame for each, at the same time",
    )
    hardware: Literal["nvdec"] | None = Field(
        None,
        description="decode on the GPU (nvdec) where it gives the samples of decoding on the CPU, "
        "as the first frames show; a note tells why where it does not",
    )
    max_broken: float = Field(
        0.05,
        ge=0,
        le=1,
        description="largest accepted share of lost frames, or of lost packets of a copied stream",
    )
    cut_threshold: float = Field(
        0.35,
        gt=0,
        le=1,
        description="difference between two frames, 0 to 1, above which a new shot begins",
    )
