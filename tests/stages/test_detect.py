"""Where and how often faces are looked for, and in which pixels they come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from moving_face import FACE_BOX, LANDMARKS, landmarks, moving_face, placed, shake, still, visit
from torch import Tensor

from vidrestore.config import DetectConfig, RestoreConfig
from vidrestore.geometry import apply, compose
from vidrestore.landmarks import roll_degrees
from vidrestore.models.templates import landmark_template
from vidrestore.pipeline import tracked_frames
from vidrestore.stages.detect import detect
from vidrestore.structs import Detections, Display, Frame
from vidrestore.video.picture.samples import picture_from_rgb

QUARTER_TURN = np.array([[0.0, -1.0], [1.0, 0.0]])


class Finds:
    """A detector that finds what it is told to, in shares of the picture's size."""

    def __init__(self, *faces: tuple[float, float, float, float]) -> None:
        """Each face is (x, y, eye distance, score); all but the score are shares of the size."""
        self.faces = faces
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, images: Tensor, **limits: float | None) -> list[Detections]:
        self.shapes.append(tuple(images.shape))
        assert images.min() >= 0 and images.max() <= 1
        height, width = images.shape[2:]
        points, boxes, scores = [], [], []
        for x, y, eyes, score in self.faces:
            five = (LANDMARKS - LANDMARKS.mean(0)) / 42.8 * eyes * width + [x * width, y * height]
            points.append(five)
            boxes.append([*(five.min(0) - eyes * width), *(five.max(0) + eyes * width)])
            scores.append(score)
        return [
            Detections(
                np.array(boxes, np.float32).reshape(-1, 4),
                np.array(points, np.float32).reshape(-1, 5, 2),
                np.array(scores, np.float32),
            )
        ] * len(images)


def plain(**options: object) -> DetectConfig:
    return DetectConfig(refine_passes=0, rotated=False).model_copy(update=options)


def frames(count: int, cuts: tuple[int, ...] = ()) -> list[Frame]:
    return moving_face(still(count), 320, 240, cuts=cuts)


def test_looks_at_every_kth_frame_from_each_cut_on() -> None:
    detector = Finds((0.5, 0.5, 0.1, 0.9))
    given = frames(12, cuts=(4,))
    seen = list(detect(given, detector, plain(every_frames=3)))
    assert [frame.index for frame in seen if frame.detected] == [0, 3, 4, 7, 10]
    assert all(bool(frame.faces) == frame.detected for frame in seen)
    assert [frame.index for frame in seen] == list(range(12))
    assert all(a.picture is b.picture for a, b in zip(given, seen, strict=True))


def test_the_detector_sees_one_upright_picture_at_a_time() -> None:
    detector = Finds()
    wide = moving_face(still(3), 640, 320)
    turned = moving_face(still(3), 640, 320, matrix=QUARTER_TURN)
    list(detect([*wide, *turned], detector, plain(every_frames=1, size_px=160)))
    assert detector.shapes == [(1, 3, 80, 160)] * 3 + [(1, 3, 160, 80)] * 3


def test_turned_copies_are_seen_at_first_once_in_five_looks_and_while_a_head_leans() -> None:
    """A copy of 320x240 turned by 45 degrees is 396 px wide; what is upright there leans here."""

    class Leaning(Finds):
        turned_looks = 0

        def __call__(self, images: Tensor, **limits: float | None) -> list[Detections]:
            found = super().__call__(images)
            if images.shape[3] == 320:
                return Finds()(images)
            self.turned_looks += 1
            return found if self.turned_looks == 1 else Finds()(images)

    empty, leaning = Finds(), Leaning((0.5, 0.5, 0.1, 0.9))
    given = frames(14, cuts=(0, 12))
    list(detect(given, empty, plain(every_frames=1, rotated=True)))
    # Upright, two leaning copies, and, as nobody is found, three for lying heads now and then.
    kinds = ["lean" if shape[3] == 396 else "" for shape in empty.shapes]
    assert kinds.count("lean") == 2 * 4, "of looks 0, 5 and 10 of a shot, and 0 of the next"
    sideways = [shape for shape in empty.shapes if shape[3] == 240]
    assert len(sideways) == 2 * 3, "of looks 0 and 5 of a shot, and 0 of the next"
    assert len(empty.shapes) == 14 + 2 * 4 + 3 * 3
    seen = list(detect(frames(3), leaning, plain(every_frames=1, rotated=True)))
    assert [len(frame.faces) for frame in seen] == [1, 0, 0]
    assert leaning.turned_looks == 3, "both sides, then the side where a head leant, then none"
    tilt = seen[0].faces[0].landmarks
    assert np.degrees(np.arctan2(*(tilt[1] - tilt[0])[::-1])) == pytest.approx(45, abs=2)


