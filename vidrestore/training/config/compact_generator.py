"""Options of the task `compact_generator`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from vidrestore.training.config.fields import MOST, MOST_PX, Arguments, TrainingPart, Weight
from vidrestore.training.config.training_config import DataConfig, TrainingConfig

__all__ = ["CompactGeneratorConfig", "GeneratorStage"]


class GeneratorStage(TrainingPart):
    """A stage of the compact generator's training with one setting."""

    images: int = Field(ge=1, le=MOST, description="samples to see")
    batch_size: int = Field(8, ge=1, le=65_536, description="over all processes")
    window: int = Field(256, ge=8, le=MOST_PX, description="side of the training window in pixels")
    learning_rate: float = Field(1e-3, ge=0, le=10)
    final_learning_rate: float = Field(1e-5, ge=0, le=10, description="at the end of half a cosine")
    warmup_images: int = Field(0, ge=0, le=MOST)
    ema_half_life_images: float = Field(8000, gt=0, le=1e9)
    pixel_weight: Weight = Field(1.0, description="Charbonnier on RGB")
    gradient_weight: Weight = Field(1.0, description="L1 on differences of luma")
    local_energy_weight: Weight = Field(0.0, description="amplitude of fine detail, three octaves")
    grid_weight: Weight = Field(0.0, description="patterns that repeat every 4 or 8 pixels")
    identity_weight: Weight = Field(0.0, description="1 - cosine of embeddings; whole crops")
    feature_weight: Weight = Field(0.0, description="inner layers of the embedding; whole crops")
    adversarial_weight: Weight = Field(0.0, description="U-Net discriminator")
    feature_matching_weight: Weight = Field(0.0, description="that discriminator's features")
    discriminator_learning_rate: float = Field(2e-4, ge=0, le=10)
    new_discriminator: bool = Field(False, description="begin with one that has learnt nothing")
    gradient_clip: float = Field(
        0.1, gt=0, le=1e6, description="most norm of the generator's gradient"
    )

    @property
    def embeds_faces(self) -> bool:
        """Whether the stage needs the embedding network."""
        return bool(self.identity_weight or self.feature_weight)

    @property
    def is_adversarial(self) -> bool:
        """Whether the stage needs the discriminator."""
        return bool(self.adversarial_weight or self.feature_matching_weight)

    @model_validator(mode="after")
    def _whole_batches(self) -> GeneratorStage:
        if self.images % self.batch_size:
            raise ValueError(f"{self.images} images are no whole batches of {self.batch_size}")
        return self


_Beta = Annotated[float, Field(ge=0, lt=1)]


class CompactGeneratorConfig(TrainingConfig):
    """The small generator that ships, in stages."""

    default_arch: ClassVar[str] = "CompactUNet"

    task: Literal["compact_generator"] = "compact_generator"
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    data: DataConfig = DataConfig(gray_share=0.1)
    mixture: dict[str, Any] = Field(
        default_factory=lambda: {"nearly_clean": 0.08}, description="fields of `BlindVideo`"
    )
    betas: tuple[_Beta, _Beta] = Field((0.9, 0.99), description="of the generator's AdamW")
    discriminator: Arguments = Field(
        default_factory=dict, description="arguments of `UNetDiscriminator`"
    )
    adversarial_loss: Literal["logistic", "hinge"] = "logistic"
    r1: Weight = Field(0.0, description="gradient penalty of the discriminator")
    r1_every: int = Field(
        16, ge=1, le=MOST, description="steps from one gradient penalty to the next"
    )
    start_from: Path | None = Field(None, description="weights to begin with")
    stages: tuple[GeneratorStage, ...] = Field(min_length=1)
