"""Options of trainings of one stage, counted in steps."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from vidrestore.training.config.fields import MOST, TrainingPart
from vidrestore.training.config.training_config import TrainingConfig

__all__ = ["PAPER_EMA_STEPS", "ScheduleConfig", "StepsConfig"]

PAPER_EMA_STEPS = 10_000 / 32
"""Half-life of the papers' running average, in steps: 0.5^(32 / 10000) of it stays each step."""


class ScheduleConfig(TrainingPart):
    """Learning rate: constant, times `factor` at each milestone."""

    learning_rate: float = Field(2e-3, ge=0, le=10)
    milestones: tuple[Annotated[int, Field(ge=0, le=MOST)], ...] = Field((), description="steps")
    factor: float = Field(0.5, gt=0, le=1)

    def rate_at(self, step: int) -> float:
        """Rate of the step with this number, from 0."""
        return self.learning_rate * self.factor ** sum(step >= m for m in self.milestones)


class StepsConfig(TrainingConfig):
    """A configuration of one stage, counted in steps."""

    steps: int = Field(800_000, ge=1, le=MOST)
    batch_size: int = Field(12, ge=1, le=65_536, description="over all processes")
    schedule: ScheduleConfig = ScheduleConfig()
    ema_half_life_steps: float = Field(PAPER_EMA_STEPS, gt=0, le=1e9)

    @property
    def ema_half_life_images(self) -> float:
        """The same in images."""
        return self.ema_half_life_steps * self.batch_size
