"""Options of the stage `temporal_filter`."""

from __future__ import annotations

from pydantic import Field

from vidrestore.config.stage import StageConfig

__all__ = ["TemporalFilterConfig"]


class TemporalFilterConfig(StageConfig):
    """How restored detail is filtered over time."""

    strength: float = Field(
        1.0, ge=0, le=1, description="how strongly restored detail is averaged over time, 0 to 1"
    )
    reach_frames: int = Field(
        5,
        ge=0,
        le=15,
        description="restored detail is averaged over so many frames before and after",
    )
