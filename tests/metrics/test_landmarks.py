"""Distances and unrest of landmarks: laws, and a few lines of arithmetic beside them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidrestore.landmarks import eye_distance
from vidrestore.metrics.landmarks import landmark_distance, landmark_jitter

seeds = st.integers(0, 2**32 - 1)


def drawn(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 500, (count, 5, 2))


@given(seeds)
def test_distance_is_a_distance(seed: int) -> None:
    a, b, c = drawn(seed, 3)
    assert landmark_distance(a, a) == 0
    assert landmark_distance(a, b) == landmark_distance(b, a) > 0
    assert landmark_distance(a, c) <= landmark_distance(a, b) + landmark_distance(b, c) + 1e-9


@given(seeds, st.floats(0.1, 10), st.floats(-300, 300))
def test_in_eye_distances_size_and_place_do_not_matter(
    seed: int, scale: float, shift: float
) -> None:
    a, b = drawn(seed, 2)
    moved_a, moved_b = scale * a + shift, scale * b + shift
    before = landmark_distance(a, b) / eye_distance(b)
    assert landmark_distance(moved_a, moved_b) / eye_distance(moved_b) == pytest.approx(before)


def test_distance_by_hand() -> None:
    truth = np.zeros((5, 2))
    found = np.array([(3, 4), (0, 0), (0, 0), (0, 0), (6, 8)], float)
    assert landmark_distance(found, truth) == pytest.approx((5 + 10) / 5)


@given(seeds)
def test_even_motion_has_no_jitter(seed: int) -> None:
    start, step = drawn(seed, 2)
    path = start + np.arange(9)[:, None, None] * step
    assert landmark_jitter(path) == pytest.approx(np.zeros(7), abs=1e-9)


@given(seeds, st.floats(-100, 100), st.floats(0.1, 5))
def test_jitter_ignores_place_and_scales(seed: int, shift: float, scale: float) -> None:
    path = drawn(seed, 6)
    assert landmark_jitter(scale * path + shift) == pytest.approx(scale * landmark_jitter(path))


def test_jitter_of_white_noise() -> None:
    noise = np.random.default_rng(0).normal(0, 0.5, (4000, 5, 2))
    expected = 0.5 * np.sqrt(6) * np.sqrt(np.pi / 2)
    assert landmark_jitter(noise).mean() == pytest.approx(expected, rel=0.02)
    by_convolution = np.apply_along_axis(np.convolve, 0, noise[:50], [1, -2, 1], "valid")
    assert landmark_jitter(noise[:50]) == pytest.approx(np.hypot(*by_convolution.T).T.mean(1))


def test_missing_faces_leave_gaps() -> None:
    path = drawn(0, 6)
    path[1] = np.nan
    assert np.isnan(landmark_jitter(path)).tolist() == [True, True, False, False]
    assert landmark_jitter(path[:2]).shape == (0,)
