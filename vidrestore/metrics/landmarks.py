"""Distances and unrest of five landmarks.

Landmarks are (T, 5, 2) pixels (x, y): left eye, right eye (as seen in the picture), nose tip, mouth
corners; NaN throughout where no face was found. Pure functions of arrays.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vidrestore.structs import Array

__all__ = ["landmark_distance", "landmark_jitter"]


def landmark_distance(found: npt.ArrayLike, truth: npt.ArrayLike) -> Array:
    """Mean distance of the landmarks (LMD).

    Args:
        found: (…, 5, 2) in the restored pictures.
        truth: (…, 5, 2) in the true ones.

    Returns:
        (…,) pixels; over `landmarks.eye_distances(truth)` they do not depend on the picture's size.
    """
    gaps = np.linalg.norm(np.asarray(found, np.float64) - np.asarray(truth, np.float64), axis=-1)
    mean: Array = gaps.mean(-1)
    return mean


def landmark_jitter(landmarks: npt.ArrayLike) -> Array:
    """How much the landmarks shake: the mean size of their second difference over time.

    A face that moves evenly has none; one that trembles by white noise of deviation s in x and y
    has about 3.07 s (the mean of a two-dimensional normal of variance 6 s²).

    Args:
        landmarks: (T, 5, 2), T ≥ 0.

    Returns:
        (max(T - 2, 0),) pixels; NaN where one of the three frames has no face.
    """
    points = np.asarray(landmarks, np.float64)
    second = points[2:] - 2 * points[1:-1] + points[:-2]
    mean: Array = np.linalg.norm(second, axis=-1).mean(-1)
    return mean
