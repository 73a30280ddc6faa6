"""Options of the task `gpen`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from vidrestore.training.config.augment import AugmentConfig
from vidrestore.training.config.fields import MOST, Arguments, TrainingPart, Weight
from vidrestore.training.config.steps import StepsConfig
from vidrestore.training.config.training_config import DataConfig

__all__ = ["GPENConfig", "GPENLosses"]


class GPENDataConfig(DataConfig):
    """GPEN's own alignment, and its one black-and-white sample in five (its public code's)."""

    template: Literal["ffhq", "gpen"] = Field(
        "gpen", description="alignment of the crops, to which faces with landmarks are warped"
    )
    gray_share: float = Field(
        0.2, ge=0, le=1, description="share of black-and-white samples, input and truth"
    )


class GPENLosses(TrainingPart):
    """GPEN's terms; `pixel` is smooth L1, as in the public code."""

    adversarial: Weight = 1.0
    r1: Weight = 10.0
    r1_every_steps: int = Field(16, ge=1, le=MOST)
    path_length: Weight = 2.0
    path_length_every_steps: int = Field(4, ge=1, le=MOST)
    path_length_batch_share: float = Field(0.5, gt=0, le=1)
    pixel: Weight = 1.0
    identity: Weight = 1.0
    identity_distance: Literal["l1", "cosine"] = "cosine"
    feature_matching: Weight = 0.02


class GPENConfig(StepsConfig):
    """GPEN in its two stages: the prior with concatenated noise, then the whole."""

    default_arch: ClassVar[str] = "GPEN FullGenerator"

    task: Literal["gpen"] = "gpen"
    data: GPENDataConfig = GPENDataConfig()
    stage: Literal["prior", "embedded"] = "embedded"
    prior: Path | None = Field(None, description="checkpoint of the stage `prior`")
    encoder_rate: float = Field(1.0, ge=0, le=1000, description="of the learning rate")
    decoder_rate: float = Field(
        0.1, ge=0, le=1000, description="of the learning rate (section 4.1)"
    )
    discriminator_rate: float = Field(
        0.01, ge=0, le=1000, description="of the learning rate (section 4.1)"
    )
    discriminator: Arguments = Field(default_factory=dict)
    augment: AugmentConfig = AugmentConfig()
    degradation: str = Field("gpen", description="a recipe of `vidrestore degrade`: name or file")
    losses: GPENLosses = GPENLosses()

    @model_validator(mode="after")
    def _fits_the_stage(self) -> GPENConfig:
        if self.stage == "prior" and self.losses.adversarial != 1:
            raise ValueError(
                "losses.adversarial: is 1 in the stage prior, which learns by nothing else"
            )
        if self.stage == "embedded" and self.augment.kind != "none":
            raise ValueError("augment: is for the stage prior; say kind: none")
        return self
