"""Options of going on with a stopped run."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from vidrestore.config.stage import StageConfig

__all__ = ["JobConfig"]


class JobConfig(StageConfig):
    """How a run goes on after it was stopped."""

    segment_s: float = Field(
        10.0,
        ge=0.2,
        le=600,
        description="most seconds that are restored and encoded as one, fewer where a cut comes "
        "once 0.6 of them have passed; a stopped run loses no more than these",
    )
    work: Path | None = Field(
        None,
        description="folder for what a run stores until it is done; by default beside the output",
    )
    no_resume: bool = Field(
        False, description="store nothing on the way; a run that is stopped begins anew"
    )
    restart: bool = Field(
        False, description="begin anew where a stopped run cannot go on as it was begun"
    )
    same_device: bool = Field(
        False, description="refuse segments that another kind of device would restore"
    )
    verify: bool = Field(
        False, description="read the whole input to tell whether it is the one that was begun with"
    )
