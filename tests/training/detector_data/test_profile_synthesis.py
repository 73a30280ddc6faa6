"""Heads turned aside: landmarks go with the head, the nose hides what is behind it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from vidrestore.training.detector_data.profile_synthesis import rotate_head

BOX = np.array([70, 60, 186, 216], np.float32)
POINTS = np.array([[100, 120], [156, 120], [128, 155], [105, 185], [151, 185]], np.float32)
ALL = np.full((256, 256), 255, np.uint8)


def spotted(*landmarks: int) -> NDArray[np.uint8]:
    """A grey picture with a white spot at the landmarks of these numbers."""
    picture = np.full((256, 256, 3), 128, np.uint8)
    for x, y in POINTS[list(landmarks)]:
        cv2.circle(picture, (int(x), int(y)), 8, (255, 255, 255), -1)
    return picture


@pytest.mark.parametrize("yaw", [-0.7, -0.3, 0.4, 0.7])
def test_landmarks_turn_with_the_head(yaw: float) -> None:
    picture, _, box, points = rotate_head(spotted(0, 1, 2, 3, 4), ALL, BOX, POINTS, yaw)
    assert np.sign(points[:, 0] - POINTS[:, 0]).tolist() == [np.sign(yaw)] * 5
    near = [i for i in range(5) if (POINTS[i, 0] - 128) * yaw <= 0]
    for x, y in points[near]:
        assert picture[round(y), round(x)].min() > 200
    assert (box[0] <= points[:, 0]).all()
    assert (points[:, 0] <= box[2]).all()


@pytest.mark.parametrize("yaw", [-1.5, 1.5])
def test_a_profile_hides_the_far_eye_and_puts_the_nose_foremost(yaw: float) -> None:
    far_eye = 1 if yaw > 0 else 0
    picture, _, box, points = rotate_head(spotted(far_eye), ALL, BOX, POINTS, yaw)
    assert (picture > 200).all(-1).sum() < 20
    foremost = points[:, 0].argmax() if yaw > 0 else points[:, 0].argmin()
    assert foremost == 2
    assert abs(points[1, 0] - points[0, 0]) < 0.2 * (POINTS[1, 0] - POINTS[0, 0])
    assert box[2] - box[0] < 0.8 * (BOX[2] - BOX[0])


def test_turning_by_nothing_changes_nothing() -> None:
    face = spotted(0, 1, 2, 3, 4)
    picture, _, box, points = rotate_head(face, ALL, BOX, POINTS, 0.0)
    np.testing.assert_allclose(points, POINTS, atol=1e-3)
    np.testing.assert_allclose(box, BOX, atol=1e-3)
    inside = np.s_[65:210, 80:176]
    assert np.abs(picture[inside].astype(int) - face[inside]).mean() < 1.0
