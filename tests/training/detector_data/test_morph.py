"""Faces between two: their labels lie where both faces' parts went."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vidrestore.training.detector_data import BANK_PX, FaceBank, find_similar_entry, morph

BOX = np.array([70, 60, 186, 216], np.float32)
FRONTAL = np.array([[100, 120], [156, 120], [128, 155], [105, 185], [151, 185]], np.float32)
NARROW = np.array([[106, 116], [150, 124], [125, 160], [110, 176], [146, 178]], np.float32)
ASIDE = np.array([[130, 120], [160, 120], [175, 155], [138, 185], [162, 185]], np.float32)
MATTE = np.full((BANK_PX, BANK_PX), 255, np.uint8)


def spot(points: np.ndarray, index: int) -> np.ndarray:
    """A picture with one small white spot, at one of the landmarks."""
    picture = np.zeros((BANK_PX, BANK_PX, 3), np.uint8)
    x, y = points[index].astype(int).tolist()
    cv2.circle(picture, (x, y), 2, (255, 255, 255), -1, cv2.LINE_AA)
    return picture


@pytest.mark.parametrize("index", range(5))
def test_both_faces_have_their_parts_where_the_labels_are(index: int) -> None:
    rows, columns = np.mgrid[:BANK_PX, :BANK_PX]
    for seed in range(10):
        first = (spot(FRONTAL, index), MATTE, BOX, FRONTAL)
        second = (spot(NARROW, index), MATTE, BOX, NARROW)
        mixed, _, _, points = morph(np.random.default_rng(seed), first, second)
        light = mixed[..., 0] / mixed[..., 0].sum(dtype=np.float64)
        seen = (light * columns).sum(), (light * rows).sum()
        assert np.linalg.norm(points[index] - seen) < 0.6
        spread = np.hypot(columns - seen[0], rows - seen[1])[mixed[..., 0] > 0].max()
        assert spread < 6, "the two spots do not lie on each other"


def test_what_is_between_two_equal_faces_is_that_face() -> None:
    texture = np.random.default_rng(1).integers(0, 256, (BANK_PX, BANK_PX, 3)).astype(np.uint8)
    entry = (texture, MATTE, BOX, FRONTAL)
    mixed, matte, box, points = morph(np.random.default_rng(2), entry, entry)
    assert np.abs(mixed[2:-2, 2:-2].astype(int) - texture[2:-2, 2:-2]).max() <= 2
    assert (matte == 255).all()
    np.testing.assert_array_equal(box, BOX)
    np.testing.assert_array_equal(points, FRONTAL)


def test_partners_are_turned_alike() -> None:
    """Among many heads from the front and some from the side, each finds one of its own."""
    landmarks = np.stack([FRONTAL] * 8 + [ASIDE] * 8)
    landmarks = landmarks + np.random.default_rng(0).normal(0, 1, landmarks.shape)
    n = len(landmarks)
    bank = FaceBank(
        np.zeros((n, 1, 1, 3), np.uint8),
        np.zeros((n, 1, 1), np.uint8),
        np.tile(BOX, (n, 1)),
        landmarks.astype(np.float32),
    )
    rng = np.random.default_rng(3)
    kept = [
        (index < 8) == (find_similar_entry(rng, bank, index) < 8) for index in list(range(n)) * 4
    ]
    assert all(kept)
