"""How a face moved between two frames, against motion that is known exactly."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from moving_face import FACE_BOX, LANDMARKS, moving_face, placed

from vidrestore.geometry import apply, compose, identity
from vidrestore.stages._interpolation import moved_box
from vidrestore.stages._motion import face_motion
from vidrestore.structs import Array, Frame

HERE = placed(160, 120, scale=0.9)
BOX = moved_box(FACE_BOX, HERE)


def pair(there: Array, **options: float) -> list[Frame]:
    return moving_face([HERE, there], 320, 240, **options)


def error_px(motion: Array | None, there: Array) -> float:
    """Largest distance of the landmarks from where they are."""
    assert motion is not None
    carried = apply(motion, apply(HERE, LANDMARKS))
    return float(np.linalg.norm(carried - apply(there, LANDMARKS), axis=1).max())


@pytest.mark.parametrize(
    "there",
    [
        placed(163.4, 118.2, scale=0.9),
        placed(172, 126, scale=0.9),
        placed(161, 121, scale=0.9, angle=0.1),
        placed(160, 120, scale=0.99),
    ],
    ids=["slow", "fast", "leaning", "nearer"],
)
def test_motion_is_found_to_a_fraction_of_a_pixel(there: Array) -> None:
    assert error_px(face_motion(*pair(there), BOX), there) < 0.3


def test_pixels_that_are_not_square_do_not_matter() -> None:
    there = placed(164, 122, scale=0.9, angle=0.05)
    before, after = pair(there, sar=1.4)
    box = moved_box(FACE_BOX, HERE)
    assert error_px(face_motion(before, after, box), there) < 0.4


def test_equal_pictures_have_exactly_no_motion() -> None:
    before, after = pair(HERE, noise=0.0)
    np.testing.assert_array_equal(face_motion(before, after, BOX), identity())


def test_there_and_back_is_nothing() -> None:
    there = placed(166, 117, scale=0.93, angle=0.04)
    before, after = pair(there)
    forth = face_motion(before, after, BOX)
    assert forth is not None
    back = face_motion(after, before, moved_box(BOX, forth))
    assert back is not None
    landmarks = apply(HERE, LANDMARKS)
    np.testing.assert_allclose(apply(compose(back, forth), landmarks), landmarks, atol=0.3)


def test_a_face_that_is_gone_is_not_followed() -> None:
    gone = np.full((2, 3), np.nan)
    before, after = moving_face([HERE, gone], 320, 240, cuts=[1])
    assert face_motion(before, after, BOX) is None


def test_a_face_outside_of_the_picture_is_not_followed() -> None:
    before, after = pair(HERE)
    assert face_motion(before, after, BOX + 400) is None
    assert face_motion(before, after, np.array([5.0, 5, 9, 9]) - 100) is None


def test_the_clock_of_the_video_does_not_matter() -> None:
    there = placed(163, 121, scale=0.9)
    slow = pair(there, fps=float(Fraction(24000, 1001)))
    np.testing.assert_array_equal(face_motion(*slow, BOX), face_motion(*pair(there), BOX))
