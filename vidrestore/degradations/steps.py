"""Every step that a recipe may name, and the steps made of steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from typing import Annotated, Any, ClassVar, Self, TypeVar

import numpy as np
from pydantic import Field, SerializeAsAny, model_validator

from vidrestore.degradations.applying import apply, apply_to_video
from vidrestore.degradations.blind import BlindVideo
from vidrestore.degradations.colour_steps import (
    BlackAndWhite,
    ColourJitter,
    ColourShift,
    Contrast,
    Fade,
)
from vidrestore.degradations.degradation import Degradation
from vidrestore.degradations.film_steps import Dust, Flicker, Grain, Scratches, Weave
from vidrestore.degradations.picture_steps import (
    H264,
    Blur,
    Down,
    GaussianNoise,
    Jpeg,
    MotionBlur,
    Mpeg2,
    PoissonNoise,
    Up,
)
from vidrestore.degradations.pixels import Image, clamp
from vidrestore.degradations.step import ClipStep, Step
from vidrestore.degradations.tape_steps import (
    BandLimit,
    ChromaBlur,
    ChromaShift,
    ChromaSubsample,
    Comb,
    Deinterlace,
    Dropouts,
    EdgeBoost,
    HeadSwitch,
    LineJitter,
    Smear,
    TapeNoise,
)
from vidrestore.degradations.timeline import Timeline

__all__ = ["STEPS", "BlindVideoStep", "DrawnBlindVideo", "OneOf"]

T = TypeVar("T", BlindVideo, Degradation)


class DrawnBlindVideo(ClipStep):
    """The blind mixture, drawn; written as `blind.Degradation`."""

    name: ClassVar[str] = "drawn_blind_video"
    degradation: Degradation

    def scaled(self, factor: float) -> Self:
        """See `Step`."""
        return self.model_copy(update={"degradation": _scaled(self.degradation, factor)})

    def picture(self, image: Image, rng: np.random.Generator) -> Image:
        """A still picture, exactly as the protocol degrades it."""
        return clamp(apply(image, self.degradation, rng))

    def apply(self, frames: Iterable[Image], times: Timeline) -> Iterator[Image]:
        return apply_to_video(frames, self.degradation, times.of_frame)


class BlindVideoStep(Step):
    """The blind mixture that the generator is trained with (`blind.BlindVideo`).

    Of a still picture it makes what ``apply(image, BlindVideo().draw(rng), rng)`` does, bit for
    bit; a video goes through the same parts in the same order.
    """

    name: ClassVar[str] = "blind_video"
    mixture: BlindVideo = BlindVideo()

    def scaled(self, factor: float) -> Self:
        """See `Step`."""
        return self.model_copy(update={"mixture": _scaled(self.mixture, factor)})

    def draw(self, rng: np.random.Generator) -> ClipStep:
        return DrawnBlindVideo(degradation=self.mixture.draw(rng))


class OneOf(Step):
    """One of several steps."""

    name: ClassVar[str] = "one_of"
    steps: tuple[SerializeAsAny[Step], ...] = Field(min_length=1)
    weights: tuple[Annotated[float, Field(ge=0, le=1e6)], ...] | None = None
    """How likely each is, in any unit; equally likely when not given."""

    @model_validator(mode="after")
    def _check(self) -> OneOf:
        if self.weights is not None:
            if len(self.weights) != len(self.steps):
                raise ValueError(f"{len(self.steps)} steps need as many weights")
            if not sum(self.weights) > 0:
                raise ValueError("at least one weight must be above 0")
        return self

    def scaled(self, factor: float) -> Self:
        """See `Step`."""
        return self.model_copy(update={"steps": tuple(s.scaled(factor) for s in self.steps)})

    def draw(self, rng: np.random.Generator) -> ClipStep:
        weights = np.asarray(self.weights or np.ones(len(self.steps)), dtype=np.float64)
        chosen = int(rng.choice(len(self.steps), p=weights / weights.sum()))
        return self.steps[chosen].draw(rng)


def _scaled(lengths: T, factor: float) -> T:
    """A dataclass with its lengths, the fields that end in ``_px``, times a factor."""
    names = [field.name for field in fields(lengths) if field.name.endswith("_px")]
    return replace(lengths, **{name: _times(getattr(lengths, name), factor) for name in names})


def _times(value: Any, factor: float) -> Any:
    return (
        tuple(_times(part, factor) for part in value)
        if isinstance(value, tuple)
        else value * factor
    )


STEPS: dict[str, type[Step]] = {
    step.name: step
    for step in (
        Blur,
        MotionBlur,
        Down,
        Up,
        GaussianNoise,
        PoissonNoise,
        Jpeg,
        H264,
        Mpeg2,
        Comb,
        Deinterlace,
        Grain,
        Scratches,
        Dust,
        Flicker,
        Weave,
        BlackAndWhite,
        Fade,
        Contrast,
        ColourShift,
        ColourJitter,
        ChromaBlur,
        ChromaShift,
        ChromaSubsample,
        BandLimit,
        Smear,
        EdgeBoost,
        TapeNoise,
        LineJitter,
        HeadSwitch,
        Dropouts,
        BlindVideoStep,
        DrawnBlindVideo,
        OneOf,
    )
}
"""Steps by the names that recipes use."""
