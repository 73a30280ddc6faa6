"""Options of the stage `gate`."""

from __future__ import annotations

from pydantic import Field

from vidrestore.config.stage import StageConfig

__all__ = ["GateConfig"]


class GateConfig(StageConfig):
    """Which faces are not restored, and how gradually."""

    max_yaw: float = Field(
        75.0, gt=0, le=120, description="faces turned to the side by more degrees are not restored"
    )
    max_blur: float = Field(
        1.0, gt=0.1, le=1, description="faces with more blur, 0 (sharp) to 1, are not restored"
    )
    min_score: float = Field(
        0.0, ge=0, le=1, description="faces with a lower detection score are not restored"
    )
    fade_frames: int = Field(
        6,
        ge=0,
        le=50,
        description="number of frames over which restoration fades in and out; fewer for a face "
        "that is there for less than twice as many",
    )
