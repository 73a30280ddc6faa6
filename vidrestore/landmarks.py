"""Measures of five landmarks: left eye, right eye, nose tip, left and right corner of the mouth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vidrestore.structs import Array

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "eye_distance",
    "eye_distances",
    "eye_to_mouth_distance",
    "roll_degrees",
    "tensor_eye_distances",
]


def eye_distance(landmarks: npt.NDArray[np.floating]) -> float:
    """Distance between the eyes of (5, 2) landmarks, in their pixels."""
    return float(eye_distances(landmarks))


def eye_distances(landmarks: npt.NDArray[np.floating]) -> npt.NDArray[Any]:
    """Distances between the eyes of (..., 5, 2) landmarks: (...), in their pixels and type."""
    apart = landmarks[..., 1, :] - landmarks[..., 0, :]
    return np.asarray(np.hypot(apart[..., 0], apart[..., 1]))


def tensor_eye_distances(landmarks: Tensor) -> Tensor:
    """`eye_distances` of a tensor; differentiable, also where the eyes coincide."""
    apart: Tensor = (landmarks[..., 1, :] - landmarks[..., 0, :]).norm(dim=-1)
    return apart


def eye_to_mouth_distance(landmarks: Array) -> float:
    """Distance from between the eyes to between the corners of the mouth, in pixels."""
    return float(np.hypot(*(landmarks[3:].mean(0) - landmarks[:2].mean(0))))


def roll_degrees(landmarks: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """(M,) how far the heads of (M, 5, 2) landmarks lean, clockwise in the picture.

    It is that of the line from between the eyes to between the corners of the mouth, since a
    profile's eyes nearly coincide.
    """
    down = landmarks[:, 3:].mean(1) - landmarks[:, :2].mean(1)
    return np.asarray(np.degrees(np.arctan2(-down[:, 0], down[:, 1])), np.float64)
