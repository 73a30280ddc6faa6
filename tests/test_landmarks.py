"""Distances and lean of faces, also when a picture moves, turns and grows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vidrestore.geometry import apply, compose_similarity
from vidrestore.landmarks import (
    eye_distance,
    eye_distances,
    eye_to_mouth_distance,
    roll_degrees,
    tensor_eye_distances,
)
from vidrestore.models.templates import landmark_template

FACE = landmark_template("ffhq", 256)


def test_by_hand() -> None:
    face = np.array([(1, 2), (4, 6), (0, 0), (-1, 9), (2, 11)], float)
    assert eye_distance(face) == 5
    assert eye_to_mouth_distance(face) == pytest.approx(np.hypot(2, 6))


@given(st.floats(-2, 2), st.floats(-3, 3), st.floats(-100, 100))
def test_distances_grow_with_the_picture_and_only_the_lean_turns(
    log_scale: float, angle: float, shift: float
) -> None:
    moved = apply(compose_similarity(log_scale, angle, (shift, -shift)), FACE)
    for measure in (eye_distance, eye_to_mouth_distance):
        assert measure(moved) == pytest.approx(np.exp(log_scale) * measure(FACE))
    lean = roll_degrees(np.stack([moved, FACE]))
    apart = np.radians(lean[0] - lean[1]) - angle
    assert np.exp(1j * apart) == pytest.approx(1, abs=1e-9)


@given(st.integers(0, 2**32 - 1))
def test_many_and_tensors_agree_with_one(seed: int) -> None:
    faces = np.random.default_rng(seed).uniform(0, 500, (2, 3, 5, 2))
    found = eye_distances(faces)
    assert found.shape == (2, 3)
    assert found[1, 2] == eye_distance(faces[1, 2])
    np.testing.assert_allclose(found, tensor_eye_distances(torch.from_numpy(faces)), rtol=1e-12)


def test_eyes_in_one_place_have_a_gradient() -> None:
    faces = torch.zeros(2, 5, 2, requires_grad=True)
    tensor_eye_distances(faces).sum().backward()
    assert faces.grad is not None and torch.isfinite(faces.grad).all()
