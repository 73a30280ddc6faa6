"""The grid that tracked faces lie on, so that a file holds them exactly, in few digits.

Places are multiples of 1/64 px, far below what detectors and optical flow can tell. A motion is
four integers: how far its matrix is from the identity (turn and scale), in steps of 1/16384, and
how far it moves the nose tip of the frame before, in steps of 1/64 px. All products of these fit
into a float64 without rounding, so integers and matrices are the same thing said twice.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from vidrestore.structs import Array, Face

__all__ = [
    "NOSE",
    "SCORES",
    "TURNS",
    "UNITS_PER_PX",
    "MotionUnits",
    "motion_from_units",
    "motion_to_units",
    "round_face",
]

UNITS_PER_PX = 64
TURNS = 16_384
"""Steps of a matrix entry from 0 to 1."""
NOSE = 2
"""Place of the nose tip among the landmarks."""
SCORES = 1000
"""Steps of a score from 0 to 1."""


class MotionUnits(NamedTuple):
    """A similarity in integers: z becomes (1 + turn) * (z - nose) + nose + shift."""

    turn_x: int
    """Of the matrix [[x, -y], [y, x]], x - 1 in steps of 1 / `TURNS`."""
    turn_y: int
    shift_x: int
    """Of the nose tip, in steps of 1 / `UNITS_PER_PX` px."""
    shift_y: int


def motion_to_units(motion: Array, nose: Array) -> MotionUnits:
    """Round a motion to the grid.

    Args:
        motion: (2, 3) similarity from the frame before, in display pixels.
        nose: (2,) the nose tip in the frame before, on the grid.
    """
    shift = motion[:, :2] @ nose + motion[:, 2] - nose
    steps = [(motion[0, 0] - 1) * TURNS, motion[1, 0] * TURNS, *(shift * UNITS_PER_PX)]
    return MotionUnits(*(int(step) for step in np.rint(steps)))


def motion_from_units(units: MotionUnits, nose: Array) -> Array:
    """Give the (2, 3) similarity that `motion_to_units` rounded, exactly."""
    x, y = 1 + units.turn_x / TURNS, units.turn_y / TURNS
    nose_x, nose_y = nose
    move_x = nose_x + units.shift_x / UNITS_PER_PX - (x * nose_x - y * nose_y)
    move_y = nose_y + units.shift_y / UNITS_PER_PX - (y * nose_x + x * nose_y)
    return np.array([[x, -y, move_x], [y, x, move_y]])


def round_face(face: Face, before: Face | None) -> Face:
    """Move a tracked face to the grid.

    Args:
        face: the face, in display pixels.
        before: the same person in the frame before, on the grid. Without it, the motion is dropped:
            it would lead from nowhere.
    """
    motion = None
    if face.motion is not None and before is not None:
        nose = before.landmarks[NOSE]
        motion = motion_from_units(motion_to_units(face.motion, nose), nose)
    return replace(
        face,
        box_xyxy=_rounded(face.box_xyxy),
        landmarks=_rounded(face.landmarks),
        score=round(float(face.score) * SCORES) / SCORES,
        motion=motion,
    )


def _rounded(places_px: Array) -> Array:
    steps: Array = np.rint(np.asarray(places_px, np.float64) * UNITS_PER_PX)
    return steps / UNITS_PER_PX + 0.0  # No negative zero.
