"""Options of the task `stylegan2_prior`."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from vidrestore.training.config.augment import AugmentConfig
from vidrestore.training.config.fields import MOST, Arguments, TrainingPart, Weight
from vidrestore.training.config.steps import StepsConfig

__all__ = ["PriorLosses", "StyleGAN2PriorConfig"]


class PriorLosses(TrainingPart):
    """StyleGAN2's terms; the adversarial one, of weight 1, is what remains without the others."""

    r1: Weight = 10.0
    r1_every_steps: int = Field(16, ge=1, le=MOST)
    path_length: Weight = 2.0
    path_length_every_steps: int = Field(4, ge=1, le=MOST)
    path_length_batch_share: float = Field(
        0.5, gt=0, le=1, description="share of the batch, as in the paper, to save memory"
    )


class StyleGAN2PriorConfig(StepsConfig):
    """A StyleGAN2 of faces, the decoder of a GFP-GAN to come."""

    default_arch: ClassVar[str] = "StyleGAN2Generator"

    task: Literal["stylegan2_prior"] = "stylegan2_prior"
    discriminator: Arguments = Field(
        default_factory=dict, description="arguments of the StyleGAN2 discriminator"
    )
    mixing_share: float = Field(0.9, ge=0, le=1, description="samples of two styles")
    losses: PriorLosses = PriorLosses()
    augment: AugmentConfig = AugmentConfig()
