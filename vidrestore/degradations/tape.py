"""Analogue tape: little chroma, late chroma, smeared lines, lines that jitter, dropouts.

Colour is luma and two colour differences (`pixels.to_ycc`); gray pictures stay gray. What is
modelled is the "colour-under" recording of VHS: luma of some 3 MHz, chroma shifted down and kept to
some 0.4 MHz (IEC 60774-1), and the faults that engineers name time-base error, Y/C delay, dropout
and head switching. The models are this project's; formulas stand with each.
"""

from __future__ import annotations

import cv2
import numpy as np

from vidrestore.degradations.optics import gaussian_kernel
from vidrestore.degradations.pixels import Image, clamp, from_ycc, to_ycc

__all__ = [
    "band_limit",
    "chroma_blur",
    "chroma_shift",
    "chroma_subsample",
    "dropouts",
    "edge_boost",
    "head_switch",
    "line_jitter",
    "row_noise",
    "smear",
    "tape_noise",
]


def chroma_blur(image: Image, sigma_x_px: float, sigma_y_px: float) -> Image:
    """``C' = G * C`` with a Gaussian G of these standard deviations; luma stays."""
    luma, chroma = to_ycc(image)
    kernel = gaussian_kernel(max(sigma_x_px, 1e-3), max(sigma_y_px, 1e-3), 0.0)
    return from_ycc(luma, cv2.filter2D(chroma, -1, kernel, borderType=cv2.BORDER_REFLECT_101))


