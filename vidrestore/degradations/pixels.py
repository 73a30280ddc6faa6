"""What every degradation works on, and the small things they share.

A picture is (H, W, 3) float32 RGB in [0, 1], a clip (T, H, W, 3); functions return new arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidrestore.luma import BT601, luma

__all__ = [
    "Clip",
    "Image",
    "clamp",
    "from_bytes",
    "from_ycc",
    "log_uniform",
    "to_bytes",
    "to_ycc",
]

Image = NDArray[np.float32]
Clip = NDArray[np.float32]

_RED, _GREEN, _BLUE = np.array(BT601, np.float32)
_CB_SCALE, _CR_SCALE = np.float32(1.772), np.float32(1.402)
"""2 (1 - 0.114) and 2 (1 - 0.299): blue and red less luma, over Cb and Cr."""


def clamp(image: NDArray[Any]) -> Image:
    """The picture held in [0, 1], float32."""
    return np.asarray(np.clip(image, 0.0, 1.0), dtype=np.float32)


def to_bytes(image: Image) -> NDArray[np.uint8]:
    """To 0-255, rounded."""
    return np.ascontiguousarray(np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8))


def from_bytes(image: NDArray[Any]) -> Image:
    """From 0-255."""
    return np.asarray(np.ascontiguousarray(image, dtype=np.float32) / 255, dtype=np.float32)


def to_ycc(image: Image) -> tuple[Image, Image]:
    """Luma (H, W) in [0, 1] and colour differences (H, W, 2) in [-0.5, 0.5] (ITU-R BT.601).

    ``Y = 0.299 R + 0.587 G + 0.114 B``, ``Cb = (B - Y) / 1.772``, ``Cr = (R - Y) / 1.402``.
    """
    y = luma(image)
    blue, red = (image[..., 2] - y) / _CB_SCALE, (image[..., 0] - y) / _CR_SCALE
    return y, np.stack([blue, red], axis=-1)


def from_ycc(y: Image, chroma: Image) -> Image:
    """The inverse of `to_ycc`, held in [0, 1]."""
    blue, red = chroma[..., 0] * _CB_SCALE, chroma[..., 1] * _CR_SCALE
    green = -(_RED * red + _BLUE * blue) / _GREEN
    return clamp(y[..., None] + np.stack([red, green, blue], axis=-1))


def log_uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    """A number whose logarithm is uniform between those of the bounds."""
    low, high = np.log(bounds)
    return float(np.exp(rng.uniform(low, high)))
