"""Steps of camera and codec: blur, size, noise, JPEG, H.264, MPEG-2.

Lengths in ``_px`` are pixels of the frame as it is at that step; lengths in ``_permille`` are
thousandths of its height, so that film and tape look alike at every size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field

from vidrestore.degradations import compression, noise, optics, sampling
from vidrestore.degradations.pixels import Image, clamp
from vidrestore.degradations.ranges import (
    Angle,
    Chance,
    Choice,
    Range,
    Share,
    Sigma,
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
    "H264",
    "Blur",
    "Down",
    "GaussianNoise",
    "Jpeg",
    "MotionBlur",
    "Mpeg2",
    "PoissonNoise",
    "Up",
]

Factor = Annotated[Range, between(0.05, 64)]
Method = Annotated[Choice, among(*sampling.METHODS)]
Preset = Annotated[Choice, among(*compression.PRESETS)]


class Blur(FrameStep):
    """Gaussian blur, also generalised or as a plateau (`optics`)."""

    name: ClassVar[str] = "blur"
    kind: Annotated[Choice, among("gaussian", "generalised", "plateau")] = one_of("gaussian")
    sigma_px: Sigma = uniform(0.1, 10)
    isotropic: Chance = chance(0.5)
    other_sigma_px: Sigma | None = Field(
        None, description="across; drawn like sigma_px where not given, and equal if isotropic"
    )
    angle: Angle = uniform(-np.pi, np.pi)
    shape: Annotated[Range, between(0.1, 10)] = uniform(1.0)
    kernel_px: Annotated[Whole, between(0, 401)] = whole(0)

    def draw(self, rng: np.random.Generator) -> Self:
        other = self.other_sigma_px or self.sigma_px
        drawn = self.model_copy(update={"other_sigma_px": other})
        drawn = super(Blur, drawn).draw(rng)
        if drawn.isotropic:
            drawn = drawn.model_copy(update={"other_sigma_px": drawn.sigma_px})
        return drawn

    def scaled(self, factor: float) -> Self:
        """See `Step`; kernels keep an odd side."""
        low, high = (
            2 * round((side * factor - 1) / 2) + 1 if side else 0
            for side in (self.kernel_px.low, self.kernel_px.high)
        )
        return super().scaled(factor).replaced(kernel_px=whole(low, high))

    def frame(self, image: Image, moment: Moment) -> Image:
        assert self.other_sigma_px is not None, "not drawn yet"
        sigmas = (max(self.sigma_px.value, 1e-3), max(self.other_sigma_px.value, 1e-3))
        size, angle, shape = self.kernel_px.whole or None, self.angle.value, self.shape.value
        if self.kind.word == "gaussian":
            kernel = optics.gaussian_kernel(*sigmas, angle, size)
        elif self.kind.word == "generalised":
            kernel = optics.generalised_kernel(*sigmas, angle, shape, size)
        else:
            kernel = optics.plateau_kernel(*sigmas, angle, shape, size)
        return clamp(optics.convolve(image, kernel))


class MotionBlur(FrameStep):
    """Straight motion during the exposure (`optics.motion_kernel`)."""

    name: ClassVar[str] = "motion_blur"
    length_px: Sigma = uniform(3, 15)
    angle: Angle = uniform(0, np.pi)

    def frame(self, image: Image, moment: Moment) -> Image:
        kernel = optics.motion_kernel(self.length_px.value, self.angle.value)
        return clamp(optics.convolve(image, kernel))


class Down(FrameStep):
    """Make the frames smaller; later steps see them small, until ``up``."""

    name: ClassVar[str] = "down"
    factor: Factor = uniform(1, 8)
    method: Method = one_of("area")

    def frame(self, image: Image, moment: Moment) -> Image:
        height, width = (max(2, int(side / self.factor.value)) for side in image.shape[:2])
        return sampling.resize(image, height, width, self.method.word)


class Up(FrameStep):
    """Bring the frames back to the size they came in with."""

    name: ClassVar[str] = "up"
    method: Method = one_of("bilinear")

    def frame(self, image: Image, moment: Moment) -> Image:
        size = (moment.times.height, moment.times.width)
        return image if image.shape[:2] == size else sampling.resize(image, *size, self.method.word)


class GaussianNoise(FrameStep):
    """White noise (`noise.gaussian_noise`), fresh in each frame."""

    name: ClassVar[str] = "gaussian_noise"
    sigma: Share = uniform(0, 20 / 255)
    gray: Chance = chance(0)

    def frame(self, image: Image, moment: Moment) -> Image:
        return noise.gaussian_noise(image, self.sigma.value, moment.rng, gray=bool(self.gray))


class PoissonNoise(FrameStep):
    """Counted photons (`noise.poisson_noise`), fresh in each frame."""

    name: ClassVar[str] = "poisson_noise"
    photons: Annotated[Range, between(1, 1e6)] = uniform(100, 2000, log=True)
    gray: Chance = chance(0)

    def frame(self, image: Image, moment: Moment) -> Image:
        return noise.poisson_noise(image, self.photons.value, moment.rng, gray=bool(self.gray))


class Jpeg(FrameStep):
    """Each frame a JPEG (`compression.jpeg`)."""

    name: ClassVar[str] = "jpeg"
    quality: Annotated[Whole, between(1, 100)] = whole(60, 100)

    def frame(self, image: Image, moment: Moment) -> Image:
        return compression.jpeg(image, self.quality.whole)


class H264(ClipStep):
    """The whole stream through x264 and back (`compression.coded`)."""

    name: ClassVar[str] = "h264"
    uses_motion: ClassVar[bool] = True
    crf: Annotated[Whole, between(0, 51)] = whole(18, 38)
    preset: Preset = one_of("ultrafast", "superfast", "veryfast", "faster")

    def apply(self, frames: Iterable[Image], times: Timeline) -> Iterator[Image]:
        return compression.recode(frames, "h264", quality=self.crf.whole, preset=self.preset.word)


class Mpeg2(ClipStep):
    """The whole stream through MPEG-2 and back (`compression.coded`)."""

    name: ClassVar[str] = "mpeg2"
    uses_motion: ClassVar[bool] = True
    quantiser: Annotated[Whole, between(2, 31)] = whole(2, 14)

    def apply(self, frames: Iterable[Image], times: Timeline) -> Iterator[Image]:
        return compression.recode(frames, "mpeg2", quality=self.quantiser.whole)
