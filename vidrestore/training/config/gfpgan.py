"""Options of the task `gfpgan`."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from vidrestore.training.config.fields import MOST, Arguments, TrainingPart, Weight
from vidrestore.training.config.steps import ScheduleConfig, StepsConfig

__all__ = ["GFPGANConfig", "GFPGANLosses"]


class GFPGANLosses(TrainingPart):
    """GFP-GAN's terms, with the weights of the public configuration."""

    pixel: Weight = 0.1
    pyramid: Weight = 1.0
    pyramid_until_step: int = Field(50_000, ge=0, le=MOST)
    perceptual: Weight = 1.0
    style: Weight = 50.0
    adversarial: Weight = 0.1
    r1: Weight = 10.0
    r1_every_steps: int = Field(16, ge=1, le=MOST)
    component_adversarial: Weight = 1.0
    component_style: Weight = 200.0
    identity: Weight = 10.0
    identity_distance: Literal["l1", "cosine"] = "l1"
    identity_through: Literal["auto", "arcface", "mobilefacenet"] = Field(
        "auto",
        description="ArcFace's ResNet-18 as in the paper, whose vectors the weight is for, or "
        "MobileFaceNet, whose vectors of unit length it is scaled to; auto takes ArcFace where its "
        "file is",
    )
    features: Literal["auto", "vgg19", "identity"] = Field(
        "auto",
        description="what perceptual and style look through: VGG19, or the face embedding's inner "
        "layers and, for perceptual, the discriminator's; auto takes VGG19 where its file is",
    )


class GFPGANConfig(StepsConfig):
    """GFP-GAN on a StyleGAN2 prior."""

    default_arch: ClassVar[str] = "GFPGANv1"

    task: Literal["gfpgan"] = "gfpgan"
    schedule: ScheduleConfig = ScheduleConfig(milestones=(600_000, 700_000))
    prior: Path | None = Field(
        None, description="weights or checkpoint of the decoder; None starts from random ones"
    )
    train_decoder: bool = Field(False, description="version 1 kept the prior as it was")
    discriminator: Arguments = Field(default_factory=dict)
    component_width: int = Field(64, ge=1, le=4096, description="of the component discriminators")
    degradation: str = Field("gfpgan", description="a recipe of `vidrestore degrade`: name or file")
    losses: GFPGANLosses = GFPGANLosses()
