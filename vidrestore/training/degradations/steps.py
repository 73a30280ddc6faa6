"""Every step that a recipe may name, with its usual ranges.

Lengths in ``_px`` are pixels of the frame as it is at that step; lengths in ``_permille`` are
thousandths of its height, so that film and tape look alike at every size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, SerializeAsAny, model_validator

from vidrestore.training.degradations import (
    colour,
    compression,
    film,
    interlacing,
    noise,
    optics,
    sampling,
    tape,
)
from vidrestore.training.degradations.blind import (
    BlindVideo,
    Coding,
    Degradation,
    apply,
    apply_to_video,
)
from vidrestore.training.degradations.pixels import Picture, clipped
from vidrestore.training.degradations.ranges import (
    Chance,
    Choice,
    Range,
    Whole,
    among,
    between,
)
from vidrestore.training.degradations.step import Step
from vidrestore.training.degradations.timeline import Moment, Timeline

__all__ = ["STEPS", "BlindVideoStep", "DrawnBlindVideo", "OneOf"]

_Sigma = Annotated[Range, between(0, 200)]
_Share = Annotated[Range, between(0, 1)]
_Signed = Annotated[Range, between(-1, 1)]
_Amount = Annotated[Range, between(0, 10)]
_Permille = Annotated[Range, between(0, 1000)]
_Count = Annotated[Range, between(0, 10_000)]
_Factor = Annotated[Range, between(0.05, 64)]
_Angle = Annotated[Range, between(-7, 7)]
_Method = Annotated[Choice, among(*sampling.METHODS)]
_Preset = Annotated[Choice, among(*compression.PRESETS)]


def _range(low: float, high: float | None = None, *, log: bool = False) -> Range:
    return Range(low=low, high=low if high is None else high, log=log)


def _whole(low: int, high: int | None = None) -> Whole:
    return Whole(low=low, high=low if high is None else high)


def _chance(share: float) -> Chance:
    return Chance(share=share)


def _one(*words: str) -> Choice:
    return Choice(words=words)


# Optics


class Blur(Step):
    """Gaussian blur, also generalised or as a plateau (`optics`)."""

    name: ClassVar[str] = "blur"
    kind: Annotated[Choice, among("gaussian", "generalised", "plateau")] = _one("gaussian")
    sigma_px: _Sigma = _range(0.1, 10)
    isotropic: Chance = _chance(0.5)
    other_sigma_px: _Sigma | None = Field(
        None, description="across; drawn like sigma_px where not given, and equal if isotropic"
    )
    angle: _Angle = _range(-np.pi, np.pi)
    shape: Annotated[Range, between(0.1, 10)] = _range(1.0)
    kernel_px: Annotated[Whole, between(0, 401)] = _whole(0)

    def draw(self, rng: np.random.Generator) -> Step:
        other = self.other_sigma_px or self.sigma_px
        drawn = self.model_copy(update={"other_sigma_px": other})
        drawn = Step.draw(drawn, rng)  # type: ignore[assignment]
        if drawn.isotropic:
            drawn = drawn.model_copy(update={"other_sigma_px": drawn.sigma_px})
        return drawn

    def frame(self, image: Picture, moment: Moment) -> Picture:
        assert self.other_sigma_px is not None, "not drawn yet"
        sigmas = (max(self.sigma_px.value, 1e-3), max(self.other_sigma_px.value, 1e-3))
        size, angle, shape = self.kernel_px.whole or None, self.angle.value, self.shape.value
        if self.kind.word == "gaussian":
            kernel = optics.gaussian_kernel(*sigmas, angle, size)
        elif self.kind.word == "generalised":
            kernel = optics.generalised_kernel(*sigmas, angle, shape, size)
        else:
            kernel = optics.plateau_kernel(*sigmas, angle, shape, size)
        return clipped(optics.convolve(image, kernel))


class MotionBlur(Step):
    """Straight motion during the exposure (`optics.motion_kernel`)."""

    name: ClassVar[str] = "motion_blur"
    length_px: _Sigma = _range(3, 15)
    angle: _Angle = _range(0, np.pi)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        kernel = optics.motion_kernel(self.length_px.value, self.angle.value)
        return clipped(optics.convolve(image, kernel))


# Size


class Down(Step):
    """Make the frames smaller; later steps see them small, until ``up``."""

    name: ClassVar[str] = "down"
    factor: _Factor = _range(1, 8)
    method: _Method = _one("area")

    def frame(self, image: Picture, moment: Moment) -> Picture:
        height, width = (max(2, int(side / self.factor.value)) for side in image.shape[:2])
        return sampling.resize(image, height, width, self.method.word)


class Up(Step):
    """Bring the frames back to the size they came in with."""

    name: ClassVar[str] = "up"
    method: _Method = _one("bilinear")

    def frame(self, image: Picture, moment: Moment) -> Picture:
        size = (moment.times.height, moment.times.width)
        return image if image.shape[:2] == size else sampling.resize(image, *size, self.method.word)


# Noise


class GaussianNoise(Step):
    """White noise (`noise.gaussian_noise`), fresh in each frame."""

    name: ClassVar[str] = "gaussian_noise"
    sigma: _Share = _range(0, 20 / 255)
    gray: Chance = _chance(0)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        return noise.gaussian_noise(image, self.sigma.value, moment.rng, gray=bool(self.gray))


class PoissonNoise(Step):
    """Counted photons (`noise.poisson_noise`), fresh in each frame."""

    name: ClassVar[str] = "poisson_noise"
    photons: Annotated[Range, between(1, 1e6)] = _range(100, 2000, log=True)
    gray: Chance = _chance(0)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        return noise.poisson_noise(image, self.photons.value, moment.rng, gray=bool(self.gray))


# Codecs


class Jpeg(Step):
    """Each frame a JPEG (`compression.jpeg`)."""

    name: ClassVar[str] = "jpeg"
    quality: Annotated[Whole, between(1, 100)] = _whole(60, 100)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        return compression.jpeg(image, self.quality.whole)


class H264(Step):
    """The whole stream through x264 and back (`compression.coded`)."""

    name: ClassVar[str] = "h264"
    uses_motion: ClassVar[bool] = True
    crf: Annotated[Whole, between(0, 51)] = _whole(18, 38)
    preset: _Preset = _one("ultrafast", "superfast", "veryfast", "faster")

    def apply(self, frames: Iterable[Picture], times: Timeline) -> Iterator[Picture]:
        return compression.coded(
            frames, "h264", quality=self.crf.whole, preset=self.preset.word
        )


class Mpeg2(Step):
    """The whole stream through MPEG-2 and back (`compression.coded`)."""

    name: ClassVar[str] = "mpeg2"
    uses_motion: ClassVar[bool] = True
    quantiser: Annotated[Whole, between(2, 31)] = _whole(2, 14)

    def apply(self, frames: Iterable[Picture], times: Timeline) -> Iterator[Picture]:
        return compression.coded(frames, "mpeg2", quality=self.quantiser.whole)


# Interlacing


class Comb(Step):
    """Fields of two frames in one (`interlacing.combed`)."""

    name: ClassVar[str] = "comb"
    uses_motion: ClassVar[bool] = True
    top_first: Chance = _chance(0.7)
    pulldown: Chance = _chance(0)

    def apply(self, frames: Iterable[Picture], times: Timeline) -> Iterator[Picture]:
        return interlacing.combed(
            frames, top_first=bool(self.top_first), pulldown=bool(self.pulldown)
        )


class Deinterlace(Step):
    """Bad deinterlacing: lines doubled, interpolated, or fields blended (`interlacing`)."""

    name: ClassVar[str] = "deinterlace"
    method: Annotated[Choice, among("double", "interpolate", "blend")] = _one(
        "double", "interpolate", "blend"
    )
    keep_top: Chance = _chance(0.5)
    alternate: Chance = _chance(0)
    """Keep the other field in every second frame: still lines hop up and down."""

    def frame(self, image: Picture, moment: Moment) -> Picture:
        if self.method.word == "blend":
            return interlacing.blend_fields(image)
        keep_top = bool(self.keep_top) ^ (bool(self.alternate) and moment.index % 2 == 1)
        if self.method.word == "double":
            return interlacing.double_lines(image, keep_top=keep_top)
        return interlacing.interpolate_lines(image, keep_top=keep_top)


# Film


class Grain(Step):
    """Film grain (`film.film_grain`), fresh in each frame."""

    name: ClassVar[str] = "grain"
    strength: _Share = _range(0.02, 0.07)
    size_permille: _Permille = _range(0.8, 2.2)
    colour: _Share = _range(0.0)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        size_px = self.size_permille.value * image.shape[0] / 1000
        return film.film_grain(
            image, self.strength.value, size_px, self.colour.value, moment.rng
        )


class Scratches(Step):
    """Lines along the film that stay for a while (`film.scratches_at`, `film.scratches`)."""

    name: ClassVar[str] = "scratches"
    count: Annotated[Range, between(0, 100)] = _range(0.5, 4)
    life_frames: Annotated[Range, between(1, 10_000)] = _range(10, 60)
    width_permille: _Permille = _range(3, 8)
    depth: _Share = _range(0.15, 0.5)
    bright: _Share = _range(0.3, 0.9)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        width = self.width_permille.value
        found = film.scratches_at(
            moment.index,
            moment.times.of_stretch,
            count=self.count.value,
            life_frames=self.life_frames.value,
            width=(0.5 * width, width),
            depth=self.depth.value,
            bright=self.bright.value,
        )
        return film.scratches(image, found, image.shape[0] / 1000)


class Dust(Step):
    """Specks and hairs on single frames (`film.dust`)."""

    name: ClassVar[str] = "dust"
    specks: _Count = _range(1, 12)
    hairs: _Count = _range(0, 0.3)
    radius_permille: _Permille = _range(6, 20)
    """Of the largest speck; the smallest has a fifth of it."""
    bright: _Share = _range(0.2, 0.8)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        largest = max(0.8, self.radius_permille.value * image.shape[0] / 1000)
        return film.dust(
            image,
            specks=self.specks.value,
            hairs=self.hairs.value,
            radius_px=(max(0.5, largest / 5), largest),
            bright=self.bright.value,
            rng=moment.rng,
        )


class Flicker(Step):
    """Exposure that changes from frame to frame (`film.flicker`).

    The gain is ``1 + amount (0.6 drift + 0.8 jump)``: a part that drifts with `period_frames` and
    one of each frame's own, unit variance together; three standard deviations are the most.
    """

    name: ClassVar[str] = "flicker"
    amount: _Share = _range(0.02, 0.1)
    period_frames: Annotated[Range, between(1, 10_000)] = _range(8, 50)
    uneven: _Share = _range(0, 0.05)
    """Standard deviation of the gain over the picture, on a grid of 4 x 4, each frame its own."""

    def frame(self, image: Picture, moment: Moment) -> Picture:
        rng = moment.rng
        drift = float(moment.drift(self.period_frames.value)[0])
        change = 0.6 * drift + 0.8 * rng.standard_normal()
        gain = 1 + self.amount.value * float(np.clip(change, -3, 3))
        field = self.uneven.value * rng.standard_normal((4, 4))
        return film.flicker(image, max(0.0, gain), 0.0, field if self.uneven.value else None)


class Weave(Step):
    """The film wanders in the gate: the picture shifts (`sampling.shift`), mostly smoothly."""

    name: ClassVar[str] = "weave"
    amount_permille: _Permille = _range(0.5, 3)
    period_frames: Annotated[Range, between(1, 10_000)] = _range(5, 15)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        path = 0.9 * moment.drift(self.period_frames.value, 2)
        path += 0.4 * moment.rng.standard_normal(2)
        across, down = path * self.amount_permille.value * image.shape[0] / 1000
        return sampling.shift(image, 0.5 * float(across), float(down))


# Colour


class BlackAndWhite(Step):
    """Gray, as video has it or as an old film sees it (`colour.STOCKS`)."""

    name: ClassVar[str] = "black_and_white"
    stock: Annotated[Choice, among(*colour.STOCKS)] = _one("luma")

    def frame(self, image: Picture, moment: Moment) -> Picture:
        return colour.grayscale(image, colour.STOCKS[self.stock.word])


class Fade(Step):
    """Bleached dyes over a stained base (`colour.fade_dyes`)."""

    name: ClassVar[str] = "fade"
    red: _Share = _range(0.5, 0.9)
    green: _Share = _range(0.8, 1)
    blue: _Share = _range(0.6, 0.95)
    stain_red: _Share = _range(0.0)
    stain_green: _Share = _range(0.0, 0.03)
    stain_blue: _Share = _range(0.02, 0.12)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        kept = (self.red.value, self.green.value, self.blue.value)
        stain = (self.stain_red.value, self.stain_green.value, self.stain_blue.value)
        return colour.fade_dyes(image, kept, stain)


class Contrast(Step):
    """Levels of a bad copy (`colour.contrast`)."""

    name: ClassVar[str] = "contrast"
    black: _Share = _range(0, 0.12)
    white: _Share = _range(0.75, 1)
    gamma: Annotated[Range, between(0.1, 10)] = _range(0.8, 1.3)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        return colour.contrast(image, self.black.value, self.white.value, self.gamma.value)


class ColourShift(Step):
    """A number added to each channel (`colour.colour_shift`)."""

    name: ClassVar[str] = "colour_shift"
    red: _Signed = _range(-20 / 255, 20 / 255)
    green: _Signed = _range(-20 / 255, 20 / 255)
    blue: _Signed = _range(-20 / 255, 20 / 255)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        return colour.colour_shift(image, self.red.value, self.green.value, self.blue.value)


class ColourJitter(Step):
    """Brightness, contrast, saturation and hue in any order (`colour.colour_jitter`)."""

    name: ClassVar[str] = "colour_jitter"
    brightness: _Amount = _range(0.5, 1.5)
    contrast: _Amount = _range(0.5, 1.5)
    saturation: _Amount = _range(0, 1.5)
    hue: Annotated[Range, between(-0.5, 0.5)] = _range(-0.1, 0.1)
    order: Annotated[Whole, between(0, 23)] = _whole(0, 23)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        return colour.colour_jitter(
            image,
            self.brightness.value,
            self.contrast.value,
            self.saturation.value,
            self.hue.value,
            self.order.whole,
        )


# Tape


class ChromaBlur(Step):
    """Soft colours (`tape.chroma_blur`)."""

    name: ClassVar[str] = "chroma_blur"
    x_permille: _Permille = _range(2, 15)
    y_permille: _Permille = _range(0, 4)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        unit = image.shape[0] / 1000
        return tape.chroma_blur(image, self.x_permille.value * unit, self.y_permille.value * unit)


class ChromaShift(Step):
    """Colours beside their outlines (`tape.chroma_shift`)."""

    name: ClassVar[str] = "chroma_shift"
    x_permille: Annotated[Range, between(-1000, 1000)] = _range(-8, 8)
    y_permille: Annotated[Range, between(-1000, 1000)] = _range(-2, 4)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        unit = image.shape[0] / 1000
        return tape.chroma_shift(image, self.x_permille.value * unit, self.y_permille.value * unit)


class ChromaSubsample(Step):
    """Colours in blocks (`tape.chroma_subsample`)."""

    name: ClassVar[str] = "chroma_subsample"
    x: Annotated[Whole, between(1, 16)] = _whole(2, 4)
    y: Annotated[Whole, between(1, 16)] = _whole(1, 2)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        return tape.chroma_subsample(image, self.x.whole, self.y.whole)


class BandLimit(Step):
    """Narrow bands of luma and chroma along the lines (`tape.band_limit`)."""

    name: ClassVar[str] = "band_limit"
    luma_cycles: Annotated[Range, between(5, 10_000)] = _range(120, 170)
    """Cycles a line that keep half their amplitude; 156 for VHS."""
    chroma_cycles: Annotated[Range, between(1, 10_000)] = _range(18, 30)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        width = 0.187 * image.shape[1]
        return tape.band_limit(
            image, width / self.luma_cycles.value, width / self.chroma_cycles.value
        )


class Smear(Step):
    """Trails to the right (`tape.smear`)."""

    name: ClassVar[str] = "smear"
    luma_permille: _Permille = _range(0, 2)
    chroma_permille: _Permille = _range(4, 15)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        unit = image.shape[0] / 1000
        luma, chroma = self.luma_permille.value * unit, self.chroma_permille.value * unit
        return tape.smear(image, luma, chroma)


class EdgeBoost(Step):
    """Halos of a recorder's sharpness (`tape.edge_boost`)."""

    name: ClassVar[str] = "edge_boost"
    amount: _Amount = _range(0.2, 0.8)
    size_permille: _Permille = _range(3, 6)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        size_px = self.size_permille.value * image.shape[0] / 1000
        return tape.edge_boost(image, self.amount.value, size_px)


