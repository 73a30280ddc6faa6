"""What a face looks like, in a few hundred numbers, to tell two people in one shot apart.

Histograms of gradients (after Dalal and Triggs, CVPR 2005) of the aligned face, and its colours:
cheap, blind to the level of light, and good for seconds, in which hair, clothes and light stay.
They do not know a person again in another shot.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.models.templates import landmark_template
from vidrestore.stages.restore import crop_aligned
from vidrestore.structs import Array, Frame

__all__ = ["appearance", "likeness"]

_PX = 64
_TEMPLATE = landmark_template("ffhq", _PX)
_CELLS, _DIRECTIONS = 6, 8
_COLOUR_SHARE = 0.4
"""Of the vector's length, for the colours."""
_UNLIKE, _ALIKE = 0.45, 0.75
"""Cosines: on clips with several people, two of them reach the first in one pair of twenty at most,
and one person stays above the second from look to look in nineteen of twenty."""

Vector = npt.NDArray[np.float32]


def appearance(frame: Frame, landmarks: Array) -> Vector:
    """(D,) of unit length.

    Args:
        frame: where the face is.
        landmarks: (5, 2) in display pixels.
    """
    rgb = crop_aligned(frame, landmarks, _TEMPLATE, _PX).permute(1, 2, 0).numpy()
    ycc = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)
    shape = _gradient_histograms(ycc[..., 0])
    shape -= shape.mean()
    # Mean chroma of a 4 x 4 grid: skin, hair and clothes.
    colours = cv2.resize(ycc[..., 1:], (4, 4), interpolation=cv2.INTER_AREA).ravel() - 0.5
    vector = np.concatenate([_unit(shape), _COLOUR_SHARE * np.tanh(8 * colours)])
    return _unit(np.asarray(vector, np.float32))


def _gradient_histograms(luma: npt.NDArray[np.float32]) -> Vector:
    """How strong edges of each direction are in each cell; square roots, so that few strong ones do
    not drown the rest.
    """
    across, down = cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1)
    strength = np.hypot(across, down)
    place = (np.arctan2(down, across) % np.pi) * (_DIRECTIONS / np.pi)
    cells = []
    for direction in range(_DIRECTIONS):
        apart = np.abs((place - direction + _DIRECTIONS / 2) % _DIRECTIONS - _DIRECTIONS / 2)
        share = strength * np.maximum(0.0, 1.0 - apart)
        cells.append(cv2.resize(share, (_CELLS, _CELLS), interpolation=cv2.INTER_AREA))
    return np.asarray(np.sqrt(np.stack(cells)).ravel(), np.float32)


def likeness(a: Vector, b: Vector) -> float:
    """0 (two people) to 1 (one person)."""
    return float(np.clip((float(a @ b) - _UNLIKE) / (_ALIKE - _UNLIKE), 0, 1))


def _unit(vector: Vector) -> Vector:
    return vector / max(float(np.linalg.norm(vector)), 1e-6)
