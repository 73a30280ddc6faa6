"""Steadiness of videos: laws, known motion, and slow independent versions."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from skimage.color import rgb2gray
from skimage.registration import optical_flow_tvl1

from vidrestore.metrics import videos

SIZE = 96
seeds = st.integers(0, 2**32 - 1)
LUMA = np.array([0.299, 0.587, 0.114])


def texture(seed: int, size: int = SIZE) -> np.ndarray:
    coarse = np.random.default_rng(seed).random((size // 6, size // 6, 3), np.float32)
    return np.clip(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), 0, 1)


def moved(dx: int, dy: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two frames of a texture; the second shows it (dx, dy) further right and down."""
    large = texture(seed, SIZE + 48)
    before = large[20 : 20 + SIZE, 20 : 20 + SIZE]
    now = large[20 - dy : 20 - dy + SIZE, 20 - dx : 20 - dx + SIZE]
    return now.copy(), before.copy()


def still(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((*frames.shape[:2], 2), np.float32), np.ones(frames.shape[:2], bool)


def test_motion_is_known_motion() -> None:
    now, before = moved(3, -2)
    flow = videos.motion(now, before)
    inner = flow[16:-16, 16:-16]
    assert np.median(inner, axis=(0, 1)) == pytest.approx([-3, 2], abs=0.1)
    rows, columns = optical_flow_tvl1(rgb2gray(now), rgb2gray(before))
    theirs = np.stack([columns, rows], -1)[16:-16, 16:-16]
    assert np.median(np.abs(inner - theirs)) < 0.2


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_follow_is_linear_interpolation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = texture(seed)
    flow = rng.uniform(-4, 4, (SIZE, SIZE, 2)).astype(np.float32)
    y, x = np.mgrid[:SIZE, :SIZE]
    theirs = np.stack(
        [
            map_coordinates(channel, [y + flow[..., 1], x + flow[..., 0]], order=1, mode="nearest")
            for channel in picture.transpose(2, 0, 1)
        ],
        -1,
    )
    assert np.abs(videos.follow(picture, flow) - theirs).max() < 0.02  # cv2 keeps 1/32 pixel


def test_following_known_motion_leaves_no_warping_error() -> None:
    now, before = moved(5, 3)
    flow, back = videos.motion(now, before), videos.motion(before, now)
    seen = videos.visible(flow, back)
    assert seen[16:-16, 16:-16].mean() > 0.9
    assert not seen[:, :2].any()  # These columns came from beyond the border.
    followed = videos.warping_error(now, before, flow, seen)
    assert followed < 1e-3
    assert followed < 0.02 * videos.warping_error(now, before, *still(now))


def test_hidden_background_is_not_visible() -> None:
    """A square that moves over a texture uncovers a strip at its left."""
    back_texture, square = texture(1), texture(2)[:40, :40]
    before, now = back_texture.copy(), back_texture.copy()
    before[28:68, 20:60] = square
    now[28:68, 28:68] = square
    flow = np.zeros((SIZE, SIZE, 2), np.float32)
    flow[28:68, 28:68, 0] = -8
    flow_back = np.zeros_like(flow)
    flow_back[28:68, 20:60, 0] = 8
    seen = videos.visible(flow, flow_back)
    assert not seen[30:66, 20:27].any()
    assert seen[32:64, 32:64].all()
    assert seen[:24].all()
    assert videos.warping_error(now, before, flow, seen) == pytest.approx(0, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_warping_error_by_hand(seed: int) -> None:
    rng = np.random.default_rng(seed)
    now, before = texture(seed), texture(seed + 1)
    mask = rng.random((SIZE, SIZE)) < 0.5
    total = sum(
        float(((now[y, x].astype(float) - before[y, x]) ** 2).sum()) for y, x in np.argwhere(mask)
    )
    flow = np.zeros((SIZE, SIZE, 2), np.float32)
    assert videos.warping_error(now, before, flow, mask) == pytest.approx(total / mask.sum(), 1e-4)
    assert videos.warping_error(now, now, flow, mask) == 0
    assert math.isnan(videos.warping_error(now, before, flow, np.zeros_like(mask)))


@settings(max_examples=20, deadline=None)
@given(seeds, st.floats(-0.3, 0.3))
def test_errors_that_stay_do_not_flicker(seed: int, shift: float) -> None:
    truth, truth_before = moved(2, 1, seed % 1000)
    error = np.float32(0.2) * texture(seed) + np.float32(shift)
    now, before = truth + error, truth_before + error
    assert videos.temporal_difference(now, before, truth, truth_before) < 1e-6
    flow, mask = still(now)
    assert videos.flicker(now, before, truth, truth_before, flow, mask) < 1e-6


def test_errors_that_move_with_the_face_do_not_flicker_but_change() -> None:
    truth, truth_before = moved(4, 0)
    detail, detail_before = (
        0.2 * np.stack([x] * 3, -1) for x in (part[..., 1] for part in moved(4, 0, seed=7))
    )
    now, before = truth + detail, truth_before + detail_before
    flow = np.zeros((SIZE, SIZE, 2), np.float32)
    flow[..., 0] = -4
    inside = np.zeros((SIZE, SIZE), bool)
    inside[:, 8:] = True
    assert videos.flicker(now, before, truth, truth_before, flow, inside) < 1e-6
    assert videos.temporal_difference(now, before, truth, truth_before) > 0.01


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_temporal_difference_by_hand(seed: int) -> None:
    now, before, truth, truth_before = (texture(seed + i).astype(float) for i in range(4))
    change = ((now - before) - (truth - truth_before)) @ LUMA
    ours = videos.temporal_difference(*map(np.float32, (now, before, truth, truth_before)))
    assert ours == pytest.approx(np.abs(change).sum() / SIZE**2, rel=1e-4)


def test_more_noise_flickers_more() -> None:
    truth, truth_before = moved(1, 0)
    flow, back = videos.motion(truth, truth_before), videos.motion(truth_before, truth)
    seen = videos.visible(flow, back)
    rng = np.random.default_rng(0)
    noise, noise_before = rng.standard_normal((2, SIZE, SIZE, 3), np.float32)
    rows = []
    for amount in np.float32([0, 0.02, 0.05, 0.1]):
        now, before = truth + amount * noise, truth_before + amount * noise_before
        rows.append(
            (
                videos.warping_error(now, before, flow, seen),
                videos.flicker(now, before, truth, truth_before, flow, seen),
                videos.temporal_difference(now, before, truth, truth_before),
            )
        )
    assert (np.diff(rows, axis=0) > 0).all()
    assert rows[0][1:] == (0, 0)


@given(seeds)
def test_identity_over_time(seed: int) -> None:
    rng = np.random.default_rng(seed)
    embeddings, person = rng.standard_normal((6, 16)), rng.standard_normal(16)
    cosines = videos.identity_cosines(embeddings, person)
    by_hand = [
        sum(a * b for a, b in zip(row, person, strict=True))
        / math.dist(row, [0] * 16)
        / math.dist(person, [0] * 16)
        for row in embeddings
    ]
    assert cosines == pytest.approx(by_hand)
    assert videos.identity_cosines(3 * embeddings, embeddings) == pytest.approx(np.ones(6))


def test_the_person_of_a_clip_survives_a_bad_frame() -> None:
    person = np.eye(8)[0]
    rows = np.tile(person, (5, 1))
    rows[1], rows[3] = np.eye(8)[4], np.nan
    assert videos.steadiest_embedding(rows) == pytest.approx(person)
    assert np.isnan(videos.identity_cosines(rows, person)).tolist() == [0, 0, 0, 1, 0]
    assert np.isnan(videos.steadiest_embedding(rows[3:4])).all()
