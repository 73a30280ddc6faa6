"""A teacher's answers take the place of made-up labels where it is sure, and only there."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from vidrestore.structs import Detections
from vidrestore.training.detector_data import Scene
from vidrestore.training.detector_data.teacher import teach


class Teacher:
    """Answers what it was given, whatever it is shown."""

    name = "scripted"

    def __init__(self, boxes: list[list[float]], scores: list[float]) -> None:
        self.answers = Detections(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.full((len(scores), 5, 2), 7, np.float32),
            np.array(scores, np.float32),
        )

    def __call__(self, images: Tensor, *, min_score: float | None = None) -> list[Detections]:
        return [self.answers] * len(images)


def scene(*boxes: list[float]) -> Scene:
    return Scene(
        picture=np.zeros((200, 200, 3), np.uint8),
        boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        landmarks=np.zeros((len(boxes), 5, 2), np.float32),
        wanted=np.ones(len(boxes), bool),
    )


def test_a_sure_answer_replaces_box_and_landmarks() -> None:
    result = teach(Teacher([[12, 10, 110, 112]], [0.9]), scene([10, 10, 110, 110]))
    assert result.boxes_xyxy.tolist() == [[12, 10, 110, 112]]
    assert (result.landmarks == 7).all()
    assert result.wanted.tolist() == [True]


def test_an_unsure_or_missing_answer_is_neither_learnt_nor_punished() -> None:
    for teacher in (Teacher([[12, 10, 110, 112]], [0.4]), Teacher([], [])):
        assert teach(teacher, scene([10, 10, 110, 110])).wanted.tolist() == [False]


def test_tiny_faces_keep_their_labels() -> None:
    result = teach(Teacher([], []), scene([10, 10, 30, 30]))
    assert result.wanted.tolist() == [True]
    assert (result.landmarks == 0).all()


def test_what_it_sees_elsewhere_is_added_after_the_known_faces() -> None:
    teacher = Teacher([[120, 120, 180, 180], [12, 10, 110, 112]], [0.95, 0.9])
    result = teach(teacher, scene([10, 10, 110, 110]))
    assert result.boxes_xyxy[0].tolist() == [12, 10, 110, 112]
    assert result.boxes_xyxy[1].tolist() == [120, 120, 180, 180]
    assert result.wanted.tolist() == [True, True]


def test_a_teacher_that_sees_more_pixels_answers_in_those_of_the_scene() -> None:
    """It is shown the scene at twice its size; a face that it then missed was not too small."""
    shown: list[tuple[int, ...]] = []

    class Watched(Teacher):
        def __call__(self, images: Tensor, *, min_score: float | None = None) -> list[Detections]:
            shown.append(tuple(images.shape))
            return super().__call__(images)

    teacher = Watched([[24.5, 20.5, 220.5, 224.5]], [0.9])
    result = teach(teacher, scene([10, 10, 110, 110], [150, 10, 172, 32]), zoom=2)
    assert shown == [(1, 3, 400, 400)]
    assert result.boxes_xyxy.tolist() == [[12, 10, 110, 112], [150, 10, 172, 32]]
    assert (result.landmarks[0] == 3.25).all()  # 7, whose pixel centre is 7.5 of twice as many
    assert result.wanted.tolist() == [True, False]
