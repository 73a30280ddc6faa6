"""Film: grain, scratches, dust and hairs, flicker, gate weave.

Sizes are in pixels of the picture given; the steps that use these functions scale them with the
frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.degradations.noise import correlated_noise
from vidrestore.degradations.pixels import Image, clamp

__all__ = [
    "Scratch",
    "dust",
    "film_grain",
    "flicker",
    "hair_mask",
    "scratch_profile",
    "scratches",
    "scratches_at",
    "speck_mask",
]

_Mask = NDArray[np.float32]
_BITS = 4
"""Binary places of the points that OpenCV draws."""


def film_grain(
    image: Image, strength: float, size_px: float, colour: float, rng: np.random.Generator
) -> Image:
    """Grains: spatially correlated noise that is strongest in mid tones.

    ``I' = I + strength * 2 sqrt(I (1 - I)) * n``, n of unit variance (`noise.correlated_noise`).
    In the Boolean model of grains (Newson, Delon, Galerne, A stochastic film grain model for
    resolution-independent rendering, 2017) a point is covered with probability I, so the variance
    is that of a coin, I (1 - I): none in clear film or in solid black.

    Args:
        image: the picture.
        strength: standard deviation at mid gray.
        size_px: standard deviation of the Gaussian that a grain is seen through.
        colour: share of the variance that is each layer's own, 0 to 1; 0 keeps gray gray.
        rng: the frame's generator: every frame of a film has its own grains.
    """
    height, width = image.shape[:2]
    common = correlated_noise(height, width, 1, size_px, rng)
    noise = np.float32(np.sqrt(1 - colour)) * common
    if colour > 0:
        layers = correlated_noise(height, width, 3, size_px, rng)
        noise = noise + np.float32(np.sqrt(colour)) * layers
    light = clamp(image)
    return clamp(image + np.float32(2 * strength) * np.sqrt(light * (1 - light)) * noise)


@dataclass(frozen=True, slots=True)
class Scratch:
    """A line along the film, as it lies in one frame."""

    x: float
    """Place at the top, as a share of the width."""
    slant: float
    """Change of x down to the bottom, as a share of the width."""
    width: float
    """Of the main line, in any unit of length."""
    depth: float
    """What is added in the middle: positive for emulsion torn off a negative's shadow."""
    top: float
    """Where it begins, as a share of the height; below 0 for a whole one."""
    bottom: float