class TapeNoise(Step):
    """Streaky noise of luma and chroma (`tape.tape_noise`), fresh in each frame."""

    name: ClassVar[str] = "tape_noise"
    luma: _Share = _range(0.01, 0.04)
    chroma: _Share = _range(0.01, 0.03)
    length_permille: _Permille = _range(1, 4)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        length_px = self.length_permille.value * image.shape[0] / 1000
        return tape.tape_noise(
            image, self.luma.value, self.chroma.value, length_px, moment.rng
        )


class LineJitter(Step):
    """Lines that do not begin at one place (`tape.line_jitter`), anew in each frame."""

    name: ClassVar[str] = "line_jitter"
    amount_permille: _Permille = _range(0.3, 1.5)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        amount_px = self.amount_permille.value * image.shape[0] / 1000
        return tape.line_jitter(image, amount_px, moment.rng)


class HeadSwitch(Step):
    """The torn lowest lines of a tape (`tape.head_switch`)."""

    name: ClassVar[str] = "head_switch"
    lines_permille: _Permille = _range(5, 20)
    skew_permille: Annotated[Range, between(-1000, 1000)] = _range(20, 80)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        height = image.shape[0]
        lines = round(self.lines_permille.value * height / 1000)
        return tape.head_switch(
            image, lines, self.skew_permille.value * height / 1000, moment.rng
        )


