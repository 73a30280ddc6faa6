"""Soft steps from 0 to 1."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vidrestore.structs import Array

__all__ = ["smooth_step"]


def smooth_step(values: npt.ArrayLike, low: float, high: float) -> Array:
    """The cubic 3 t² - 2 t³, flat at both ends; t runs from 0 at `low` to 1 at `high`.

    Args:
        values: of any shape.
        low: where the result is 0, and beyond.
        high: where it is 1, and beyond; below `low` for a step downwards, never equal to it.

    Returns:
        Of the shape of `values`, in [0, 1].
    """
    t = np.clip((np.asarray(values, np.float64) - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))