def scratches_at(
    index: int,
    stretch_rng: Callable[[int], np.random.Generator],
    *,
    count: float,
    life_frames: float,
    width: tuple[float, float],
    depth: float,
    bright: float,
) -> list[Scratch]:
    """The scratches of one frame: the same lines, slowly wandering, as long as they live.

    Time is cut into stretches of `life_frames`. In each, a Poisson number of scratches begins at
    random frames and lives for 0.2 to 2 stretches, exponential in between, so that on average
    `count` of them are seen at a time.

    Args:
        index: number of the frame.
        stretch_rng: generator of a stretch by its number, which may be as low as -2.
        count: expected number a frame.
        life_frames: mean life.
        width: least and greatest width.
        depth: greatest depth; each scratch has 0.3 to 1 times that.
        bright: share of bright ones.
    """
    stretch = max(1, round(life_frames))
    found = []
    for number in range(index // stretch - 2, index // stretch + 1):
        rng = stretch_rng(number)
        for _ in range(int(rng.poisson(count))):
            begin = (number + rng.random()) * stretch
            life = stretch * float(np.clip(rng.exponential(), 0.2, 2))
            place, wander, speed, phase = rng.random(), rng.normal(), rng.normal(), rng.random()
            across = rng.uniform(*width)
            sign = 1 if rng.random() < bright else -1
            amount = sign * depth * rng.uniform(0.3, 1)
            slant, whole = 0.004 * rng.normal(), rng.random() < 0.6
            ends = np.sort(rng.random(2))
            age = index - begin
            if not 0 <= age < life:
                continue
            turn = 2 * np.pi * (0.03 * (1 + abs(speed)) * age + phase)
            x = place + 0.0006 * speed * age + 0.002 * wander * np.sin(turn)
            top, bottom = (-1.0, 2.0) if whole else (float(ends[0]), float(ends[1]))
            found.append(Scratch(x, slant, across, amount, top, bottom))
    return found


def scratch_profile(distance: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """A scratch across: ``0.2^(2 d / 3 w) cos(pi d / w)``, a line with fainter sides, 1 at 0.

    The damped cosine that Kokaram (Motion Image Restoration, 1998, chapter on line scratches)
    fits to scanned scratches: light is scattered by the groove's edges. The line proper, of one
    sign, is w wide.

    Args:
        distance: from the middle, in pixels.
        width: w, in pixels.

    Returns:
        Means over the pixels at these distances, so that thin lines are faint and not broken.
    """
    within = (np.arange(8) + 0.5) / 8 - 0.5
    share = np.abs(distance[..., None] + within) / width
    fine = 0.2 ** (2 / 3 * share) * np.cos(np.pi * share)
    profile: NDArray[np.float64] = fine.mean(axis=-1)
    return profile


def scratches(image: Image, found: Iterable[Scratch], unit_px: float = 1.0) -> Image:
    """Add scratches to a frame: ``I + depth * profile(x - x0(y))``, all channels alike.

    Args:
        image: the picture.
        found: its scratches.
        unit_px: pixels in one unit of their widths.
    """
    height, width = image.shape[:2]
    image = image.copy()
    down = (np.arange(height) + 0.5) / height
    for one in found:
        across = max(1.0, one.width * unit_px)
        centre = (one.x + one.slant * down) * width - 0.5
        left = max(0, int(centre.min() - 5 * across) - 1)
        right = min(width, int(centre.max() + 5 * across) + 2)
        if left >= right:
            continue
        fade = np.clip(np.minimum(down - one.top, one.bottom - down) * 20, 0, 1)
        added = scratch_profile(np.arange(left, right) - centre[:, None], across)
        added *= one.depth * fade[:, None]
        image[:, left:right] += added[..., None].astype(np.float32)
    return clamp(image)


def speck_mask(radius_px: float, rng: np.random.Generator) -> _Mask:
    """How much a speck of dust covers: (K, K) float32 in [0, 1], an irregular blot.

    Its outline is ``r(phi) = radius (1 + sum_k a_k cos(k phi + p_k))``, k = 2 to 6, on an ellipse,
    its border one pixel soft.
    """
    reach = int(np.ceil(2 * radius_px)) + 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1] - rng.uniform(-0.5, 0.5, (2, 1, 1))
    turn, flat = rng.uniform(0, np.pi), rng.uniform(0.5, 1)
    u, v = x * np.cos(turn) + y * np.sin(turn), (y * np.cos(turn) - x * np.sin(turn)) / flat
    angle, outline = np.arctan2(v, u), np.ones_like(u)
    for wave in range(2, 7):
        outline += rng.normal(0, 0.35 / wave) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    covered = radius_px * np.clip(outline, 0.3, 1.9) - np.hypot(u, v)
    return np.asarray(np.clip(covered + 0.5, 0, 1), dtype=np.float32)


def hair_mask(height: int, width: int, length_px: float, rng: np.random.Generator) -> _Mask:
    """How much a hair in the gate covers: (height, width) float32, a thin curve (cubic Bezier)."""
    start, turn = rng.random(2) * (width, height), rng.uniform(0, 2 * np.pi)
    bends = np.cumsum(rng.normal(0, 0.9, 3)) + turn
    steps = np.stack([np.cos(bends), np.sin(bends)], axis=-1) * length_px / 3
    points = start + np.concatenate([[np.zeros(2)], np.cumsum(steps, axis=0)])
    t = np.linspace(0, 1, 32)[:, None]
    curve = (
        (1 - t) ** 3 * points[0]
        + 3 * t * (1 - t) ** 2 * points[1]
        + 3 * t**2 * (1 - t) * points[2]
        + t**3 * points[3]
    )
    canvas = np.zeros((height, width), np.uint8)
    fixed = np.rint(curve * (1 << _BITS)).astype(np.int32)
    thickness = max(1, round(length_px / 90))
    cv2.polylines(canvas, [fixed[:, None]], False, 255, thickness, cv2.LINE_AA, _BITS)
    return canvas.astype(np.float32) / np.float32(255)


def dust(
    image: Image,
    *,
    specks: float,
    hairs: float,
    radius_px: tuple[float, float],
    bright: float,
    rng: np.random.Generator,
) -> Image:
    """Specks and hairs that lie on one frame only: ``I' = (1 - a) I + a c``.

    The opaque blotches of Kokaram's model (Motion Image Restoration, 1998), with a from
    `speck_mask` and `hair_mask`; c is near black for dirt on the print and near white for dirt on
    the negative.

    Args:
        image: the picture.
        specks: expected number of specks.
        hairs: expected number of hairs.
        radius_px: least and greatest radius; their cubes' inverses are what sizes follow, so that
            small ones are many.
        bright: share of white ones.
        rng: the frame's generator.
    """
    image = image.copy()
    height, width = image.shape[:2]
    for _ in range(int(rng.poisson(specks))):
        radius = _radius(radius_px, rng)
        mask = speck_mask(radius, rng)
        centre_x, centre_y = rng.integers(0, width), rng.integers(0, height)
        reach = mask.shape[0] // 2
        _cover(image, mask, int(centre_x) - reach, int(centre_y) - reach, _tone(bright, rng), rng)
    for _ in range(int(rng.poisson(hairs))):
        mask = hair_mask(height, width, rng.uniform(10, 40) * radius_px[1] / 2, rng)
        _cover(image, mask, 0, 0, _tone(bright, rng), rng)
    return clamp(image)


def _radius(bounds: tuple[float, float], rng: np.random.Generator) -> float:
    """Density falls with the cube: 1 / r^2 is uniform."""
    low, high = (1 / max(bound, 0.1) ** 2 for bound in bounds)
    return float(rng.uniform(high, low) ** -0.5)


def _tone(bright: float, rng: np.random.Generator) -> float:
    return float(rng.uniform(0.85, 1.0) if rng.random() < bright else rng.uniform(0.0, 0.15))


def _cover(
    image: Image, mask: _Mask, left: int, top: int, tone: float, rng: np.random.Generator
) -> None:
    """Cover a part of `image`, in place."""
    alpha = np.float32(rng.uniform(0.7, 1.0)) * mask
    x0, y0 = max(0, left), max(0, top)
    x1, y1 = min(image.shape[1], left + mask.shape[1]), min(image.shape[0], top + mask.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    part = alpha[y0 - top : y1 - top, x0 - left : x1 - left, None]
    image[y0:y1, x0:x1] += part * (np.float32(tone) - image[y0:y1, x0:x1])


def flicker(
    image: Image, gain: float, offset: float, uneven: NDArray[np.float64] | None = None
) -> Image:
    """Exposure of one frame: ``I' = gain (1 + u(x, y)) I + offset``.

    The model of van Roosmalen, Lagendijk and Biemond (Correction of intensity flicker in old film
    sequences, 1999), in which gain and offset vary over time and slowly over the picture.

    Args:
        image: the picture.
        gain: factor of the whole frame.
        offset: what is added to it.
        uneven: (m, n) values of u on a coarse grid, interpolated (bicubic); none when not given.
    """
    factor: NDArray[np.float32] | np.float32 = np.float32(gain)
    if uneven is not None:
        height, width = image.shape[:2]
        field = cv2.resize(
            uneven.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC
        )
        factor = np.float32(gain) * (1 + field[..., None])
    return clamp(factor * image + np.float32(offset))
