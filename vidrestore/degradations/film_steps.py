"""Steps of film: grain, scratches, dust, flicker, gate weave.

Lengths in ``_px`` are pixels of the frame as it is at that step; lengths in ``_permille`` are
thousandths of its height, so that film and tape look alike at every size.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from vidrestore.degradations import film, sampling
from vidrestore.degradations.pixels import Image
from vidrestore.degradations.ranges import Count, Permille, Range, Share, between, uniform
from vidrestore.degradations.step import FrameStep
from vidrestore.degradations.timeline import Moment

__all__ = ["Dust", "Flicker", "Grain", "Scratches", "Weave"]


class Grain(FrameStep):
    """Film grain (`film.film_grain`), fresh in each frame."""

    name: ClassVar[str] = "grain"
    strength: Share = uniform(0.02, 0.07)
    size_permille: Permille = uniform(0.8, 2.2)
    colour: Share = uniform(0.0)

    def frame(self, image: Image, moment: Moment) -> Image:
        size_px = self.size_permille.value * image.shape[0] / 1000
        return film.film_grain(image, self.strength.value, size_px, self.colour.value, moment.rng)


class Scratches(FrameStep):
    """Lines along the film that stay for a while (`film.scratches_at`, `film.scratches`)."""

    name: ClassVar[str] = "scratches"
    count: Annotated[Range, between(0, 100)] = uniform(0.5, 4)
    life_frames: Annotated[Range, between(1, 10_000)] = uniform(10, 60)
    width_permille: Permille = uniform(3, 8)
    depth: Share = uniform(0.15, 0.5)
    bright: Share = uniform(0.3, 0.9)

    def frame(self, image: Image, moment: Moment) -> Image:
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


class Dust(FrameStep):
    """Specks and hairs on single frames (`film.dust`)."""

    name: ClassVar[str] = "dust"
    specks: Count = uniform(1, 12)
    hairs: Count = uniform(0, 0.3)
    radius_permille: Permille = uniform(6, 20)
    """Of the largest speck; the smallest has a fifth of it."""
    bright: Share = uniform(0.2, 0.8)

    def frame(self, image: Image, moment: Moment) -> Image:
        largest = max(0.8, self.radius_permille.value * image.shape[0] / 1000)
        return film.dust(
            image,
            specks=self.specks.value,
            hairs=self.hairs.value,
            radius_px=(max(0.5, largest / 5), largest),
            bright=self.bright.value,
            rng=moment.rng,
        )


class Flicker(FrameStep):
    """Exposure that changes from frame to frame (`film.flicker`).

    The gain is ``1 + amount (0.6 drift + 0.8 jump)``: a part that drifts with `period_frames` and
    one of each frame's own, unit variance together; three standard deviations are the most.
    """

    name: ClassVar[str] = "flicker"
    amount: Share = uniform(0.02, 0.1)
    period_frames: Annotated[Range, between(1, 10_000)] = uniform(8, 50)
    uneven: Share = uniform(0, 0.05)
    """Standard deviation of the gain over the picture, on a grid of 4 x 4, each frame its own."""

    def frame(self, image: Image, moment: Moment) -> Image:
        rng = moment.rng
        drift = float(moment.drift(self.period_frames.value)[0])
        change = 0.6 * drift + 0.8 * rng.standard_normal()
        gain = 1 + self.amount.value * float(np.clip(change, -3, 3))
        field = self.uneven.value * rng.standard_normal((4, 4))
        return film.flicker(image, max(0.0, gain), 0.0, field if self.uneven.value else None)


class Weave(FrameStep):
    """The film wanders in the gate: the picture shifts (`sampling.shift`), mostly smoothly."""

    name: ClassVar[str] = "weave"
    amount_permille: Permille = uniform(0.5, 3)
    period_frames: Annotated[Range, between(1, 10_000)] = uniform(5, 15)

    def frame(self, image: Image, moment: Moment) -> Image:
        path = 0.9 * moment.drift(self.period_frames.value, 2)
        path += 0.4 * moment.rng.standard_normal(2)
        across, down = path * self.amount_permille.value * image.shape[0] / 1000
        return sampling.shift(image, 0.5 * float(across), float(down))