def test_faces_come_in_display_pixels() -> None:
    detector = Finds((0.25, 0.75, 0.1, 0.9))
    [frame] = detect(moving_face(still(1), 640, 480), detector, plain(size_px=320))
    face = frame.faces[0]
    middle = face.landmarks.mean(0)
    # A point at (x, y) of the small copy is at (x + 0.5) * 2 - 0.5 of the display.
    np.testing.assert_allclose(middle, [160.5, 360.5], atol=0.01)
    np.testing.assert_allclose(np.hypot(*np.ptp(face.landmarks[:2], axis=0)), 64, atol=0.1)
    assert face.box_xyxy[0] < middle[0] < face.box_xyxy[2]
    assert face.detected and face.track_id == -1 and face.score == pytest.approx(0.9)


def test_leaves_out_small_and_doubtful_faces() -> None:
    good, small, doubtful = (0.3, 0.5, 0.1, 0.9), (0.7, 0.5, 0.01, 0.9), (0.7, 0.2, 0.1, 0.3)
    detector = Finds(good, small, doubtful)
    [frame] = detect(frames(1), detector, plain(min_score=0.5, min_face_px=6))
    assert len(frame.faces) == 1 and frame.faces[0].score == pytest.approx(0.9)
    [frame] = detect(frames(1), detector, plain())
    assert len(frame.faces) == 2, "without min_score the detector's own bound holds"


def test_largest_keeps_one_face() -> None:
    detector = Finds((0.3, 0.5, 0.05, 0.99), (0.7, 0.5, 0.1, 0.8))
    [frame] = detect(frames(1), detector, plain(faces="largest"))
    assert [face.score for face in frame.faces] == [pytest.approx(0.8)]
    [frame] = detect(frames(1), Finds(), plain(faces="largest"))
    assert frame.faces == ()


def test_a_closer_look_that_finds_nothing_near_changes_nothing() -> None:
    class Blinded(Finds):
        def __call__(self, images: Tensor, **limits: float | None) -> list[Detections]:
            found = super().__call__(images)
            return found if len(self.shapes) == 1 else Finds((0.1, 0.1, 0.2, 0.9))(images)

    coarse, fine = (
        next(detect(frames(1), detector, DetectConfig(refine_passes=passes, rotated=False)))
        for detector, passes in (
            (Finds((0.5, 0.5, 0.1, 0.9)), 0),
            (Blinded((0.5, 0.5, 0.1, 0.9)), 2),
        )
    )
    np.testing.assert_array_equal(coarse.faces[0].landmarks, fine.faces[0].landmarks)


class Leans:
    """Finds the face in any view of it, but at first too far to the upper left.

    It knows the truth of the whole picture; in a closer look it trusts the view to be aligned.
    """

    def __init__(self, truth: np.ndarray, display: Display) -> None:
        self.truth, self.display = truth, display
        self.views: list[Tensor] = []

    def __call__(self, images: Tensor, **limits: float | None) -> list[Detections]:
        self.views.append(images)
        if len(self.views) == 1:
            places = [(self.truth - 6) * images.shape[3] / self.display.width]
        else:
            places = [_ring_in(image) for image in images]
        return [
            Detections(
                np.array([[*points.min(0), *points.max(0)]], np.float32),
                points[None].astype(np.float32),
                np.ones(1, np.float32),
            )
            for points in places
        ]


def _ring_in(image: Tensor) -> np.ndarray:
    """Five points at the middle of what is brightest, which is the marker of the test."""
    weight = (image.mean(0) - 0.8).clamp(0)
    y, x = torch.meshgrid(*(torch.arange(n) for n in weight.shape), indexing="ij")
    middle = [float((weight * axis).sum() / weight.sum()) for axis in (x, y)]
    five = (LANDMARKS - LANDMARKS.mean(0)) * 1.28
    return np.asarray(five + middle)


@pytest.mark.parametrize("size_px", [128, 640])
def test_closer_looks_are_taken_where_the_face_is(size_px: int) -> None:
    """Their answers come back to display pixels through every view, from small copy or frame."""
    centre = np.array([300.0, 220.0])
    y, x = np.mgrid[:480, :640]
    spot = 255 * np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * 12**2))
    [frame] = moving_face(still(1))
    frame = replace(frame, picture=picture_from_rgb(np.repeat(spot[..., None], 3, 2).astype("u1")))
    truth = (LANDMARKS - LANDMARKS.mean(0)) * 1.3 + centre
    detector = Leans(truth, frame.display)
    [seen] = detect(
        [frame], detector, DetectConfig(size_px=size_px, refine_passes=2, rotated=False)
    )
    shapes = [tuple(views.shape) for views in detector.views[1:]]
    assert shapes == [(1, 3, 256, 256), (2, 3, 256, 256)], "the views of a pass in one call"
    assert np.abs(seen.faces[0].landmarks.mean(0) - centre).max() < 0.5


@pytest.mark.parametrize("matrix", [None, QUARTER_TURN])
def test_real_faces_are_found_where_they_are(detector: object, matrix: np.ndarray | None) -> None:
    moves = [placed(x, 200, scale=1.5) for x in (180, 260)]
    seen = detect(
        moving_face(moves, 480, 480, matrix=matrix, sar=64 / 45),
        detector,  # type: ignore[arg-type]
        DetectConfig(every_frames=1, rotated=False),
    )
    for frame, true, move in zip(seen, landmarks(moves), moves, strict=True):
        assert len(frame.faces) == 1
        eyes = np.hypot(*(true[1] - true[0]))
        away = np.linalg.norm(frame.faces[0].landmarks - true, axis=1).mean()
        assert away < 0.08 * eyes
        box = apply(move, FACE_BOX.reshape(2, 2)).reshape(4)
        assert np.abs(frame.faces[0].box_xyxy - box).max() < 0.5 * eyes


def test_closer_looks_make_landmarks_hold_still(detector: object) -> None:
    moves = shake(5)

    def scatter(passes: int) -> float:
        config = DetectConfig(every_frames=1, refine_passes=passes, rotated=False)
        seen = detect(moving_face(moves), detector, config)  # type: ignore[arg-type]
        found = np.stack([frame.faces[0].landmarks for frame in seen])
        return float((found - landmarks(moves)).std(0).mean())

    assert scatter(3) < 0.5 * scatter(0)


def upside_down(moves: list[np.ndarray], size: float, quarter_turns: int) -> list[np.ndarray]:
    """The faces of a square picture that is turned counter-clockwise by quarters."""
    turn, moved = QUARTER_TURN.T, np.eye(2)
    for _ in range(quarter_turns):
        moved = turn @ moved
    middle = np.full(2, (size - 1) / 2)
    affine = np.column_stack([moved, middle - moved @ middle])
    return [compose(affine, move) for move in moves]


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_film_the_wrong_way_up_has_its_faces(detector: object, quarter_turns: int) -> None:
    """They are found in the first look, and followed in every one."""
    moves = upside_down(still(2, 96, 96, 0.7), 192, quarter_turns)
    config = DetectConfig(every_frames=1, refine_passes=0)
    seen = list(detect(moving_face(moves, 192, 192), detector, config))  # type: ignore[arg-type]
    assert [len(frame.faces) for frame in seen] == [1, 1]
    for frame, true in zip(seen, landmarks(moves), strict=True):
        for face in frame.faces:
            eyes = np.hypot(*(true[1] - true[0]))
            assert np.linalg.norm(face.landmarks - true, axis=1).mean() < 0.1 * eyes
            assert face.score > 0.85


def test_a_face_upside_down_is_upright_in_its_crop(detector: object) -> None:
    moves = upside_down(still(2, 96, 96, 0.7), 192, 2)
    config = RestoreConfig(detect=DetectConfig(refine_passes=0))
    seen = list(tracked_frames(moving_face(moves, 192, 192), detector, config))  # type: ignore[arg-type]
    for frame, true in zip(seen, landmarks(moves), strict=True):
        [face] = frame.faces
        in_crop = apply(face.crop_from_frame, true)  # type: ignore[arg-type]
        assert np.abs(in_crop - landmark_template("ffhq", 512)).max() < 40
        assert face.strength == 1


def test_a_lying_face_is_not_looked_for_where_somebody_is_upright(detector: object) -> None:
    lying = upside_down(still(1, 60, 128, 0.6), 256, 2)
    frames_of_both = moving_face([lying, still(1, 60, 128, 0.6)], 256, 256)
    config = DetectConfig(refine_passes=0)
    [first] = detect(frames_of_both, detector, config)  # type: ignore[arg-type]
    # The other one may be taken for an upright face, its mouth for eyes.
    assert first.faces[0].landmarks[0, 0] < 128
    assert all(abs(roll_degrees(face.landmarks[None])[0]) < 90 for face in first.faces)


def test_who_enters_between_two_looks_is_seen(detector: object) -> None:
    """In the first of them, six frames apart, nobody is there yet, and in the second no more."""
    moves = visit(8, 1, 4, width=320, y=120, scale=0.9)
    frames_of_visit = moving_face(moves, 320, 240, drift_px=(1.5, 0.5))
    config = DetectConfig(every_frames=6, refine_passes=0, rotated=False)
    seen = list(detect(frames_of_visit, detector, config))  # type: ignore[arg-type]
    assert any(frame.faces for frame in seen[1:5])
    assert not seen[0].faces and not seen[6].faces


NOBODY = np.full((2, 3), np.inf)


def test_pans_cost_no_looks() -> None:
    panned = moving_face([NOBODY] * 21, 320, 240, drift_px=(-4.0, 1.0))
    looks = [f.index for f in detect(panned, Finds(), plain(every_frames=10)) if f.detected]
    assert looks == [0, 10, 20]


def test_restless_borders_cost_few_looks() -> None:
    calm, strange = moving_face([NOBODY] * 2, 320, 240, cuts=[1])
    restless = []
    for index in range(64):
        luma = calm.picture.planes[0].numpy().copy()
        other = np.roll(strange.picture.planes[0].numpy(), 40 * index, axis=0)
        luma[60:180, :80] = other[60:180, :80]
        picture = picture_from_rgb(np.repeat(luma[..., None], 3, 2))
        restless.append(replace(calm, index=index, picture=picture, is_cut=index == 0))
    looks = [f.index for f in detect(restless, Finds(), plain(every_frames=30)) if f.detected]
    extra = [index for index in looks if index % 30]
    assert extra[:3] == [1, 2, 3]
    assert all(sum(first <= index < first + 60 for index in extra) <= 3 for first in extra)


def test_one_head_with_two_answers_is_one_face() -> None:
    twice = Finds((0.5, 0.5, 0.1, 0.9), (0.51, 0.5, 0.1, 0.7), (0.8, 0.5, 0.1, 0.8))
    [frame] = detect(frames(1), twice, plain())
    assert [round(face.score, 1) for face in frame.faces] == [0.9, 0.8]
