"""Steps of tape and television: fields, narrow bands, smear, noise, unsteady lines.

Lengths in ``_px`` are pixels of the frame as it is at that step; lengths in ``_permille`` are
thousandths of its height, so that film and tape look alike at every size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar

from vidrestore.degradations import interlacing, tape
from vidrestore.degradations.pixels import Image
from vidrestore.degradations.ranges import (
    Amount,
    Chance,
    Choice,
    Count,
    Permille,
    Range,
    Share,
    Whole,
    among,
    between,
    chance,
    one_of,
    uniform,
    whole,
)
from vidrestore.degradations.step import ClipStep, FrameStep
from vidrestore.degradations.timeline import Moment, Timeline

__all__ = [
    "BandLimit",
    "ChromaBlur",
    "ChromaShift",
    "ChromaSubsample",
    "Comb",
    "Deinterlace",
    "Dropouts",
    "EdgeBoost",
    "HeadSwitch",
    "LineJitter",
    "Smear",
    "TapeNoise",
]


class Comb(ClipStep):
    """Fields of two frames in one (`interlacing.comb`)."""

    name: ClassVar[str] = "comb"
    uses_motion: ClassVar[bool] = True
    top_first: Chance = chance(0.7)
    pulldown: Chance = chance(0)

    def apply(self, frames: Iterable[Image], times: Timeline) -> Iterator[Image]:
        return interlacing.comb(
            frames, top_first=bool(self.top_first), pulldown=bool(self.pulldown)
        )


class Deinterlace(FrameStep):
    """Bad deinterlacing: lines doubled, interpolated, or fields blended (`interlacing`)."""

    name: ClassVar[str] = "deinterlace"
    method: Annotated[Choice, among("double", "interpolate", "blend")] = one_of(
        "double", "interpolate", "blend"
    )
    keep_top: Chance = chance(0.5)
    alternate: Chance = chance(0)
    """Keep the other field in every second frame: still lines hop up and down."""

    def frame(self, image: Image, moment: Moment) -> Image:
        if self.method.word == "blend":
            return interlacing.blend_fields(image)
        keep_top = bool(self.keep_top) ^ (bool(self.alternate) and moment.index % 2 == 1)
        if self.method.word == "double":
            return interlacing.double_lines(image, keep_top=keep_top)
        return interlacing.interpolate_lines(image, keep_top=keep_top)


class ChromaBlur(FrameStep):
    """Soft colours (`tape.chroma_blur`)."""

    name: ClassVar[str] = "chroma_blur"
    x_permille: Permille = uniform(2, 15)
    y_permille: Permille = uniform(0, 4)

    def frame(self, image: Image, moment: Moment) -> Image:
        unit = image.shape[0] / 1000
        return tape.chroma_blur(image, self.x_permille.value * unit, self.y_permille.value * unit)


class ChromaShift(FrameStep):
    """Colours beside their outlines (`tape.chroma_shift`)."""

    name: ClassVar[str] = "chroma_shift"
    x_permille: Annotated[Range, between(-1000, 1000)] = uniform(-8, 8)
    y_permille: Annotated[Range, between(-1000, 1000)] = uniform(-2, 4)

    def frame(self, image: Image, moment: Moment) -> Image:
        unit = image.shape[0] / 1000
        return tape.chroma_shift(image, self.x_permille.value * unit, self.y_permille.value * unit)


class ChromaSubsample(FrameStep):
    """Colours in blocks (`tape.chroma_subsample`)."""

    name: ClassVar[str] = "chroma_subsample"
    x: Annotated[Whole, between(1, 16)] = whole(2, 4)
    y: Annotated[Whole, between(1, 16)] = whole(1, 2)

    def frame(self, image: Image, moment: Moment) -> Image:
        return tape.chroma_subsample(image, self.x.whole, self.y.whole)


class BandLimit(FrameStep):
    """Narrow bands of luma and chroma along the lines (`tape.band_limit`)."""

    name: ClassVar[str] = "band_limit"
    luma_cycles: Annotated[Range, between(5, 10_000)] = uniform(120, 170)
    """Cycles a line that keep half their amplitude; 156 for VHS."""
    chroma_cycles: Annotated[Range, between(1, 10_000)] = uniform(18, 30)

    def frame(self, image: Image, moment: Moment) -> Image:
        width = 0.187 * image.shape[1]
        return tape.band_limit(
            image, width / self.luma_cycles.value, width / self.chroma_cycles.value
        )


class Smear(FrameStep):
    """Trails to the right (`tape.smear`)."""

    name: ClassVar[str] = "smear"
    luma_permille: Permille = uniform(0, 2)
    chroma_permille: Permille = uniform(4, 15)

    def frame(self, image: Image, moment: Moment) -> Image:
        unit = image.shape[0] / 1000
        luma, chroma = self.luma_permille.value * unit, self.chroma_permille.value * unit
        return tape.smear(image, luma, chroma)


class EdgeBoost(FrameStep):
    """Halos of a recorder's sharpness (`tape.edge_boost`)."""

    name: ClassVar[str] = "edge_boost"
    amount: Amount = uniform(0.2, 0.8)
    size_permille: Permille = uniform(3, 6)

    def frame(self, image: Image, moment: Moment) -> Image:
        size_px = self.size_permille.value * image.shape[0] / 1000
        return tape.edge_boost(image, self.amount.value, size_px)


class TapeNoise(FrameStep):
    """Streaky noise of luma and chroma (`tape.tape_noise`), fresh in each frame."""

    name: ClassVar[str] = "tape_noise"
    luma: Share = uniform(0.01, 0.04)
    chroma: Share = uniform(0.01, 0.03)
    length_permille: Permille = uniform(1, 4)

    def frame(self, image: Image, moment: Moment) -> Image:
        length_px = self.length_permille.value * image.shape[0] / 1000
        return tape.tape_noise(image, self.luma.value, self.chroma.value, length_px, moment.rng)


class LineJitter(FrameStep):
    """Lines that do not begin at one place (`tape.line_jitter`), anew in each frame."""

    name: ClassVar[str] = "line_jitter"
    amount_permille: Permille = uniform(0.3, 1.5)

    def frame(self, image: Image, moment: Moment) -> Image:
        amount_px = self.amount_permille.value * image.shape[0] / 1000
        return tape.line_jitter(image, amount_px, moment.rng)


class HeadSwitch(FrameStep):
    """The torn lowest lines of a tape (`tape.head_switch`)."""

    name: ClassVar[str] = "head_switch"
    lines_permille: Permille = uniform(5, 20)
    skew_permille: Annotated[Range, between(-1000, 1000)] = uniform(20, 80)

    def frame(self, image: Image, moment: Moment) -> Image:
        height = image.shape[0]
        lines = round(self.lines_permille.value * height / 1000)
        return tape.head_switch(image, lines, self.skew_permille.value * height / 1000, moment.rng)


class Dropouts(FrameStep):
    """White dashes (`tape.dropouts`), anew in each frame."""

    name: ClassVar[str] = "dropouts"
    count: Count = uniform(0, 3)
    length_permille: Permille = uniform(10, 60)

    def frame(self, image: Image, moment: Moment) -> Image:
        length_px = self.length_permille.value * image.shape[0] / 1000
        return tape.dropouts(image, self.count.value, length_px, moment.rng)