def chroma_shift(image: Image, dx_px: float, dy_px: float) -> Image:
    """``C'(x, y) = C(x - dx, y - dy)``: colour differences moved against luma, as decoders with
    another delay do ("Y/C delay").
    """
    luma, chroma = to_ycc(image)
    matrix = np.array([[1, 0, dx_px], [0, 1, dy_px]], dtype=np.float64)
    size = (image.shape[1], image.shape[0])
    moved = cv2.warpAffine(chroma, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return from_ycc(luma, moved)


def chroma_subsample(image: Image, factor_x: int, factor_y: int) -> Image:
    """Average colour differences over blocks and show each block in one colour.

    2 and 2 is 4:2:0, 4 and 1 is 4:1:1 of DV, by a decoder that repeats samples.
    """
    luma, chroma = to_ycc(image)
    height, width = luma.shape
    size = (-(-width // factor_x), -(-height // factor_y))
    beyond = (0, size[1] * factor_y - height, 0, size[0] * factor_x - width)
    whole = cv2.copyMakeBorder(chroma, *beyond, cv2.BORDER_REPLICATE)
    small = cv2.resize(whole, size, interpolation=cv2.INTER_AREA)
    blocks = np.repeat(np.repeat(small, factor_y, axis=0), factor_x, axis=1)
    return from_ycc(luma, blocks[:height, :width])


def band_limit(image: Image, luma_px: float, chroma_px: float) -> Image:
    """What a narrow band leaves of every line: Gaussians along the rows, for luma and for chroma.

    A signal of n cycles a line loses half its amplitude where the Gaussian's sigma is
    ``0.187 W / n`` pixels (``exp(-2 pi^2 sigma^2 f^2) = 1/2``). VHS keeps luma to 3 MHz and chroma
    to some 0.4 MHz of a line of 52 microseconds (IEC 60774-1): n = 156 and 21.

    Args:
        image: the picture.
        luma_px: standard deviation for luma, in pixels.
        chroma_px: standard deviation for chroma.
    """
    luma, chroma = to_ycc(image)
    return from_ycc(_along_rows(luma, luma_px), _along_rows(chroma, chroma_px))


def smear(image: Image, luma_px: float, chroma_px: float) -> Image:
    """Trails to the right: ``y(x) = sum_d e^(-d / tau) i(x - d) / sum_d e^(-d / tau)``, d >= 0.

    The step response of a first-order low-pass, with its delay: colours run out of their outlines.

    Args:
        image: the picture.
        luma_px: tau for luma, in pixels; 0 for none.
        chroma_px: tau for chroma.
    """
    luma, chroma = to_ycc(image)
    return from_ycc(_trailing(luma, luma_px), _trailing(chroma, chroma_px))


def edge_boost(image: Image, amount: float, sigma_px: float) -> Image:
    """Halos of a recorder's "sharpness": ``Y + amount (Y - G_sigma * Y)`` along the rows."""
    luma, chroma = to_ycc(image)
    return from_ycc(luma + np.float32(amount) * (luma - _along_rows(luma, sigma_px)), chroma)


def row_noise(
    height: int, width: int, channels: int, length_px: float, rng: np.random.Generator
) -> Image:
    """Standard normal noise, correlated along the rows by a trailing exponential only."""
    if length_px < 0.2:
        return rng.standard_normal((height, width, channels), dtype=np.float32)
    reach = int(np.ceil(5 * length_px))
    tail = np.exp(-np.arange(reach + 1) / length_px)
    tail /= np.sqrt(np.square(tail).sum())
    white = rng.standard_normal((height, width + reach, channels), dtype=np.float32)
    kernel = tail[None, ::-1].astype(np.float32)
    anchor = (reach, 0)
    noise = cv2.filter2D(white, -1, kernel, anchor=anchor).reshape(white.shape)
    return np.asarray(noise[:, reach:], dtype=np.float32)


def tape_noise(
    image: Image, luma: float, chroma: float, length_px: float, rng: np.random.Generator
) -> Image:
    """Noise of tape and amplifier: `row_noise` on luma, four times longer on chroma.

    Args:
        image: the picture.
        luma: standard deviation on luma.
        chroma: standard deviation on each colour difference; 0 keeps gray gray.
        length_px: length of the streaks.
        rng: the frame's generator.
    """
    brightness, colours = to_ycc(image)
    height, width = brightness.shape
    brightness = brightness + np.float32(luma) * row_noise(height, width, 1, length_px, rng)[..., 0]
    if chroma > 0:
        colours = colours + np.float32(chroma) * row_noise(height, width, 2, 4 * length_px, rng)
    return from_ycc(brightness, colours)


def line_jitter(image: Image, amount_px: float, rng: np.random.Generator) -> Image:
    """Move every line by itself: time-base error, ``e(y)`` an autoregression with factor 0.9.

    Args:
        image: the picture.
        amount_px: standard deviation of a line's shift.
        rng: the frame's generator.
    """
    steps = rng.normal(0, amount_px * np.sqrt(1 - 0.9**2), image.shape[0])
    steps[0] = rng.normal(0, amount_px)
    shifts = np.empty_like(steps)
    past = 0.0
    for row, step in enumerate(steps):
        past = shifts[row] = 0.9 * past + step
    return _shifted_rows(image, shifts)


def head_switch(image: Image, lines: int, skew_px: float, rng: np.random.Generator) -> Image:
    """The lowest lines, read while one head hands over to the other: skewed and noisy.

    Args:
        image: the picture.
        lines: how many.
        skew_px: shift of the lowest line; it falls to 0 with the square of the height.
        rng: the frame's generator.
    """
    lines = min(lines, image.shape[0])
    if lines == 0:
        return image.copy()
    shifts = np.zeros(image.shape[0])
    shifts[-lines:] = skew_px * (np.arange(1, lines + 1) / lines) ** 2
    moved = _shifted_rows(image, shifts)
    noise = row_noise(lines, image.shape[1], 1, 2.0, rng)
    moved[-lines:] = clamp(moved[-lines:] + np.float32(0.15) * noise)
    return moved


def dropouts(image: Image, count: float, length_px: float, rng: np.random.Generator) -> Image:
    """Bright dashes where the tape has lost its coating: a Poisson number, one line high each.

    A dash begins abruptly and fades, ``I' = I + a (1 - I)``, ``a = 0.9 e^(-x / length)``.

    Args:
        image: the picture.
        count: expected number.
        length_px: mean length, itself exponential.
        rng: the frame's generator.
    """
    image = image.copy()
    height, width = image.shape[:2]
    for _ in range(int(rng.poisson(count))):
        y, x = int(rng.integers(0, height)), int(rng.integers(0, width))
        length = max(1.0, rng.exponential(length_px))
        along = np.arange(min(width - x, int(4 * length) + 1))
        share = (0.9 * np.exp(-along / length)).astype(np.float32)[:, None]
        image[y, x : x + len(along)] += share * (1 - image[y, x : x + len(along)])
    return clamp(image)


def _along_rows(plane: Image, sigma_px: float) -> Image:
    if sigma_px < 0.05:
        return plane
    radius = max(1, int(np.ceil(3 * sigma_px)))
    line = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma_px) ** 2)
    kernel = (line / line.sum())[None].astype(np.float32)
    blurred = cv2.filter2D(plane, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, dtype=np.float32)


def _trailing(plane: Image, tau_px: float) -> Image:
    if tau_px < 0.05:
        return plane
    reach = max(1, int(np.ceil(5 * tau_px)))
    tail = np.exp(-np.arange(reach + 1) / tau_px)
    # OpenCV correlates: the kernel's last tap, at the anchor, is the pixel itself.
    kernel = (tail[::-1] / tail.sum())[None].astype(np.float32)
    smeared = cv2.filter2D(plane, -1, kernel, anchor=(reach, 0), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(smeared, dtype=np.float32)


def _shifted_rows(image: Image, shifts_px: np.typing.NDArray[np.float64]) -> Image:
    """Each row moved to the right by its own shift, linear, the border repeated."""
    height, width = image.shape[:2]
    columns = np.arange(width, dtype=np.float32)[None] - shifts_px[:, None].astype(np.float32)
    rows = np.repeat(np.arange(height, dtype=np.float32)[:, None], width, axis=1)
    moved = cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.float32)
