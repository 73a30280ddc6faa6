"""The display matrix of a video: how coded pictures are turned and mirrored for showing.

A file carries nine 32-bit integers a, b, u, c, d, v, x, y, w (a to y 16.16 fixed point, the column
u, v, w 2.30) that take a coded point (p, q), y down, to (a p + c q + x, b p + d q + y): ISO/IEC
14496-12, section 6.2.2, and FFmpeg's libavutil/display.h.
"""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import av
import numpy as np

from vidrestore.geometry import display_from_coded
from vidrestore.structs import Array, Display
from vidrestore.video.picture.side_data import side_data

__all__ = [
    "IDENTITY_MATRIX",
    "display_of",
    "linear_part",
    "matrix_of_frame",
    "rotation_of",
]

_MOST_STRETCH = 8
"""Of one direction against the other; anamorphic lenses stretch by 2."""

IDENTITY_MATRIX = (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
"""The display matrix of an upright picture."""


def matrix_of_frame(frame: av.VideoFrame) -> tuple[int, ...] | None:
    """The nine integers of a decoded frame's display matrix; None where it has none."""
    data = side_data(frame, "DISPLAYMATRIX", 36)
    return None if data is None else struct.unpack("=9i", data)


def linear_part(matrix: tuple[int, ...] | None) -> Array | None:
    """(2, 2) rotation or mirroring acting on columns (x, y), y down; None for upright pictures.

    A matrix that flattens, stretches or slants the picture beyond what anyone shows is damaged, and
    counts as none: the picture as shown could be of any size.
    """
    if matrix is None or matrix == IDENTITY_MATRIX:
        return None
    linear = np.array([[matrix[0], matrix[3]], [matrix[1], matrix[4]]], np.float64) / 65536
    scale = math.sqrt(abs(float(np.linalg.det(linear))))
    if scale < 1e-6:
        return None
    linear /= scale
    if np.linalg.cond(linear) > _MOST_STRETCH:
        return None
    return None if np.allclose(linear, np.eye(2), atol=1e-4) else linear


def rotation_of(matrix: tuple[int, ...] | None) -> tuple[int, bool]:
    """Degrees counter-clockwise, in (-180, 180], and whether the picture is mirrored left to right.

    The mirroring comes first, then the turn.
    """
    linear = linear_part(matrix)
    if linear is None:
        return 0, False
    mirrored = bool(np.linalg.det(linear) < 0)
    turn = linear @ np.diag([-1.0, 1.0]) if mirrored else linear
    degrees = round(math.degrees(math.atan2(-turn[1, 0], turn[0, 0])))
    return (180 if degrees == -180 else degrees), mirrored


def display_of(width: int, height: int, sar: Fraction, matrix: tuple[int, ...] | None) -> Display:
    """How a coded picture of this size, sample aspect ratio and display matrix is shown."""
    affine, shown_width, shown_height = display_from_coded(
        width, height, sar=float(sar), matrix=linear_part(matrix)
    )
    return Display(shown_width, shown_height, affine)
