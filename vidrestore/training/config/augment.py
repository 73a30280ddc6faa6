"""Options of what the discriminator sees instead of the pictures themselves."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vidrestore.training.config.fields import MOST, TrainingPart

__all__ = ["AugmentConfig"]


class AugmentConfig(TrainingPart):
    """What the discriminator sees instead of the pictures themselves, against few data."""

    kind: Literal["none", "diffaugment", "ada"] = "none"
    policy: tuple[Literal["colour", "translation", "cutout"], ...] = Field(
        ("colour", "translation", "cutout"), description="of DiffAugment (arXiv:2006.10738)"
    )
    upright: bool = Field(True, description="ADA without quarter turns, for aligned faces")
    ada_target: float = Field(0.6, gt=0, lt=1, description="of ADA (arXiv:2006.06676)")
    ada_speed_images: int = Field(
        500_000, ge=1, le=MOST, description="images for p to go from 0 to 1"
    )
    ada_every_steps: int = Field(4, ge=1, le=MOST)
