"""Who is who, and where everybody is in the frames the detector did not look at."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from moving_face import (
    LANDMARKS,
    Moves,
    landmarks,
    looked_at,
    moving_face,
    pan,
    placed,
    shake,
    still,
    turn,
    zoom,
)

from vidrestore.config import TrackConfig
from vidrestore.geometry import apply, compose, compose_similarity, invert
from vidrestore.runtime.prefetch import prefetch
from vidrestore.stages.track import track
from vidrestore.structs import Array, Face, Frame
from vidrestore.track_units import NOSE, motion_from_units, motion_to_units, round_face
from vidrestore.video.picture.samples import picture_from_rgb

CONFIG = TrackConfig()
GONE = np.full((2, 3), np.nan)
HALF_STEP_PX = 0.5 / 64 + 1e-9
"""What is lost to the grid that faces leave on."""


def tracked(
    moves: Moves, *more: Moves, config: TrackConfig = CONFIG, **looks: object
) -> list[Frame]:
    """One or more faces, followed from what an exact detector saw of them."""
    frames = moving_face([moves, *more], 480, 360)
    return list(track(looked_at(frames, moves, *more, **looks), config))  # type: ignore[arg-type]


def middle(moves: Moves) -> Moves:
    """The same moves about the middle of a 480x360 picture, a little smaller."""
    shrink = np.array([[0.6, 0, 0], [0, 0.6, 0]])
    return [compose(shrink, move) + np.array([[0, 0, 48], [0, 0, 36]]) for move in moves]


def ids(frame: Frame) -> list[int]:
    return [face.track_id for face in frame.faces]


@pytest.mark.parametrize(
    "moves",
    [pan(21), pan(16, 14), zoom(21), shake(21), turn(21)],
    ids=["pan", "fast", "zoom", "shake", "turn"],
)
def test_flow_carries_landmarks_between_looks(moves: Moves) -> None:
    moves = middle(moves)
    seen = tracked(moves)
    for index, (frame, truth) in enumerate(zip(seen, landmarks(moves), strict=True)):
        assert ids(frame) == [0]
        face = frame.faces[0]
        assert face.detected == (index % 5 == 0)
        assert np.abs(face.landmarks - truth).max() < 0.25
        if index == 0:
            assert face.motion is None
            continue
        assert face.motion is not None
        moved = apply(face.motion, apply(moves[index - 1], LANDMARKS))
        assert np.abs(moved - truth).max() < 0.25


def test_faces_leave_on_a_grid_that_keeps_them_within_half_a_step() -> None:
    moves = middle(turn(12))
    for before, frame in itertools.pairwise(tracked(moves, noise_px=1)):
        moved_from, face = before.faces[0], frame.faces[0]
        for places in (face.landmarks, face.box_xyxy):
            np.testing.assert_array_equal(places * 64, np.rint(places * 64))
        assert face.motion is not None
        units = motion_to_units(face.motion, moved_from.landmarks[NOSE])
        back = motion_from_units(units, moved_from.landmarks[NOSE])
        np.testing.assert_array_equal(back, face.motion)
        again = round_face(face, moved_from)
        assert again.motion is not None
        np.testing.assert_array_equal(again.motion, face.motion)


@pytest.mark.parametrize("middle_px", [(30.0, 40.0), (8000.3, 4000.7)])
def test_rounding_moves_a_face_by_less_than_a_fiftieth_of_a_pixel(
    middle_px: tuple[float, float],
) -> None:
    points = np.array(middle_px) + 0.6 * (LANDMARKS - LANDMARKS.mean(0))
    box = np.concatenate([points.min(0), points.max(0)])
    motion = compose_similarity(0.03, 0.07, (3.3, -2.1))
    before = round_face(Face(box, points, 0.87654), None)
    after = round_face(replace(before, landmarks=apply(motion, points), motion=motion), before)
    assert after.motion is not None and before.score == 0.877
    exact, rounded = (apply(m, before.landmarks) for m in (motion, after.motion))
    assert 0 < np.abs(exact - rounded).max() < 0.02
    assert np.abs(after.landmarks - apply(motion, points)).max() <= HALF_STEP_PX


def test_a_motion_from_nowhere_is_dropped() -> None:
    points = LANDMARKS.astype(float)
    assert round_face(Face(np.arange(4.0), points, 1, motion=np.eye(2, 3)), None).motion is None


def test_frames_leave_as_they_came() -> None:
    frames = moving_face(middle(shake(12)), 480, 360)
    looked = looked_at(frames, middle(shake(12)))
    out = list(track(looked, CONFIG))
    assert [frame.index for frame in out] == list(range(12))
    assert all(a.picture is b.picture and a.pts == b.pts for a, b in zip(looked, out, strict=True))


def test_nothing_moves_in_equal_frames() -> None:
    moves = middle(still(11))
    [first] = moving_face(moves[:1], 480, 360)
    frames = [replace(first, index=i, pts=i, is_cut=i == 0) for i in range(11)]
    out = list(track(looked_at(frames, moves), CONFIG))
    for frame in out:
        np.testing.assert_array_equal(frame.faces[0].landmarks, out[0].faces[0].landmarks)
        np.testing.assert_array_equal(frame.faces[0].box_xyxy, out[0].faces[0].box_xyxy)
    assert all(np.array_equal(frame.faces[0].motion, np.eye(2, 3)) for frame in out[1:])


def test_drift_and_detector_noise_leave_no_jump_at_a_look() -> None:
    moves = middle(pan(31))
    seen = tracked(moves, noise_px=1.5)
    error = np.stack([f.faces[0].landmarks for f in seen]) - landmarks(moves)
    steps = np.abs(np.diff(error, axis=0)).max((1, 2))
    # Five steps lead from one detection to the next, whose errors differ by up to 6 sigma or so.
    assert steps.max() < 0.4 * np.abs(np.diff(error[::5], axis=0)).max()


def test_two_people_side_by_side_keep_their_ids() -> None:
    left = [placed(130 + 2 * t, 180, scale=0.9) for t in range(21)]
    right = [placed(330 - 2 * t, 170, scale=0.8) for t in range(21)]
    for frame, truth in zip(tracked(left, right), landmarks(left), strict=True):
        assert ids(frame) == [0, 1]
        assert np.abs(frame.faces[0].landmarks - truth).max() < 2


def test_people_who_cross_keep_their_ids() -> None:
    """The one behind is hidden, and not detected, while they overlap."""
    behind = [placed(110 + 6 * t, 180, scale=0.8) for t in range(46)]
    front = [placed(380 - 6 * t, 180, scale=1.0) for t in range(46)]
    hidden = [(t, 0) for t in range(46) if abs(behind[t][0, 2] - front[t][0, 2]) < 110]
    assert len(hidden) > 10
    out = tracked(behind, front, missed=hidden)
    for frame in (out[0], out[45]):
        assert ids(frame) == [0, 1]
    for moves, number in ((behind, 0), (front, 1)):
        truth = landmarks(moves)
        for index in (0, 5, 40, 45):
            assert np.abs(out[index].faces[number].landmarks - truth[index]).max() < 1
    assert all(set(ids(frame)) <= {0, 1} for frame in out)


def strange_pair(left: Moves, right: Moves, missed: Sequence[tuple[int, int]] = ()) -> list[Frame]:
    """Two people who look different, the second one drawn in front."""
    frames = moving_face([left, right], 480, 360, strangers=[1])
    return list(track(looked_at(frames, left, right, missed=missed), CONFIG))


def test_looks_decide_where_people_change_places_unseen() -> None:
    """Both are missed while they change places, and are seen again where the other one was."""
    left = [placed(140 + (200 if t > 15 else 0), 180, scale=0.8) for t in range(31)]
    right = [placed(340 - (200 if t > 15 else 0), 180, scale=0.8) for t in range(31)]
    hidden = [(t, number) for t in (10, 15) for number in (0, 1)]
    out = strange_pair(left, right, hidden)
    for frame in (out[0], out[20], out[30]):
        assert ids(frame) == [0, 1]
        for number, moves in enumerate((left, right)):
            truth = landmarks(moves)[frame.index]
            assert np.abs(frame.faces[number].landmarks - truth).max() < 2


def test_somebody_else_in_the_same_place_is_somebody_else() -> None:
    first = [placed(240, 180) if t < 10 else GONE for t in range(31)]
    second = [placed(240, 180) if t >= 18 else GONE for t in range(31)]
    out = strange_pair(first, second)
    assert ids(out[5]) == [0] and ids(out[25]) == [1]


def test_nothing_crosses_a_cut() -> None:
    moves = middle(still(14))
    frames = moving_face(moves, 480, 360, cuts=(7,))
    out = list(track(looked_at(frames, moves), CONFIG))
    assert [ids(frame) for frame in out] == [[0]] * 7 + [[1]] * 7
    assert out[7].faces[0].motion is None and out[8].faces[0].motion is not None


def test_the_frames_after_a_cut_do_not_depend_on_those_before() -> None:
    moves = middle(shake(24))
    frames = looked_at(moving_face(moves, 480, 360, cuts=(9,)), moves, noise_px=1)
    whole, part = list(track(frames, CONFIG))[9:], list(track(frames[9:], CONFIG))
    for a, b in zip(whole, part, strict=True):
        np.testing.assert_array_equal(a.faces[0].landmarks, b.faces[0].landmarks)


def test_a_face_the_detector_missed_is_followed_across_the_gap() -> None:
    moves = middle(shake(31))
    out = tracked(moves, missed=[(10, 0), (15, 0)])
    assert [ids(frame) for frame in out] == [[0]] * 31
    error = [f.faces[0].landmarks - t for f, t in zip(out, landmarks(moves), strict=True)]
    assert np.abs(error).max() < 0.4
    assert not out[10].faces[0].detected


def test_a_face_that_was_away_keeps_its_id_but_is_not_made_up() -> None:
    moves = middle(pan(31, 1.0))
    moves[8:18] = [GONE] * 10
    out = tracked(moves)
    assert ids(out[5]) == ids(out[20]) == [0]
    for index in range(11, 16):
        assert out[index].faces == ()
    assert all(ids(frame) == [0] for frame in out[20:])


def test_a_face_lost_for_too_long_begins_a_new_track() -> None:
    moves = middle(still(31))
    moves[6:20] = [GONE] * 14
    out = tracked(moves, config=TrackConfig(max_gap_frames=10))
    assert ids(out[5]) == [0] and ids(out[20]) == [1]


def test_an_ended_track_stops_before_the_look_that_missed_it() -> None:
    moves = middle(still(16))
    out = tracked(moves, missed=[(10, 0), (15, 0)])
    assert [len(frame.faces) for frame in out] == [1] * 10 + [0] * 6


def test_a_new_face_was_there_since_the_look_before() -> None:
    moves = middle(shake(16))
    out = tracked(moves, missed=[(0, 0), (5, 0)])
    assert [len(frame.faces) for frame in out] == [0] * 6 + [1] * 10
    truth = landmarks(moves)
    assert max(np.abs(out[i].faces[0].landmarks - truth[i]).max() for i in range(6, 10)) < 0.3
    assert out[6].faces[0].motion is None and out[7].faces[0].motion is not None


def test_a_face_is_carried_to_the_end_of_the_shot() -> None:
    moves = middle(shake(14))
    out = tracked(moves)
    assert np.abs(out[13].faces[0].landmarks - landmarks(moves)[13]).max() < 0.3


def blank(times: Sequence[int]) -> list[Frame]:
    """Frames without anything that flow could follow."""
    [frame] = moving_face(still(1), 480, 360)
    shades = [np.full((360, 480, 3), 100 + index, np.uint8) for index in range(len(times))]
    return [
        replace(frame, index=i, pts=pts, is_cut=i == 0, picture=picture_from_rgb(shade))
        for i, (pts, shade) in enumerate(zip(times, shades, strict=True))
    ]


def test_without_flow_the_way_is_straight_in_time() -> None:
    """At a variable rate too: where a face is follows from when the frame is."""
    times = [0, 10, 15, 40, 45, 50, 60, 100, 110, 120, 130]
    moves = [placed(150 + 0.5 * t, 180, scale=1.0) for t in times]
    out = list(track(looked_at(blank(times), moves), CONFIG))
    for frame, truth, before in zip(out[1:], landmarks(moves)[1:], landmarks(moves), strict=False):
        face = frame.faces[0]
        np.testing.assert_allclose(face.landmarks, truth, atol=HALF_STEP_PX)
        assert face.motion is not None
        np.testing.assert_allclose(apply(face.motion, before), truth, atol=2 * HALF_STEP_PX)


def test_where_flow_and_detection_disagree_the_detections_win() -> None:
    """The picture stands still, while the detections go on."""
    frames = moving_face(middle(still(11)), 480, 360)
    detected = [placed(240 + 2.4 * t, 180, scale=1.08) for t in range(11)]
    strict = list(track(looked_at(frames, detected), TrackConfig(max_flow_error=0.1)))
    truth = landmarks(detected)
    assert all(
        np.abs(f.faces[0].landmarks - t).max() <= HALF_STEP_PX
        for f, t in zip(strict, truth, strict=True)
    )


def test_a_variable_rate_does_not_disturb_flow() -> None:
    moves = middle(shake(16))
    frames = moving_face(moves, 480, 360)
    uneven = [replace(f, pts=i * i * 900 + i) for i, f in enumerate(frames)]
    out = list(track(looked_at(uneven, moves), CONFIG))
    error = [f.faces[0].landmarks - t for f, t in zip(out, landmarks(moves), strict=True)]
    assert np.abs(error).max() < 0.25


def waiting(frames: list[Frame], config: TrackConfig) -> int:
    """The most frames that the stage holds back at any time."""
    taken = given = most = 0

    def feed() -> Iterator[Frame]:
        nonlocal taken, most
        for frame in frames:
            most = max(most, taken - given)
            taken += 1
            yield frame

    for _ in track(feed(), config):
        given += 1
    assert given == len(frames)
    return most


def test_few_frames_wait() -> None:
    moves = middle(still(60))
    frames = moving_face(moves, 480, 360, noise=0)
    assert waiting(looked_at(frames, moves), CONFIG) <= 5
    lost = [(t, 0) for t in range(5, 60)]
    config = TrackConfig(max_gap_frames=10)
    assert waiting(looked_at(frames, moves, missed=lost), config) <= 15
    nobody = [(t, 0) for t in range(60)]
    assert waiting(looked_at(frames, moves, missed=nobody), CONFIG) <= 5


def same(a: Array | None, b: Array | None) -> bool:
    return a is b is None or (a is not None and b is not None and np.array_equal(a, b))


def test_queues_change_nothing() -> None:
    moves = middle(shake(18))
    frames = looked_at(moving_face(moves, 480, 360), moves, noise_px=1, missed=[(5, 0)])
    alone = [face for frame in track(frames, CONFIG) for face in frame.faces]
    for depth in (1, 7):
        queued = prefetch(track(prefetch(iter(frames), depth), CONFIG), depth)
        faces: list[Face] = [face for frame in queued for face in frame.faces]
        assert len(faces) == len(alone)
        assert all(same(a.landmarks, b.landmarks) for a, b in zip(alone, faces, strict=True))
        assert all(same(a.motion, b.motion) for a, b in zip(alone, faces, strict=True))


@pytest.mark.parametrize("format", ["yuv420p10le", "gray", "bgr0", "yuv422p"])
def test_any_pixel_format_is_followed(format: str) -> None:
    moves = middle(shake(6))
    frames = moving_face(moves, 480, 360, format=format)
    out = list(track(looked_at(frames, moves), CONFIG))
    for index in range(1, 6):
        face = out[index].faces[0]
        assert face.motion is not None
        truth = compose(moves[index], invert(moves[index - 1]))
        assert np.abs(apply(face.motion, face.landmarks) - apply(truth, face.landmarks)).max() < 0.2
