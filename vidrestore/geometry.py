"""Affine transforms between frames, faces and crops.

Convention: an affine is a (2, 3) float64 array `b_from_a` acting on columns (x, y, 1); pixel
centres lie at integers, the origin is the centre of the top-left pixel. Pure functions: arrays in,
new arrays out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vidrestore.structs import Array

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "apply",
    "averaging_box",
    "box_iou",
    "compose",
    "compose_similarity",
    "decompose_similarity",
    "display_from_coded",
    "ellipse_box",
    "identity",
    "invert",
    "rotation_about_middle",
    "sampling_axes",
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
    """Move points (..., 2) by a (2, 3) affine."""
    points = np.asarray(points, np.float64)
    moved: Array = points @ b_from_a[:, :2].T + b_from_a[:, 2]
    return moved


def ellipse_box(box_xyxy: npt.ArrayLike, b_from_a: Array) -> Array:
    """Upright box around the ellipse inscribed in a box, moved: how people box a tilted face.

    Args:
        box_xyxy: (4,) as x0, y0, x1, y1.
        b_from_a: (2, 3).
    """
    box = np.asarray(box_xyxy, np.float64)
    reach = np.sqrt(((b_from_a[:, :2] * (box[2:] - box[:2]) / 2) ** 2).sum(1))
    centre = apply(b_from_a, (box[:2] + box[2:]) / 2)
    return np.concatenate([centre - reach, centre + reach])


def rotation_about_middle(height: int, width: int, degrees: float) -> tuple[Array, tuple[int, int]]:
    """How a picture is rotated about its middle, onto a canvas that holds all of it.

    Args:
        height: of the picture, in pixels.
        width: likewise.
        degrees: counter-clockwise as seen.

    Returns:
        (2, 3) from the picture to the canvas, and the canvas's height and width.
    """
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    linear = np.array([[c, s], [-s, c]])
    across, down = np.ceil(np.abs(linear) @ [width, height] - 1e-9).astype(int)
    before, after = (np.array([w, h]) / 2 - 0.5 for w, h in ((width, height), (across, down)))
    return np.column_stack([linear, after - linear @ before]), (int(down), int(across))


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


def box_iou(a: npt.ArrayLike, b: npt.ArrayLike) -> npt.NDArray[Any]:
    """Intersection over union of every pair of boxes.

    Args:
        a: (N, 4) as x0, y0, x1, y1; (4,) counts as one box.
        b: (M, 4), likewise.

    Returns:
        (N, M) in [0, 1], computed in the boxes' own type: float32 for float32 boxes.
    """
    a, b = np.asarray(a).reshape(-1, 1, 4), np.asarray(b).reshape(1, -1, 4)
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    area_a = np.clip(a[..., 2:] - a[..., :2], 0, None).prod(-1)
    area_b = np.clip(b[..., 2:] - b[..., :2], 0, None).prod(-1)
    return np.asarray(shared / np.maximum(area_a + area_b - shared, 1e-9))


def warp_affine(
    image: Tensor, out_from_in: Array, size: tuple[int, int], *, mode: str = "bilinear"
) -> Tensor:
    """Resample `image` so that output pixel p shows input position `out_from_in⁻¹ p`.

    Where the picture shrinks by 1.5 or more, whole boxes of input pixels are averaged first, so
    that fine detail does not turn into false patterns.

    Convention: pixel centres at integers on both sides; beyond the border the edge is repeated.

    Args:
        image: (N, C, H, W) float32 or float64.
        out_from_in: (2, 3) affine.
        size: (height, width) of the result.
        mode: 'bilinear', 'bicubic' (a = -0.75, may overshoot) or 'nearest' (nothing is averaged).

    Returns:
        (N, C, height, width), dtype and device of `image`.
    """
    from torch.nn import functional

    from vidrestore.opencv_warp import suits_opencv, warp_by_opencv

    in_from_out = invert(out_from_in)
    if mode != "nearest":
        image, in_from_out = _averaged(image, in_from_out)
        if suits_opencv(image, size):
            return warp_by_opencv(image, in_from_out, size, mode)
    grid = _sampling_grid(image, in_from_out, size)
    return functional.grid_sample(
        image,
        grid.expand(image.shape[0], -1, -1, -1),
        mode=mode,
        padding_mode="border",
        align_corners=False,
    )


def _averaged(image: Tensor, in_from_out: Array) -> tuple[Tensor, Array]:
    """`image` in boxes of about one output pixel, and the affine that leads there.

    Boxes of whole pixels average all pixels alike; fractional ones would leave a beat pattern.
    """
    from torch.nn import functional

    across, down = box = averaging_box(in_from_out)
    if box == (1, 1):
        return image, in_from_out
    rest = (0, -image.shape[-1] % across, 0, -image.shape[-2] % down)
    if any(rest):
        image = functional.pad(image, rest, mode="replicate")
    share = 1 / np.array(box)
    small_from_in = np.column_stack([np.diag(share), (share - 1) / 2])
    return functional.avg_pool2d(image, (down, across)), compose(small_from_in, in_from_out)


def averaging_box(in_from_out: Array) -> tuple[int, int]:
    """Pixels across and down that are averaged to one before a picture is resampled."""
    box = np.maximum(1, np.rint(np.linalg.norm(in_from_out[:, :2], axis=1)))
    return int(box[0]), int(box[1])


def _sampling_grid(image: Tensor, in_from_out: Array, size: tuple[int, int]) -> Tensor:
    """(1, height, width, 2): where to sample; see `sampling_axes`."""
    import torch

    along_x, along_y = sampling_axes(image.shape[-2:], in_from_out, size)
    x = torch.from_numpy(along_x).to(image.device, image.dtype)
    y = torch.from_numpy(along_y).to(image.device, image.dtype)
    return (x[None, :] + y[:, None])[None]


def sampling_axes(
    in_size: Sequence[int], in_from_out: Array, size: tuple[int, int]
) -> tuple[Array, Array]:
    """Where output pixels lie in an image: the sum of a part that goes with their column and one
    that goes with their row.

    Products are taken in float64 along one axis each; only their sum is rounded.

    Args:
        in_size: height and width of the image.
        in_from_out: (2, 3) affine.
        size: height and width of the output.

    Returns:
        (width, 2) and (height, 2): x and y, in -1 to 1 between the image's outer edges.
    """
    height, width = size
    scale = 2 / np.array([in_size[1], in_size[0]], np.float64)
    unit_from_out = scale[:, None] * in_from_out
    unit_from_out[:, 2] += scale / 2 - 1
    along_x = np.arange(width)[:, None] * unit_from_out[:, 0]
    along_y = np.arange(height)[:, None] * unit_from_out[:, 1] + unit_from_out[:, 2]
    return along_x, along_y
