"""Options of the stage `track`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from vidrestore.config.stage import StageConfig

__all__ = ["TrackConfig"]


class TrackConfig(StageConfig):
    """How faces are tracked from frame to frame."""

    file: Path | None = Field(
        None,
        description="use the faces in this file, written by `vidrestore inspect`, and detect none",
    )
    max_gap_frames: int = Field(
        25,
        ge=0,
        le=100_000,
        description="a face that is lost for more frames than this begins a new track",
    )
    min_iou: float = Field(
        0.2,
        ge=0,
        le=1,
        description="smallest overlap (IoU) of a detection with the predicted box of a track",
    )
    max_flow_error: float = Field(
        0.15,
        gt=0,
        le=10,
        description="largest accepted distance between optical flow and detection, "
        "as a share of the eye distance",
    )
