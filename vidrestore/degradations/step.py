"""One step of a recipe: a function, with the ranges of its parameters.

A step is a frozen model. Drawn, it is the same step with every range closed to one value, so that
what was drawn can be written down and used as a recipe again. Frames pass through it one by one; a
step that needs neighbours in time (a codec, a comb) looks ahead by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from vidrestore.degradations.pixels import Image
from vidrestore.degradations.ranges import Drawable, Range
from vidrestore.degradations.timeline import Moment, Timeline

__all__ = ["ClipStep", "FrameStep", "Step"]


class Step(BaseModel, ABC):
    """What all steps have in common."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )

    name: ClassVar[str] = ""
    """As it is written in a recipe."""
    uses_motion: ClassVar[bool] = False
    """Whether it sees what moves from frame to frame, so that a still picture must be moved."""

    probability: float = Field(1.0, ge=0, le=1, description="share of the clips that it is for")

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> ClipStep:
        """A step that leaves nothing open."""

    def scaled(self, factor: float) -> Self:
        """The step for pictures that are `factor` times as large: its lengths in pixels, the fields
        that end in ``_px``, are as many times as long.

        Raises:
            ValueError: one is then longer than it may be.
        """
        lengths = {
            field: value.scaled(factor)
            for field, value in self
            if field.endswith("_px") and isinstance(value, Range)
        }
        return self.replaced(**lengths)

    def replaced(self, **values: object) -> Self:
        """The step with other values, which are checked.

        Raises:
            ValueError: one is beyond its bounds.
        """
        return self.model_validate({**dict(self), **values})


class ClipStep(Step, ABC):
    """A step that frames can go through once it is drawn."""

    def draw(self, rng: np.random.Generator) -> Self:
        """The step with one value for each of its ranges, drawn in their order, and certain."""
        drawn = {field: value.draw(rng) for field, value in self if isinstance(value, Drawable)}
        return self.model_copy(update={"probability": 1.0, **drawn})

    @abstractmethod
    def apply(self, frames: Iterable[Image], times: Timeline) -> Iterator[Image]:
        """Send a stream of frames through; one leaves for each that enters, in order.

        Args:
            frames: (H, W, 3) each; the size may differ from the video's.
            times: the step's random numbers over time.
        """


class FrameStep(ClipStep, ABC):
    """A step that needs no neighbours in time."""

    def apply(self, frames: Iterable[Image], times: Timeline) -> Iterator[Image]:
        for index, frame in enumerate(frames):
            yield self.frame(frame, Moment(times, index))

    @abstractmethod
    def frame(self, image: Image, moment: Moment) -> Image:
        """One frame."""