class Dropouts(Step):
    """White dashes (`tape.dropouts`), anew in each frame."""

    name: ClassVar[str] = "dropouts"
    count: _Count = _range(0, 3)
    length_permille: _Permille = _range(10, 60)

    def frame(self, image: Picture, moment: Moment) -> Picture:
        length_px = self.length_permille.value * image.shape[0] / 1000
        return tape.dropouts(image, self.count.value, length_px, moment.rng)


# Steps made of steps


class DrawnBlindVideo(Step):
    """The blind mixture, drawn; written as `blind.Degradation`."""

    name: ClassVar[str] = "drawn_blind_video"
    degradation: Degradation

    def picture(self, image: Picture, rng: np.random.Generator) -> Picture:
        """A still picture, exactly as the protocol degrades it."""
        return clipped(apply(image, self.degradation, rng))

    def apply(self, frames: Iterable[Picture], times: Timeline) -> Iterator[Picture]:
        return apply_to_video(frames, self.degradation, times.of_frame)


class BlindVideoStep(Step):
    """The blind mixture that the generator is trained with (`blind.BlindVideo`).

    Of a still picture it makes what ``apply(image, BlindVideo().draw(rng), rng)`` does, bit for
    bit; a video goes through the same parts in the same order.
    """

    name: ClassVar[str] = "blind_video"
    mixture: BlindVideo = BlindVideo()

    def draw(self, rng: np.random.Generator) -> Step:
        return DrawnBlindVideo(degradation=self.mixture.draw(rng))


class OneOf(Step):
    """One of several steps."""

    name: ClassVar[str] = "one_of"
    steps: tuple[SerializeAsAny[Step], ...] = Field(min_length=1)
    weights: tuple[Annotated[float, Field(ge=0)], ...] | None = None
    """How likely each is, in any unit; equally likely when not given."""

    @model_validator(mode="after")
    def _check(self) -> OneOf:
        if self.weights is not None:
            if len(self.weights) != len(self.steps):
                raise ValueError(f"{len(self.steps)} steps need as many weights")
            if not sum(self.weights) > 0:
                raise ValueError("at least one weight must be above 0")
        return self

    def draw(self, rng: np.random.Generator) -> Step:
        weights = np.asarray(self.weights or np.ones(len(self.steps)), dtype=np.float64)
        chosen = int(rng.choice(len(self.steps), p=weights / weights.sum()))
        return self.steps[chosen].draw(rng)


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
