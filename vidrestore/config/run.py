"""Options of the machine."""

from __future__ import annotations

from pydantic import Field

from vidrestore.config.stage import StageConfig

__all__ = ["RunConfig"]


class RunConfig(StageConfig):
    """The machine."""

    device: str = Field("auto", max_length=32, description="auto, cpu, cuda, cuda:1, …")
    threads: int = Field(
        0,
        ge=0,
        le=1024,
        description=(
            "number of CPU threads, 0 for all; most encoders always use four, so that output "
            "bytes do not depend on it"
        ),
    )
    queue_frames: int = Field(
        8,
        ge=1,
        le=256,
        description="number of frames that may wait between two threads, of large pictures fewer",
    )
    collect_faces: int = Field(
        0,
        ge=0,
        le=256,
        description="number of faces to collect before the network runs; 0 for one batch",
    )
    max_failed_faces: float = Field(
        1.0,
        ge=0,
        le=1,
        description="largest accepted share of faces for which the network gives no valid numbers",
    )
