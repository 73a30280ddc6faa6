"""What the options of all stages have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["StageConfig"]


class StageConfig(BaseModel):
    """Options that are checked when they are made, and never change."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )
