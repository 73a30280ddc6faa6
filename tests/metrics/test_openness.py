"""Openness of eyes and mouth: drawn faces whose eyes and mouth open by known amounts."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidrestore.metrics.openness import (
    FACE_PX,
    opening_profiles,
    openness,
    openness_correlation,
)
from vidrestore.models.templates import landmark_template

POINTS = landmark_template("ffhq", FACE_PX)
EYES, MOUTH = POINTS[:2], POINTS[3:].mean(0)
FRAMES = 75
PARTS = ("eyes", "mouth")

Clip = list[np.ndarray]


def drawn(eyes: float, mouth: float, look: float = 0.0) -> np.ndarray:
    """A face, luma in [0, 1]; eyes and mouth open by 0 to 1, the pupils `look` pixels aside."""
    face = np.full((FACE_PX, FACE_PX), 0.55, np.float32)
    for eye in EYES:
        ball = face.copy()
        _ellipse(ball, eye, (13, 7), 0.6)
        _ellipse(ball, eye + np.array([look, 0]), (6, 6), 0.15)
        lid = round(float(eye[1]) - 7 + 14 * (1 - eyes))  # the upper lid comes down
        ball[lid - 1 : lid + 1, round(float(eye[0])) - 13 : round(float(eye[0])) + 14] = 0.25
        face[lid - 1 :] = np.where(ball != face, ball, face)[lid - 1 :]
    _ellipse(face, MOUTH, (28, 5 + 10 * mouth), 0.42)
    _ellipse(face, MOUTH, (24, 1 + 9 * mouth), 0.12)
    return cv2.GaussianBlur(face, (0, 0), 1.2)


def _ellipse(face: np.ndarray, middle: np.ndarray, radii: tuple[float, float], luma: float) -> None:
    at = [round(16 * float(v)) for v in middle]
    size = [round(16 * max(r, 0.1)) for r in radii]
    cv2.ellipse(face, at, size, 0, 0, 360, luma, -1, cv2.LINE_AA, 4)


def truth_over_time() -> dict[str, np.ndarray]:
    """Two blinks of four frames; a mouth that says six syllables a second."""
    eyes = np.ones(FRAMES)
    for blink in (20, 52):
        eyes[blink : blink + 4] = (0.4, 0.0, 0.1, 0.6)
    at = np.arange(0, FRAMES + 4, 4)
    mouth = np.interp(np.arange(FRAMES), at, np.random.default_rng(3).random(len(at)))
    return {"eyes": eyes, "mouth": mouth}


@pytest.fixture(scope="module")
def talking() -> Clip:
    """Eyes wander to the sides meanwhile."""
    look = 4 * np.sin(np.arange(FRAMES) / 9)
    return [drawn(*values) for values in zip(*truth_over_time().values(), look, strict=True)]


def profiles(clip: Clip, part: str) -> np.ndarray:
    return np.stack([opening_profiles(face)[part] for face in clip])


def kept(clip: Clip, truth: Clip) -> dict[str, float]:
    return {p: openness_correlation(profiles(clip, p), profiles(truth, p)) for p in PARTS}


def averaged(clip: Clip, frames: int) -> Clip:
    """Every frame the mean of those around it."""
    reach = frames // 2
    padded = [clip[0]] * reach + clip + [clip[-1]] * reach
    return [np.mean(padded[t : t + frames], axis=0) for t in range(len(clip))]


def noisy(clip: Clip, deviation: float, seed: int = 0) -> Clip:
    rng = np.random.default_rng(seed)
    return [face + rng.normal(0, deviation, face.shape) for face in clip]


@pytest.mark.parametrize("part", PARTS)
def test_openness_is_what_was_drawn(talking: Clip, part: str) -> None:
    seen = profiles(noisy(talking, 0.02), part)
    drawn_so = truth_over_time()[part]
    assert abs(np.corrcoef(openness(seen, seen), drawn_so)[0, 1]) > 0.9


def test_a_restored_look_is_no_loss(talking: Clip) -> None:
    """Sharper, softer, brighter, with more contrast and other noise: eyes and lips still move."""
    soft = [cv2.GaussianBlur(face, (0, 0), 2) for face in talking]
    sharp = [1.5 * face - 0.5 * cv2.GaussianBlur(face, (0, 0), 2) for face in talking]
    other = [0.1 + 1.15 * face for face in talking]
    for clip in (talking, soft, sharp, other, noisy(talking, 0.03)):
        assert min(kept(clip, talking).values()) > 0.99


def test_light_that_comes_and_goes_is_no_blink(talking: Clip) -> None:
    light = 1 + 0.3 * np.sin(np.arange(FRAMES) / 3)
    lit = [level * face for level, face in zip(light, talking, strict=True)]
    assert kept(lit, talking) == pytest.approx(dict.fromkeys(PARTS, 1.0))


def test_what_is_averaged_over_time_is_lost(talking: Clip) -> None:
    lost = [kept(averaged(talking, frames), talking) for frames in (3, 5, 7)]
    for part in PARTS:
        first, second, third = (one[part] for one in lost)
        assert first > second > third
        assert third < 0.95
    assert lost[0]["eyes"] < 0.97  # Blinks are short.
    assert lost[2]["eyes"] < 0.7


def test_a_blink_left_out_is_seen(talking: Clip) -> None:
    eyes, mouth = truth_over_time().values()
    wide_awake = [drawn(1.0, lips) for lips in mouth]
    staring = kept(noisy(wide_awake, 0.01), talking)
    assert abs(staring["eyes"]) < 0.5 and staring["mouth"] > 0.99
    silent = kept(noisy([drawn(lids, 0.0) for lids in eyes], 0.01), talking)
    assert abs(silent["mouth"]) < 0.5 and silent["eyes"] > 0.97


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 40))
def test_a_correlation_knows_no_gain(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    truth, shift = rng.normal(size=(count, 12)), rng.normal(size=12)
    assert openness_correlation(2.5 * truth + shift, truth) == pytest.approx(1)
    assert openness_correlation(-truth, truth) == pytest.approx(-1)
    assert abs(openness_correlation(rng.normal(size=(count, 12)), truth)) <= 1 + 1e-9


def test_nothing_is_said_of_faces_that_stand_still(talking: Clip) -> None:
    still = [talking[0]] * 10
    for clip, truth in ((still, still), (still, talking[:10]), (talking[:2], talking[:2])):
        assert all(math.isnan(value) for value in kept(clip, truth).values())
