"""Crops of a training lie as the program's crops do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidrestore.demo.clip import portrait
from vidrestore.geometry import apply, compose_similarity
from vidrestore.models.templates import landmark_template
from vidrestore.training.alignment import Alignment

FFHQ = landmark_template("ffhq", 128)


@given(st.floats(-0.3, 0.3), st.floats(-0.5, 0.5), st.floats(-20, 20))
@settings(max_examples=20, deadline=None)
def test_landmarks_of_a_crop_are_the_templates(scale: float, angle: float, shift: float) -> None:
    landmarks = apply(compose_similarity(scale, angle, (shift + 40, shift + 60)), FFHQ)
    alignment = Alignment(64)
    found = alignment.crop(np.zeros((256, 256, 3), np.uint8), landmarks)
    if found is not None:
        np.testing.assert_allclose(found[1], alignment.landmarks, atol=1e-6)
        assert found[0].shape == (64, 64, 3)


def test_an_aligned_picture_stays_as_it_is() -> None:
    face = cv2.resize(portrait()[40:240, 120:320], (128, 128), interpolation=cv2.INTER_AREA)
    assert Alignment(128).keeps(None) and not Alignment(128).keeps(FFHQ)
    assert not Alignment(128, template="gpen").keeps(None)
    for landmarks in (None, FFHQ):
        found = Alignment(128).crop(face, landmarks)
        assert found is not None
        assert np.abs(found[0].astype(int) - face).max() <= 1


def test_beyond_the_border_a_picture_is_mirrored() -> None:
    picture = np.full((128, 128, 3), 200, np.uint8)
    found = Alignment(128).crop(picture, FFHQ * 0.9 + [-10, 5])
    assert found is not None and found[0].min() >= 199


def test_what_is_mostly_outside_is_left_out() -> None:
    beyond = FFHQ + np.array([120, 0])
    assert Alignment(128).crop(np.zeros((128, 128, 3), np.uint8), beyond) is None


def test_pictures_without_landmarks_are_moved_from_the_alignment_they_have() -> None:
    found = Alignment(128, template="gpen").crop(np.zeros((128, 128, 3), np.uint8), None)
    assert found is not None
    assert found[1] == pytest.approx(landmark_template("gpen", 128), abs=3)
