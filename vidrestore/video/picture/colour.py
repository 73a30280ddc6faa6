"""Luma, chroma and RGB: matrices and ranges, from the standards.

Sources: ITU-T H.273 (07/2024), table 4 (`MatrixCoefficients`) and equations 17 to 40 (ranges); the
numbers behind 'bt601', 'bt709' and 'bt2020' are those of ITU-R BT.601, BT.709 and BT.2020
(non-constant luminance).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vidrestore.luma import BT601, BT709
from vidrestore.structs import Array

__all__ = ["guess_matrix", "rgb_from_yuv", "sample_scale", "yuv_from_rgb"]

_LUMA_WEIGHTS = {
    "bt601": BT601[::2],
    "bt709": BT709[::2],
    "bt2020": (0.2627, 0.0593),
    "smpte240m": (0.212, 0.087),
    "fcc": (0.30, 0.11),
}
"""Weights of red and blue in luma; green has the rest."""

_TAGS = {
    0: "rgb",
    1: "bt709",
    4: "fcc",
    5: "bt601",
    6: "bt601",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020",
    10: "bt2020",
}
"""`MatrixCoefficients` of H.273 as FFmpeg's `AVColorSpace`. BT.2020 with constant luminance (10) is
not linear; its non-constant sister is close enough for the small differences this program adds."""


def guess_matrix(tag: int, width: int, height: int, *, is_rgb: bool) -> str:
    """The name of the matrix for `Picture.matrix`.

    Untagged video is taken as players take it (mpv and VLC alike): BT.709 from high-definition
    sizes on, BT.601 below.

    Args:
        tag: `av.VideoFrame.colorspace`.
        width: coded width in pixels.
        height: coded height.
        is_rgb: whether the samples are red, green and blue.
    """
    if is_rgb:
        return "rgb"
    known = _TAGS.get(tag)
    if known is not None and known != "rgb":
        return known
    return "bt709" if width >= 1280 or height > 576 else "bt601"


@lru_cache(maxsize=16)
def rgb_from_yuv(matrix: str) -> Array:
    """(3, 3): R, G, B in [0, 1] from Y in [0, 1] and Cb, Cr in [-0.5, 0.5]."""
    if matrix == "rgb":
        return np.eye(3)
    if matrix == "ycgco":
        return np.array([[1.0, -1.0, 1.0], [1.0, 1.0, 0.0], [1.0, -1.0, -1.0]])
    red, blue = _LUMA_WEIGHTS[matrix]
    green = 1 - red - blue
    from_cb, from_cr = 2 * (1 - blue), 2 * (1 - red)
    return np.array(
        [
            [1.0, 0.0, from_cr],
            [1.0, -from_cb * blue / green, -from_cr * red / green],
            [1.0, from_cb, 0.0],
        ]
    )


@lru_cache(maxsize=16)
def yuv_from_rgb(matrix: str) -> Array:
    """(3, 3): the inverse of `rgb_from_yuv`."""
    return np.linalg.inv(rgb_from_yuv(matrix)).astype(np.float64)


def sample_scale(bits: int, *, full_range: bool, chroma: bool) -> tuple[float, float]:
    """(offset, scale): a sample is `offset + scale * value`.

    Args:
        bits: significant bits of a sample.
        full_range: whether luma takes all values.
        chroma: whether the value is a colour difference in [-0.5, 0.5] instead of in [0, 1].
    """
    unit = float(1 << (bits - 8))
    if full_range:
        return (128 * unit if chroma else 0.0), 256 * unit - 1
    return (128 * unit, 224 * unit) if chroma else (16 * unit, 219 * unit)
