"""Size and place of the picture: resampling and shifting."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.degradations.pixels import Image

__all__ = ["METHODS", "cubic_weights", "resize", "shift"]

_INTERPOLATIONS = {
    "area": cv2.INTER_AREA,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}
_CUBIC = "bicubic-antialiased"
METHODS = (*_INTERPOLATIONS, _CUBIC)
"""Ways to resample."""


def resize(image: Image, height: int, width: int, method: str) -> Image:
    """Resample to a size by one of `METHODS`, pixel centres aligned at the edges.

    ``bicubic-antialiased`` is the bicubic of super-resolution papers (`cubic_weights`), which
    widens its kernel when it shrinks; the others are OpenCV's, of which only ``area`` does.
    """
    if method == _CUBIC:
        rows, columns = cubic_weights(image.shape[0], height), cubic_weights(image.shape[1], width)
        resized = np.einsum("ij,jkc->ikc", rows, image, optimize=True)
        resized = np.einsum("lk,ikc->ilc", columns, resized, optimize=True)
    else:
        resized = cv2.resize(image, (width, height), interpolation=_INTERPOLATIONS[method])
    return np.asarray(np.clip(resized, 0.0, 1.0), dtype=np.float32)


@lru_cache(maxsize=32)
def cubic_weights(source: int, target: int) -> NDArray[np.float32]:
    """(target, source): bicubic resampling of a line, ``imresize`` of MATLAB with antialiasing.

    Keys' kernel (1981, a = -0.5), stretched by ``source / target`` when the line gets shorter;
    samples beyond the border are left out and the weights of each output sum to 1.
    """
    scale = max(1.0, source / target)
    centres = (np.arange(target) + 0.5) * source / target - 0.5
    distance = np.abs(centres[:, None] - np.arange(source)) / scale
    weights = np.where(
        distance < 1,
        (1.5 * distance - 2.5) * distance**2 + 1,
        np.where(distance < 2, ((-0.5 * distance + 2.5) * distance - 4) * distance + 2, 0),
    )
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)


def shift(image: Image, dx_px: float, dy_px: float) -> Image:
    """Move the picture's content by (dx, dy) pixels, bilinear, the border reflected."""
    matrix = np.array([[1, 0, dx_px], [0, 1, dy_px]], dtype=np.float64)
    size = (image.shape[1], image.shape[0])
    moved = cv2.warpAffine(
        image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(moved, dtype=np.float32)
