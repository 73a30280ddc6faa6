"""New people out of two that are known: one face drawn over another, part by part."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from vidrestore.training.detector_data.bank_parts import Entry
from vidrestore.training.detector_data.face_bank import BANK_PX, FaceBank

__all__ = ["find_similar_entry", "morph"]

Floats = NDArray[np.float32]

_GRID = 17
"""Nodes, along a side, of the grid on which the bending is computed."""
_CANDIDATES = 16
"""Others of which the most alike is taken."""


def find_similar_entry(rng: np.random.Generator, bank: FaceBank, index: int) -> int:
    """One of the bank whose landmarks lie about where those of `index` lie: a head turned alike."""
    others = rng.integers(len(bank.landmarks), size=_CANDIDATES)
    shapes = _shapes(bank.landmarks[others])
    apart = np.abs(shapes - _shapes(bank.landmarks[[index]])).sum((1, 2))
    return int(others[apart.argmin()])


def _shapes(landmarks: Floats) -> Floats:
    """(N, 5, 2) landmarks of (N, 5, 2), moved to a mean of 0 and scaled to a size of 1."""
    centred = landmarks - landmarks.mean(1, keepdims=True)
    size = np.sqrt((centred**2).sum((1, 2), keepdims=True))
    return np.asarray(centred / size, np.float32)


def morph(rng: np.random.Generator, first: Entry, second: Entry) -> Entry:
    """A face between two: both are bent to landmarks between theirs (thin-plate splines, Bookstein
    1989), and mixed by a share that is the same everywhere or differs softly from place to place.

    Args:
        rng: source of the shares.
        first: picture, matte, box and landmarks.
        second: of a head turned alike, see `find_similar_entry`.
    """
    share = rng.uniform(0.2, 0.8)
    points = _interpolate(first[3], second[3], share)
    box = _interpolate(first[2].reshape(2, 2), second[2].reshape(2, 2), share).reshape(4)
    mix = rng.normal(0, rng.choice([0.0, 2.0]), (4, 4)) + rng.uniform(-0.8, 0.8)
    weight = 1 / (1 + np.exp(-cv2.resize(mix, (BANK_PX, BANK_PX), interpolation=cv2.INTER_CUBIC)))
    one, two = (
        _bend(picture, matte, points, known) for picture, matte, _, known in (first, second)
    )
    return _mix(one[0], two[0], weight), _mix(one[1], two[1], weight), box, points


def _interpolate(first: Floats, second: Floats, share: float) -> Floats:
    return np.asarray(first + share * (second - first), np.float32)


def _bend(
    picture: NDArray[np.uint8], matte: NDArray[np.uint8], wanted: Floats, known: Floats
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Picture and matte with the landmarks `known` at `wanted`."""
    axis = (np.arange(_GRID) + 0.5) * (BANK_PX / _GRID) - 0.5
    y, x = np.meshgrid(axis, axis, indexing="ij")
    nodes = np.stack([x, y], -1).reshape(-1, 2)
    source = RBFInterpolator(wanted, known)(nodes).reshape(_GRID, _GRID, 2).astype(np.float32)
    field = cv2.resize(source - np.stack([x, y], -1).astype(np.float32), (BANK_PX, BANK_PX))
    rows, columns = np.mgrid[:BANK_PX, :BANK_PX].astype(np.float32)
    bent = [
        cv2.remap(
            np.ascontiguousarray(part), columns + field[..., 0], rows + field[..., 1],
            cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
        )
        for part in (picture, matte)
    ]  # fmt: skip
    return np.asarray(bent[0], np.uint8), np.asarray(bent[1], np.uint8)


def _mix(
    first: NDArray[np.uint8], second: NDArray[np.uint8], weight: NDArray[np.float64]
) -> NDArray[np.uint8]:
    share = np.asarray(weight, np.float32)
    return np.asarray(cv2.blendLinear(second, first, share, 1 - share), np.uint8)
