"""Heads that lean are found in turned copies, where they are, and no head twice."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from vidrestore.demo.clip import portrait
from vidrestore.geometry import apply, rotation_about_middle
from vidrestore.landmarks import roll_degrees
from vidrestore.models.detectors.rotated import (
    ROTATIONS_DEGREES,
    RotatedDetector,
    detect_rotated,
)
from vidrestore.models.detectors.suppression import (
    GREATEST_ROLL_DEGREES,
    distinct_heads,
    merge_detections,
)
from vidrestore.models.load import load_detector
from vidrestore.structs import Detections


def tensor(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1).float() / 255


@pytest.mark.parametrize("degrees", [-60, -45, -35, 35, 45, 60])
def test_a_leaning_head_is_found_where_it_is(degrees: float) -> None:
    find = load_detector("embedded", device="cpu")
    picture = portrait()
    [upright] = find(tensor(picture)[None])
    matrix, size = rotation_about_middle(*picture.shape[:2], degrees)
    leaning = tensor(cv2.warpAffine(picture, matrix, size[::-1]))
    [found] = RotatedDetector(find)(leaning[None])
    expected = apply(matrix, upright.landmarks[0])
    eyes = np.linalg.norm(expected[1] - expected[0])
    apart = np.linalg.norm(found.landmarks - expected, axis=2).mean(1)
    assert apart[0] < 0.08 * eyes and (apart < eyes).sum() == 1
    assert roll_degrees(found.landmarks)[0] == pytest.approx(
        roll_degrees(upright.landmarks)[0] - degrees, abs=4
    )


def test_upright_heads_are_left_to_the_upright_look_and_lying_ones_not_answered() -> None:
    find = load_detector("embedded", device="cpu")
    picture = portrait()
    for degrees in ROTATIONS_DEGREES:
        assert not len(detect_rotated(find, tensor(picture), degrees))
    for lying in (np.rot90(picture), np.rot90(picture, -1)):
        [found] = RotatedDetector(find)(tensor(lying)[None])
        assert not len(found)


def answers(boxes: list[tuple[int, int, int, int]], scores: list[float]) -> Detections:
    corners = np.array([(x, y, x + w, y + h) for x, y, w, h in boxes], np.float32).reshape(-1, 4)
    middles = (corners[:, None, :2] + corners[:, None, 2:]) / 2
    return Detections(corners, np.repeat(middles, 5, axis=1), np.array(scores, np.float32))


def leaning(degrees: float, score: float) -> Detections:
    """One head in the middle of a picture, turned clockwise."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    upright = np.array([[-10, -10], [10, -10], [0, 0], [-8, 10], [8, 10]])
    box = answers([(30, 30, 40, 40)], [score])
    return replace(box, landmarks=(upright @ turn.T + 50)[None].astype(np.float32))


@given(st.floats(-179, 179))
def test_a_head_is_answered_unless_it_lies(degrees: float) -> None:
    if abs(abs(degrees) - GREATEST_ROLL_DEGREES) > 0.01:
        found = merge_detections([leaning(degrees, 0.9)])
        assert len(found) == (abs(degrees) < GREATEST_ROLL_DEGREES)


def test_an_upside_down_answer_gives_way_to_a_surer_one_that_has_it_lying() -> None:
    assert not len(merge_detections([leaning(-55, 0.84), leaning(125, 0.89)]))
    [kept] = merge_detections([leaning(-55, 0.89), leaning(125, 0.84)]).scores
    assert kept == pytest.approx(0.89)


@st.composite
def looks(draw: st.DrawFn) -> list[Detections]:
    side = st.integers(0, 60)
    some = st.lists(st.tuples(side, side, st.integers(5, 60), st.integers(5, 60)), max_size=5)
    found = []
    for boxes in draw(st.lists(some, min_size=1, max_size=3)):
        scores = draw(st.lists(st.floats(0, 1, width=32), min_size=len(boxes), max_size=len(boxes)))
        found.append(answers(boxes, sorted(scores, reverse=True)))
    return found


@given(looks())
def test_the_surest_answer_always_stays_best_first(found: list[Detections]) -> None:
    joined = merge_detections(found)
    every = np.concatenate([one.scores for one in found])
    assert (np.diff(joined.scores) <= 0).all()
    assert len(joined) <= len(every)
    if len(every):
        assert joined.scores[0] == every.max()
    assert len(joined) >= max(len(one) > 0 for one in found)


def test_one_face_seen_in_two_looks_is_one() -> None:
    upright = answers([(0, 0, 40, 40), (100, 0, 40, 40)], [0.9, 0.7])
    turned = answers([(102, 1, 40, 40), (200, 0, 40, 40)], [0.8, 0.75])
    joined = merge_detections([upright, turned])
    assert joined.boxes_xyxy[:, 0].tolist() == [0, 102, 200]


def test_a_wide_box_turned_back_around_a_face_is_that_face() -> None:
    """An upright box around a turned-back one holds twice the area; its IoU says little."""
    upright, turned = answers([(160, 75, 70, 106)], [0.9]), answers([(128, 46, 160, 160)], [0.7])
    assert len(merge_detections([upright, turned])) == 1


@given(st.floats(20, 200), st.floats(0, 2 * np.pi), st.floats(0.65, 2), st.floats(0.6, 1))
def test_two_people_close_together_stay(
    size: float, direction: float, apart: float, smaller: float
) -> None:
    x, y = apart * size * np.cos(direction), apart * size * np.sin(direction)
    first = np.array([-size / 2, -size / 2, size / 2, size / 2])
    boxes = np.stack([first, smaller * first + [x, y, x, y]]).astype(np.float32)
    points = np.repeat((boxes[:, None, :2] + boxes[:, None, 2:]) / 2, 5, axis=1)
    both = Detections(boxes, points, np.array([0.9, 0.8], np.float32))
    assert len(distinct_heads(both)) == 2


@given(st.floats(-0.3, 0.3), st.floats(0.5, 1.5), st.booleans())
def test_answers_whose_landmarks_meet_are_one_head(
    apart: float, smaller: float, surer: bool
) -> None:
    first = np.array([0.0, 0, 100, 100])
    boxes = np.stack([first, smaller * first + 40]).astype(np.float32)
    points = np.zeros((2, 5, 2), np.float32) + 60
    points[1, :, 0] += 100 * apart * min(1, smaller)
    scores = np.array([0.9, 0.95 if surer else 0.7], np.float32)
    assert distinct_heads(Detections(boxes, points, scores)).tolist() == [int(surer)]
