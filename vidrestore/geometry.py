"""Affine transforms between frames, faces and crops.

Convention: an affine is a (2, 3) float64 array `b_from_a` acting on columns (x, y, 1); pixel
centres lie at integers, the origin is the centre of the top-left pixel. Pure functions: arrays in,
new arrays out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vidrestore.structs import Array

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "apply",
    "box_iou",
    "compose",
    "compose_similarity",
    "decompose_similarity",
    "display_from_coded",
    "identity",
    "invert",
    "similarity_from_points",
    "warp_affine",
]


def identity() -> Array:
    """The (2, 3) affine that moves nothing."""
    return np.eye(2, 3)


def compose(c_from_b: Array, b_from_a: Array) -> Array:
    """`c_from_a`: first `b_from_a`, then `c_from_b`; all (2, 3)."""
    linear = c_from_b[:, :2] @ b_from_a[:, :2]
    shift = c_from_b[:, :2] @ b_from_a[:, 2] + c_from_b[:, 2]
    return np.column_stack([linear, shift])


def invert(b_from_a: Array) -> Array:
    """`a_from_b`, (2, 3).

    Raises:
        ValueError: if the transform flattens the plane.
    """
    linear = b_from_a[:, :2]
    if abs(np.linalg.det(linear)) < 1e-12:
        raise ValueError(f"this transform cannot be inverted: {b_from_a.tolist()}")
    back = np.linalg.inv(linear)
    return np.column_stack([back, -back @ b_from_a[:, 2]])


def apply(b_from_a: Array, points: npt.ArrayLike) -> Array:
    """Moves points (..., 2) by a (2, 3) affine."""
    points = np.asarray(points, np.float64)
    moved: Array = points @ b_from_a[:, :2].T + b_from_a[:, 2]
    return moved


def similarity_from_points(target: npt.ArrayLike, source: npt.ArrayLike) -> Array:
    """The similarity (rotation, one scale, shift; no mirroring) that takes `source` to `target`.

    Least squares over (N, 2) points, N ≥ 2 (Umeyama 1991, eq. 40-42, for two dimensions, where the
    optimum is a complex division).

    Raises:
        ValueError: if all source points coincide.
    """
    a, b = np.asarray(source, np.float64), np.asarray(target, np.float64)
    mean_a, mean_b = a.mean(0), b.mean(0)
    za, zb = (a - mean_a) @ [1, 1j], (b - mean_b) @ [1, 1j]
    power = float(np.sum(np.abs(za) ** 2))
    if power < 1e-12:
        raise ValueError("a similarity needs at least two different points")
    factor = np.sum(np.conj(za) * zb) / power
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.column_stack([linear, mean_b - linear @ mean_a])


def decompose_similarity(matrix: Array) -> tuple[float, float, Array]:
    """(log-scale, angle in radians, image of the origin (2,)) of a similarity."""
    scale = np.hypot(matrix[0, 0], matrix[1, 0])
    return (
        float(np.log(scale)),
        float(np.arctan2(matrix[1, 0], matrix[0, 0])),
        matrix[:, 2].copy(),
    )


def compose_similarity(log_scale: float, angle: float, shift: npt.ArrayLike) -> Array:
    """Inverse of `decompose_similarity`."""
    cosine, sine = np.exp(log_scale) * np.cos(angle), np.exp(log_scale) * np.sin(angle)
    return np.column_stack([[[cosine, -sine], [sine, cosine]], np.asarray(shift, np.float64)])


def display_from_coded(
    width: int, height: int, *, sar: float = 1.0, matrix: Array | None = None
) -> tuple[Array, int, int]:
    """How a coded picture is shown.

    Args:
        width: coded width in pixels.
        height: coded height.
        sar: sample aspect ratio, width of a pixel over its height. The axis that would shrink is
            kept and the other stretched, so that no detail is lost.
        matrix: (2, 2) rotation or mirroring of the display matrix, acting on (x, y) with y down;
            None for upright pictures.

    Returns:
        (2, 3) `display_from_coded`, and the display's width and height in square pixels.
    """
    stretch = np.diag([sar, 1.0] if sar >= 1 else [1.0, 1.0 / sar])
    turn = np.eye(2) if matrix is None else np.asarray(matrix, np.float64)
    linear = turn @ stretch
    edges = np.array(
        [[-0.5, -0.5], [width - 0.5, -0.5], [-0.5, height - 0.5], [width - 0.5, height - 0.5]]
    )
    moved = edges @ linear.T
    low, high = moved.min(0), moved.max(0)
    shown = np.maximum(1, np.rint(high - low)).astype(int)
    return np.column_stack([linear, -low - 0.5]), int(shown[0]), int(shown[1])


def box_iou(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Intersection over union of (N, 4) and (M, 4) boxes `xyxy`, as (N, M)."""
    a, b = np.asarray(a, np.float64).reshape(-1, 1, 4), np.asarray(b, np.float64).reshape(1, -1, 4)
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    inter = np.prod(np.clip(high - low, 0, None), axis=-1)
    area_a = np.prod(np.clip(a[..., 2:] - a[..., :2], 0, None), axis=-1)
    area_b = np.prod(np.clip(b[..., 2:] - b[..., :2], 0, None), axis=-1)
    union: Array = inter / np.maximum(area_a + area_b - inter, 1e-12)
    return union


def warp_affine(
    image: Tensor, out_from_in: Array, size: tuple[int, int], *, mode: str = "bilinear"
) -> Tensor:
    """Resamples `image` so that output pixel p shows input position `out_from_in⁻¹ p`.

    Convention: pixel centres at integers on both sides; beyond the border the edge is repeated.

    Args:
        image: (N, C, H, W) float.
        out_from_in: (2, 3) affine.
        size: (height, width) of the result.
        mode: 'bilinear', 'bicubic' or 'nearest'.

    Returns:
        (N, C, height, width), dtype and device of `image`.
    """
    import torch
    from torch.nn import functional

    height, width = size
    in_from_out = torch.from_numpy(invert(out_from_in)).to(image.device)
    y = torch.arange(height, dtype=torch.float64, device=image.device)[:, None]
    x = torch.arange(width, dtype=torch.float64, device=image.device)[None, :]
    a = in_from_out
    source_x = a[0, 0] * x + a[0, 1] * y + a[0, 2]
    source_y = a[1, 0] * x + a[1, 1] * y + a[1, 2]
    in_height, in_width = image.shape[-2:]
    grid = torch.stack(
        [(2 * source_x + 1) / in_width - 1, (2 * source_y + 1) / in_height - 1], dim=-1
    ).to(image.dtype)
    return functional.grid_sample(
        image,
        grid.expand(image.shape[0], -1, -1, -1),
        mode=mode,
        padding_mode="border",
        align_corners=False,
    )
