"""Options of the stage `blend`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vidrestore.config.stage import StageConfig

__all__ = ["BlendConfig"]


class BlendConfig(StageConfig):
    """How the restored face goes back into the frame."""

    strength: float = Field(1.0, ge=0, le=1, description="share of the restored face, 0 to 1")
    feather: float = Field(
        0.12, gt=0, le=0.4, description="width of the soft border, as a share of the crop"
    )
    grain: float = Field(
        1.0,
        ge=0,
        le=1,
        description="grain of the restored face: 0 clean, 1 as much as around it",
    )
    colour_match: bool = Field(True, description="keep the colours and shades of the input face")
    mask: Literal["crop", "parsing"] = Field(
        "crop",
        description="where the restored face goes: crop, an oval with a soft border, or parsing, "
        "of that only what a network takes for skin, eyes, nose, mouth and ears, so that hair, "
        "hands and glasses stay as they are",
    )
    parser: str = Field(
        "parsenet",
        description="face parsing network of mask parsing: parsenet, bisenet (quicker), or a "
        "weights file",
    )
