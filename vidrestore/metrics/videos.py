"""How steady a restored video is, from neighbouring frames.

Frames are (H, W, 3) float RGB in [0, 1]; flows are (H, W, 2) pixels: pixel (x, y) of `now` shows
what lay at (x, y) + flow in `before`. All functions are pure; what must be told apart from a change
of the scene is compared along the motion of a clip that is right (the truth, else the input).
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.luma import luma
from vidrestore.structs import Array

__all__ = [
    "Flow",
    "flicker",
    "follow",
    "identity_cosines",
    "motion",
    "steadiest_embedding",
    "temporal_difference",
    "visible",
    "warping_error",
]

Flow = npt.NDArray[np.float32]
Image = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def motion(now: Image, before: Image) -> Flow:
    """Dense optical flow from `now` to `before` (DIS, Kroeger et al. 2016), on luma."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grays = [(np.clip(luma(x), 0, 1) * 255 + 0.5).astype(np.uint8) for x in (now, before)]
    return np.asarray(flow.calc(*grays, None), np.float32)  # type: ignore[call-overload]


def follow(before: npt.NDArray[np.float32], flow: Flow) -> npt.NDArray[np.float32]:
    """`before` (H, W) or (H, W, C) moved to where `now` has it; bilinear, border repeated."""
    height, width = flow.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    moved = cv2.remap(
        before,
        x + flow[..., 0],
        y + flow[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(moved, np.float32)


def visible(flow: Flow, flow_back: Flow) -> Mask:
    """Pixels of `now` that `before` shows too, by the rules of Lai et al. 2018 (section 3).

    Hidden are those whose flow and the flow back disagree, ``|f + b|² > 0.01 (|f|² + |b|²) + 0.5``,
    those at edges of the motion, ``|∇u|² + |∇v|² > 0.01 |f|² + 0.002`` (both from Ruder et al.
    2016), and those that came from beyond the border.

    Args:
        flow: from `now` to `before`.
        flow_back: from `before` to `now`.
    """
    back = follow(flow_back, flow)
    power, power_back = (flow**2).sum(-1), (back**2).sum(-1)
    agree = ((flow + back) ** 2).sum(-1) <= 0.01 * (power + power_back) + 0.5
    slope = sum((part**2).sum(-1) for part in np.gradient(flow, axis=(0, 1)))
    height, width = flow.shape[:2]
    y, x = np.mgrid[:height, :width]
    source_x, source_y = x + flow[..., 0], y + flow[..., 1]
    inside = (source_x >= 0) & (source_x <= width - 1) & (source_y >= 0) & (source_y <= height - 1)
    mask: Mask = agree & (slope <= 0.01 * power + 0.002) & inside
    return mask


def warping_error(now: Image, before: Image, flow: Flow, mask: Mask) -> float:
    """Squared change along the motion, ``mean |now - follow(before)|²`` over the visible pixels.

    Lai et al. 2018, equation 10: squares are summed over the three channels. The truth has an error
    too (noise, light, what the flow missed): compare with its own. NaN where nothing is visible.
    """
    squares = ((now - follow(before, flow)) ** 2).sum(-1)
    return _mean(squares, mask)


def temporal_difference(now: Image, before: Image, truth: Image, truth_before: Image) -> float:
    """Change of the error from frame to frame, ``mean |(now - before) - (truth - truth_before)|``.

    On luma; 0 for a clip that differs from the truth by a constant picture only.
    """
    return float(np.abs(luma((now - truth) - (before - truth_before))).mean())


def flicker(
    now: Image, before: Image, truth: Image, truth_before: Image, flow: Flow, mask: Mask
) -> float:
    """Change of the error along the motion, ``mean |e - follow(e_before)|``, e = clip - truth.

    On luma, over the visible pixels; 0 where the error moves with the face, as a softer skin does.
    """
    error = luma(now - truth)
    error_before = luma(before - truth_before)
    return _mean(np.abs(error - follow(error_before, flow)), mask)


def steadiest_embedding(embeddings: npt.ArrayLike) -> Array:
    """The person of a clip: the median of (T, D) embeddings, to unit length; NaN rows are left out.

    Returns:
        (D,), NaN if there is no embedding.
    """
    rows = np.asarray(embeddings, np.float64)
    rows = rows[np.isfinite(rows).all(1)]
    if not len(rows):
        return np.full(np.shape(embeddings)[1], np.nan)
    median: Array = np.median(rows, axis=0)
    return median / np.linalg.norm(median)


def identity_cosines(embeddings: npt.ArrayLike, reference: npt.ArrayLike) -> Array:
    """Identity over time: cosines to the reference, whose mean and deviation are reported.

    Args:
        embeddings: (T, D), any length.
        reference: (T, D) of the truth's frames, or (D,) of one person.

    Returns:
        (T,), NaN where a side has no face.
    """
    a, b = np.asarray(embeddings, np.float64), np.asarray(reference, np.float64)
    norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    cosines: Array = (a * b).sum(-1) / norms
    return cosines


def _mean(values: npt.NDArray[np.float32], mask: Mask) -> float:
    return float(values[mask].mean()) if mask.any() else float("nan")
