"""Recipes: steps in order, drawn once per clip, then applied.

    recipe = load_recipe("vhs")                    # or a YAML file
    drawn = recipe.draw(np.random.default_rng(7))
    drawn.picture(face, rng)                       # (H, W, 3)
    drawn.clip(clip, seed)                         # (T, H, W, 3), coherent over time
    for frame in drawn.frames(stream, seed): ...   # a whole video, in bounded memory

Steps work on streams of frames, so that codecs and fields see the real neighbours. A still picture
that such a step awaits is filmed first: moved a little over a few frames, of which one is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from vidrestore.degradations.pixels import Clip, Image, clamp
from vidrestore.degradations.ranges import Range, Sigma, Whole, between
from vidrestore.degradations.sampling import resize, shift
from vidrestore.degradations.step import ClipStep, Step
from vidrestore.degradations.steps import DrawnBlindVideo
from vidrestore.degradations.timeline import Timeline
from vidrestore.errors import UsageError
from vidrestore.settings import shown

__all__ = ["DrawnRecipe", "Recipe", "Still", "explain"]

_COLOUR_STEPS = ("colour_shift", "colour_jitter", "black_and_white")
"""They change what there is to restore: a part of training, never of a test."""


class Still(BaseModel):
    """How a still picture is filmed for steps that see motion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frames: Annotated[Whole, between(1, 64)] = Whole(low=2, high=4)
    motion_px: Sigma = Range(low=0, high=3)
    """Standard deviation of the motion from frame to frame, on both axes."""

    def draw(self, rng: np.random.Generator) -> Still:
        """The same with one value each."""
        return Still(frames=self.frames.draw(rng), motion_px=self.motion_px.draw(rng))


@dataclass(frozen=True, slots=True)
class DrawnRecipe:
    """A recipe for one clip: every parameter has its value."""

    steps: tuple[ClipStep, ...]
    still: Still

    def frames(self, frames: Iterable[Image], seed: int) -> Iterator[Image]:
        """Send a stream through all steps; as many frames leave, of the size they came in.

        Memory holds what the steps look ahead: up to some 50 frames for a codec, one for a comb.

        Args:
            frames: (H, W, 3) each, of one size.
            seed: of what is random from frame to frame; frame n's part follows from it and n.
        """
        frames = iter(frames)
        first = next(frames, None)
        if first is None:
            return
        height, width = first.shape[:2]
        stream: Iterator[Image] = chain([first], frames)
        for number, step in enumerate(self.steps):
            stream = step.apply(stream, Timeline((seed, number), height, width))
        for frame in stream:
            yield clamp(_sized(frame, height, width))

    def clip(self, clip: Clip, seed: int) -> Clip:
        """`frames` of a whole clip, (T, H, W, 3)."""
        degraded = list(self.frames(iter(clip), seed))
        assert len(degraded) == len(clip), f"{len(clip)} frames went in, {len(degraded)} came out"
        return np.stack(degraded)

    def picture(self, image: Image, rng: np.random.Generator) -> Image:
        """A still picture, (H, W, 3).

        Args:
            image: the picture.
            rng: source of noise and motion; best the one that the recipe was drawn with.
        """
        group: list[ClipStep] = []
        for step in (*self.steps, None):
            if step is not None and not isinstance(step, DrawnBlindVideo):
                group.append(step)
                continue
            image = DrawnRecipe(tuple(group), self.still)._filmed(image, rng)
            group = []
            if isinstance(step, DrawnBlindVideo):
                image = step.picture(image, rng)
        return image

    def record(self) -> dict[str, Any]:
        """What was drawn, in the form of a recipe that draws nothing else."""
        return Recipe(steps=self.steps, still=self.still).record()

    def _filmed(self, image: Image, rng: np.random.Generator) -> Image:
        if not self.steps:
            return image
        path = np.zeros((1, 2))
        if any(step.uses_motion for step in self.steps):
            path = _motion(self.still, rng)
        kept = next(index for index, place in enumerate(path) if not place.any())
        clip = (shift(image, x, y) if x or y else image for x, y in path)
        degraded = self.frames(clip, int(rng.integers(2**63)))
        return next(islice(degraded, kept, None))


class Recipe(BaseModel):
    """Steps with ranges; `draw` gives what one clip gets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: str = ""
    still: Still = Still()
    for_px: int | None = Field(
        None,
        ge=16,
        le=16_384,
        description="side of the pictures that lengths in pixels are meant for",
    )
    steps: tuple[Step, ...] = ()

    def for_size(self, size_px: int) -> Recipe:
        """The recipe for pictures of another side than `for_px`: all lengths in pixels keep their
        share of the picture. A recipe that does not say what size it is for stays as it is.

        Raises:
            UsageError: a length is then longer than it may be.
        """
        if self.for_px in (None, size_px):
            return self
        factor = size_px / self.for_px
        try:
            motion_px = self.still.motion_px.scaled(factor)
            still = Still(frames=self.still.frames, motion_px=motion_px)
            steps = tuple(step.scaled(factor) for step in self.steps)
        except ValueError as error:
            said = explain(error.errors()[0]) if isinstance(error, ValidationError) else error
            raise UsageError(
                f"recipe for pictures of {self.for_px} px: cannot be used for {size_px} px ({said})"
            ) from error
        return self.model_copy(update={"still": still, "for_px": size_px, "steps": steps})

    def draw(self, rng: np.random.Generator) -> DrawnRecipe:
        """Draw which steps take part, and their parameters."""
        drawn = [
            step.draw(rng)
            for step in self.steps
            if step.probability >= 1 or rng.random() < step.probability
        ]
        moves = any(step.uses_motion for step in drawn)
        return DrawnRecipe(tuple(drawn), self.still.draw(rng) if moves else self.still)

    def without_colour_changes(self) -> Recipe:
        """The same without its steps that change colours, for faces that are measured."""
        kept = tuple(step for step in self.steps if step.name not in _COLOUR_STEPS)
        return self.model_copy(update={"steps": kept})

    def record(self) -> dict[str, Any]:
        """As it would be written in YAML."""
        head: dict[str, Any] = {"description": self.description} if self.description else {}
        if self.for_px is not None:
            head["for_px"] = self.for_px
        if self.still != Still():
            head["still"] = self.still.model_dump(mode="json")
        return {**head, "steps": [_written(step) for step in self.steps]}


def explain(error: ErrorDetails) -> str:
    """The place and the words of what is wrong."""
    place = ".".join(str(part) for part in error["loc"])
    said = f"{place}: {error['msg'].removeprefix('Value error, ')}".removeprefix(": ")
    return said if error["type"] == "value_error" else f"{said}, got {shown(error['input'])}"


def _written(step: Step) -> dict[str, Any]:
    values = step.model_dump(mode="json", exclude_none=True)
    if values["probability"] == 1:
        del values["probability"]
    inner = getattr(step, "steps", None)
    if inner is not None:
        values["steps"] = [_written(one) for one in inner]
    return {step.name: values}


def _motion(still: Still, rng: np.random.Generator) -> np.typing.NDArray[np.float64]:
    """(frames, 2) shifts of a random walk in pixels; one of them, any, is exactly zero."""
    size = (still.frames.whole, 2)
    path = np.cumsum(rng.normal(0, still.motion_px.value, size), axis=0)
    moved: np.typing.NDArray[np.float64] = path - path[int(rng.integers(len(path)))]
    return moved


def _sized(image: Image, height: int, width: int) -> Image:
    if image.shape[:2] == (height, width):
        return image
    return resize(image, height, width, "bilinear")
