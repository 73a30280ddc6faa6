"""Options of the stage `align`."""

from __future__ import annotations

from pydantic import Field

from vidrestore.config.stage import StageConfig

__all__ = ["AlignConfig"]


class AlignConfig(StageConfig):
    """How the alignment is smoothed over time."""

    window_s: float = Field(
        1.0,
        ge=0,
        le=5,
        description="the alignment is smoothed over this many seconds before and after",
    )
