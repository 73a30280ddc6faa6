"""Colour that is gone or wrong: black-and-white, faded dyes, lost contrast, jitter."""

from __future__ import annotations

from itertools import permutations

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.degradations.pixels import Image, clamp
from vidrestore.luma import BT601, luma

__all__ = [
    "STOCKS",
    "colour_jitter",
    "colour_shift",
    "contrast",
    "fade_dyes",
    "grayscale",
]

STOCKS = {
    "luma": np.array(BT601, dtype=np.float32),
    "panchromatic": np.array([0.35, 0.40, 0.25], dtype=np.float32),
    "orthochromatic": np.array([0.04, 0.56, 0.40], dtype=np.float32),
}
"""How much red, green and blue make a black-and-white film dark; each row sums to 1. Film before
about 1927 was orthochromatic, all but blind to red: lips and skin come out dark (B. Salt, Film
Style and Technology, 1983). The two film rows are rough."""

_ORDERS = tuple(permutations(range(4)))
_LEAST = 1e-4
"""Darkest transmittance: densities end at 4."""


def grayscale(image: Image, weights: NDArray[np.float32] = STOCKS["luma"]) -> Image:
    """Luma (ITU-R BT.601 weights), or another weighted sum, in all three channels."""
    return np.asarray(np.repeat((image @ weights)[..., None], 3, axis=2), dtype=np.float32)


def fade_dyes(
    image: Image, kept: tuple[float, float, float], base: tuple[float, float, float]
) -> Image:
    """Dyes of a colour film that have bleached, over a base that has yellowed.

    Densities ``D = -log10 I`` of red, green and blue (the cyan, magenta and yellow dyes) shrink and
    gain a stain: ``D' = kept * D + base``, so ``I' = I^kept * 10^-base`` (Gschwind and Frey,
    Electronic imaging, a tool for the reconstruction of faded color photographs, 1994). Prints that
    turned pink have lost most of cyan: ``kept`` of red is least.

    Args:
        image: the picture.
        kept: share of each dye that is left, 0 to 1, for red, green and blue.
        base: density that the base gained, for red, green and blue.
    """
    shares, stains = np.array(kept, np.float32), np.array(base, np.float32)
    return clamp(np.power(np.maximum(image, _LEAST), shares) * np.power(np.float32(10), -stains))


def contrast(image: Image, black: float, white: float, gamma: float = 1.0) -> Image:
    """Levels of a bad copy: ``black + (white - black) I^gamma``; gray stays gray."""
    return clamp(black + (white - black) * np.power(np.maximum(image, 0), np.float32(gamma)))


def colour_shift(image: Image, red: float, green: float, blue: float) -> Image:
    """Add a number to each channel: GFP-GAN's first jitter, there up to 20/255 either way."""
    return clamp(image + np.array([red, green, blue], dtype=np.float32))


def colour_jitter(
    image: Image,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
    order: int = 0,
) -> Image:
    """Torchvision's jitter, GFP-GAN's second one; factors of 1 and a hue of 0 change nothing.

    Brightness ``f I``; contrast ``f I + (1 - f) mean(luma)``; saturation ``f I + (1 - f) luma``;
    hue turned by that share of the circle in HSV. Each is held in [0, 1].

    Args:
        image: the picture.
        brightness: factor, at least 0.
        contrast: factor, at least 0.
        saturation: factor, at least 0.
        hue: turn in [-0.5, 0.5].
        order: which of the 24 orders they come in.
    """
    for which in _ORDERS[order]:
        if which == 0:
            image = clamp(image * np.float32(brightness))
        elif which == 1:
            mean = luma(image).mean(dtype=np.float64)
            image = clamp(np.float32(contrast) * image + np.float32((1 - contrast) * mean))
        elif which == 2:
            gray = grayscale(image)
            image = clamp(np.float32(saturation) * image + np.float32(1 - saturation) * gray)
        elif hue:
            image = _turn_hue(image, hue)
    return image


def _turn_hue(image: Image, hue: float) -> Image:
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + 360 * hue) % 360
    return clamp(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))
