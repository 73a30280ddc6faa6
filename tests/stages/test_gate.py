"""Which faces are left alone, and that nothing pops."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving_face import LANDMARKS, looked_at, moving_face, placed

from vidrestore.config import GateConfig
from vidrestore.geometry import identity
from vidrestore.stages.gate import blur_effect, gate, yaw_degrees
from vidrestore.structs import Array, Display, Face, Frame
from vidrestore.video.picture.samples import picture_from_rgb

PICTURE = picture_from_rgb(np.zeros((16, 16, 3), np.uint8))
FADE = 6


def frames_with(seen: Sequence[Sequence[Face]], cuts: Sequence[int] = ()) -> list[Frame]:
    display = Display(16, 16, identity())
    return [
        Frame(i, i, Fraction(1, 25), PICTURE, display, is_cut=i == 0 or i in cuts, faces=tuple(f))
        for i, f in enumerate(seen)
    ]


def face(landmarks: Array = LANDMARKS, *, track: int = 0, score: float = 0.9) -> Face:
    return Face(np.array([0.0, 0, 1, 1]), landmarks, score, track)


def strengths(
    frames: Sequence[Frame],
    track: int = 0,
    least_eyes_px: float = 8,
    max_faces: int = 64,
    **options: float,
) -> list[float | None]:
    """By frame; None where the track is not there."""
    config = GateConfig.model_validate({"fade_frames": FADE, **options})
    given_back = list(gate(frames, config, least_eyes_px, max_faces))
    assert [f.index for f in given_back] == [f.index for f in frames]
    return [
        next((one.strength for one in frame.faces if one.track_id == track), None)
        for frame in given_back
    ]


def turned(degrees: float) -> Array:
    """Five points of a head seen after a turn about its upright axis."""
    head = np.array([(-32, -30, 0), (32, -30, 0), (0, 5, 38.8), (-25, 38, 8), (25, 38, 8)])
    angle = np.radians(degrees)
    x = head[:, 0] * np.cos(angle) + head[:, 2] * np.sin(angle)
    return np.column_stack([x + 200, head[:, 1] + 200])


def test_only_the_largest_faces_are_restored_and_the_others_fade() -> None:
    def sized(track: int, px: float) -> Face:
        return Face(np.array([0.0, 0, px, px]), LANDMARKS, 0.9, track)

    seen = [[sized(0, 3), sized(1, 9)]] * 15 + [[sized(0, 3), sized(1, 9), sized(2, 5)]] * 15
    frames = frames_with(seen)
    given_back = list(gate(frames, GateConfig(fade_frames=FADE), 8, 2))
    assert strengths(frames, 1, max_faces=2) == [1.0] * 30
    small = strengths(frames, 0, max_faces=2)
    assert small[:5] == [1.0] * 5 and small[15:] == [0.0] * 15
    assert sorted(small, reverse=True) == small and len(set(small)) > 3
    assert all(sum(f.strength > 0 for f in frame.faces) <= 2 for frame in given_back)
    assert given_back[20].faces[0].gated_by == ("count",)


def test_a_face_that_stays_is_restored_in_full_from_the_first_frame_to_the_last() -> None:
    assert strengths(frames_with([[face()]] * 20)) == [1.0] * 20


def test_who_comes_and_goes_within_a_shot_fades_in_and_out() -> None:
    there = [[face()] if 10 <= i < 40 else [] for i in range(50)]
    shares = [share for share in strengths(frames_with(there)) if share is not None]
    assert shares[0] <= 0.2 and shares[-1] <= 0.2
    assert shares[FADE:-FADE] == [1.0] * (30 - 2 * FADE)
    assert np.all(np.diff(shares[: FADE + 1]) >= 0)
    assert np.abs(np.diff(shares)).max() <= 1.01 / (FADE / 2)


def test_cuts_need_no_fade() -> None:
    there = [[face()] if i < 12 else [face(track=1)] for i in range(24)]
    frames = frames_with(there, cuts=[12])
    assert strengths(frames)[:12] == [1.0] * 12
    assert strengths(frames, track=1)[12:] == [1.0] * 12


@pytest.mark.parametrize("degrees", [0, 15, -30, 45, -60, 80])
def test_yaw_is_read_off_the_landmarks(degrees: float) -> None:
    assert yaw_degrees(turned(degrees)) == pytest.approx(abs(degrees), abs=3)
    angle = np.radians(40)
    lean = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    assert yaw_degrees(3 * turned(degrees) @ lean.T) == pytest.approx(yaw_degrees(turned(degrees)))


def test_a_head_that_turns_away_fades_before_the_limit_and_says_why() -> None:
    path = [[face(turned(min(2.0 * i, 88)))] for i in range(60)]
    frames = frames_with(path)
    shares = np.array(strengths(frames, max_yaw=70), np.float64)
    assert shares[:20].min() == 1 and shares[40:].max() == 0
    assert np.abs(np.diff(shares)).max() < 0.3
    [*_, last] = gate(frames, GateConfig(max_yaw=70), 8, 64)
    assert last.faces[0].gated_by == ("yaw",)


def test_small_and_doubtful_faces_are_left_alone() -> None:
    small, doubtful = face(LANDMARKS * (7 / 43)), face(score=0.4)
    assert strengths(frames_with([[small]] * 9)) == [0.0] * 9
    assert strengths(frames_with([[doubtful]] * 9), min_score=0.5) == [0.0] * 9
    assert strengths(frames_with([[doubtful]] * 9)) == [1.0] * 9


def test_a_profile_is_not_taken_for_a_small_face() -> None:
    profile = turned(85) / 4
    assert np.hypot(*(profile[1] - profile[0])) < 2
    assert strengths(frames_with([[face(profile)]] * 9), max_yaw=120) == [1.0] * 9


def test_blur_is_measured_in_the_frame() -> None:
    moves = [placed(320, 240)] * 2
    sharp = looked_at(moving_face(moves, 640, 480, noise=0), moves, every=1)
    blurred = []
    for frame in sharp:
        rgb = np.dstack([cv2.GaussianBlur(frame.picture.planes[0].numpy(), (0, 0), 6)] * 3)
        blurred.append(replace(frame, picture=picture_from_rgb(rgb)))
    assert strengths(sharp, track=-1, max_blur=0.7) == [1.0, 1.0]
    assert strengths(blurred, track=-1, max_blur=0.7) == [0.0, 0.0]


@settings(max_examples=20, deadline=None)
@given(st.floats(0.5, 6), st.floats(1.2, 3))
def test_more_blur_is_more_blur(sigma: float, factor: float) -> None:
    noise = np.random.default_rng(0).normal(0.5, 0.2, (128, 128)).astype(np.float32)
    less, more = (cv2.GaussianBlur(noise, (0, 0), s) for s in (sigma, sigma * factor))
    assert 0 <= blur_effect(less) < blur_effect(more) <= 1


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.booleans(), min_size=1, max_size=40),
    st.integers(0, 12),
)
def test_strengths_are_shares_and_change_by_small_steps(there: list[bool], fade: int) -> None:
    frames = frames_with([[face()] if seen else [] for seen in there])
    shares = strengths(frames, fade_frames=fade)
    assert [share is not None for share in shares] == there
    steps = np.abs(np.diff([share or 0.0 for share in shares]))
    assert all(share is None or 0 <= share <= 1 for share in shares)
    runs = [len(list(run)) for seen, run in itertools.groupby(there) if seen]
    quickest = 1 / max(2, -(-min(runs, default=40) // 2))
    bound = max(1.01 / (2 * (fade // 2) + 1) * 2, quickest)
    assert fade < 2 or not len(steps) or steps.max() <= bound


def visit(length: int, begin: int = 20, count: int = 60, **options: float) -> list[float]:
    """Strengths of a face that is there for some frames of a shot."""
    there = [[face(**options)] if begin <= i < begin + length else [] for i in range(count)]  # type: ignore[arg-type]
    return [share for share in strengths(frames_with(there)) if share is not None]


@pytest.mark.parametrize("length", range(3, 30))
def test_a_visit_of_any_length_is_restored_in_full_in_its_middle_and_fades(length: int) -> None:
    shares = visit(length)
    assert len(shares) == length and shares == shares[::-1]
    assert shares[length // 2] == 1 and 0 < shares[0] <= 0.5
    steps = np.diff([0.0, *shares, 0.0])
    assert np.abs(steps).max() <= 1 / min(7, -(-length // 2)) + 1e-9


def test_a_visit_is_cut_off_by_a_cut_without_a_fade() -> None:
    assert visit(4, begin=0) == [1, 0.75, 0.5, 0.25]
    assert visit(4, begin=56) == [0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize("length", [1, 2])
def test_a_face_of_a_moment_is_no_visit(length: int) -> None:
    assert max(visit(length)) == 0


def test_who_comes_back_at_once_or_is_in_doubt_makes_no_visit() -> None:
    blinking = [[face()] if i % 8 < 4 else [] for i in range(64)]
    assert max(share or 0.0 for share in strengths(frames_with(blinking))[8:56]) == 0
    assert max(visit(5, score=0.64)) == 0 < max(visit(5, score=0.7)) < 1


def test_a_gate_that_closes_in_a_visit_closes() -> None:
    seen = [[face(score=0.9 if i < 22 else 0.3)] if 20 <= i < 26 else [] for i in range(50)]
    assert max(share or 0.0 for share in strengths(frames_with(seen), min_score=0.5)) == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(13, 40), min_size=1, max_size=3), st.integers(1, 9))
def test_longer_visits_fade_by_a_minimum_and_a_mean(runs: list[int], gap: int) -> None:
    open_share: list[float] = []
    for run in runs:
        open_share += [0.0] * gap + [1.0] * run
    open_share += [0.0] * gap
    least = [min(open_share[max(i - 3, 0) : i + 4]) for i in range(len(open_share))]
    expected = [float(np.mean(least[max(i - 3, 0) : i + 4])) for i in range(len(least))]
    found = strengths(frames_with([[face()] if share else [] for share in open_share]))
    assert found == [
        want if there else None for want, there in zip(expected, open_share, strict=True)
    ]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=61, max_size=61), st.integers(0, 60))
def test_frames_beyond_twice_the_fade_do_not_matter(there: list[bool], other: int) -> None:
    there[30] = True
    changed = [seen ^ (i == other) for i, seen in enumerate(there)]
    if abs(other - 30) > 2 * FADE:
        before, after = (
            strengths(frames_with([[face()] if seen else [] for seen in one]))[30]
            for one in (there, changed)
        )
        assert before == after
