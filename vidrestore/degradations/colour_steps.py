"""Steps that change colour and contrast."""

from __future__ import annotations

from typing import Annotated, ClassVar

from vidrestore.degradations import colour
from vidrestore.degradations.pixels import Image
from vidrestore.degradations.ranges import (
    Amount,
    Choice,
    Range,
    Share,
    Signed,
    Whole,
    among,
    between,
    one_of,
    uniform,
    whole,
)
from vidrestore.degradations.step import FrameStep
from vidrestore.degradations.timeline import Moment

__all__ = ["BlackAndWhite", "ColourJitter", "ColourShift", "Contrast", "Fade"]


class BlackAndWhite(FrameStep):
    """Gray, as video has it or as an old film sees it (`colour.STOCKS`)."""

    name: ClassVar[str] = "black_and_white"
    stock: Annotated[Choice, among(*colour.STOCKS)] = one_of("luma")

    def frame(self, image: Image, moment: Moment) -> Image:
        return colour.grayscale(image, colour.STOCKS[self.stock.word])


class Fade(FrameStep):
    """Bleached dyes over a stained base (`colour.fade_dyes`)."""

    name: ClassVar[str] = "fade"
    red: Share = uniform(0.5, 0.9)
    green: Share = uniform(0.8, 1)
    blue: Share = uniform(0.6, 0.95)
    stain_red: Share = uniform(0.0)
    stain_green: Share = uniform(0.0, 0.03)
    stain_blue: Share = uniform(0.02, 0.12)

    def frame(self, image: Image, moment: Moment) -> Image:
        kept = (self.red.value, self.green.value, self.blue.value)
        stain = (self.stain_red.value, self.stain_green.value, self.stain_blue.value)
        return colour.fade_dyes(image, kept, stain)


class Contrast(FrameStep):
    """Levels of a bad copy (`colour.contrast`)."""

    name: ClassVar[str] = "contrast"
    black: Share = uniform(0, 0.12)
    white: Share = uniform(0.75, 1)
    gamma: Annotated[Range, between(0.1, 10)] = uniform(0.8, 1.3)

    def frame(self, image: Image, moment: Moment) -> Image:
        return colour.contrast(image, self.black.value, self.white.value, self.gamma.value)


class ColourShift(FrameStep):
    """A number added to each channel (`colour.colour_shift`)."""

    name: ClassVar[str] = "colour_shift"
    red: Signed = uniform(-20 / 255, 20 / 255)
    green: Signed = uniform(-20 / 255, 20 / 255)
    blue: Signed = uniform(-20 / 255, 20 / 255)

    def frame(self, image: Image, moment: Moment) -> Image:
        return colour.colour_shift(image, self.red.value, self.green.value, self.blue.value)


class ColourJitter(FrameStep):
    """Brightness, contrast, saturation and hue in any order (`colour.colour_jitter`)."""

    name: ClassVar[str] = "colour_jitter"
    brightness: Amount = uniform(0.5, 1.5)
    contrast: Amount = uniform(0.5, 1.5)
    saturation: Amount = uniform(0, 1.5)
    hue: Annotated[Range, between(-0.5, 0.5)] = uniform(-0.1, 0.1)
    order: Annotated[Whole, between(0, 23)] = whole(0, 23)

    def frame(self, image: Image, moment: Moment) -> Image:
        return colour.colour_jitter(
            image,
            self.brightness.value,
            self.contrast.value,
            self.saturation.value,
            self.hue.value,
            self.order.whole,
        )
