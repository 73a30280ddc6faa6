"""Ways of a face between two detections."""

from __future__ import annotations

import numpy as np
import pytest

from vidrestore.geometry import apply, compose_similarity
from vidrestore.stages._interpolation import (
    Pose,
    blended_path,
    disagreement,
    moved_box,
    straight_path,
)
from vidrestore.structs import Array, Face

POINTS = np.array([[40.0, 40], [60, 40], [50, 52], [42, 62], [58, 62]])
BOX = np.array([30.0, 25, 70, 75])
STEP = compose_similarity(np.log(1.01), 0.02, (3.0, -1.0))
"""True motion from each frame to the next."""
SHARES = [0.25, 0.5, 0.75, 1.0]


def face(points: Array = POINTS, box: Array = BOX) -> Face:
    return Face(box, points, 0.9)


def flow(motion: Array = STEP, count: int = 4) -> list[Pose]:
    """Where flow takes the first detection."""
    poses = [Pose(BOX, POINTS)]
    for _ in range(count):
        poses.append(poses[-1].moved(motion))
    return poses[1:]


def test_boxes_move_turn_and_grow_with_the_face_and_stay_upright() -> None:
    turned = moved_box(BOX, compose_similarity(np.log(2), np.pi / 3, (5.0, 0.0)))
    size = turned[2:] - turned[:2]
    np.testing.assert_allclose(size, 2 * (BOX[2:] - BOX[:2]))


def test_exact_flow_leads_exactly_to_the_second_detection() -> None:
    true = flow()
    path = blended_path(true, face(true[-1].landmarks, true[-1].box_xyxy), SHARES)
    for found, wanted in zip(path, true, strict=True):
        np.testing.assert_allclose(found.landmarks, wanted.landmarks, atol=1e-9)


def test_drift_is_shared_out_and_leaves_no_jump() -> None:
    drifting = flow(compose_similarity(0.0, 0.0, (3.5, -1.0)))
    end = face(np.add(POINTS, [12, -4]))
    path = blended_path(drifting, end, SHARES)
    np.testing.assert_allclose(path[-1].landmarks, end.landmarks)
    steps = np.diff([POINTS, *(pose.landmarks for pose in path)], axis=0)
    np.testing.assert_allclose(steps[..., 0].mean(1), 3, atol=1.1)
    assert np.abs(np.diff(steps[..., 0].mean(1))).max() < 0.6


def test_where_flow_is_lost_the_way_is_straight() -> None:
    end = face(np.add(POINTS, [8, 4]), np.add(BOX, [8, 4, 8, 4]))
    path = straight_path(face(), end, SHARES)
    for pose, share in zip(path, SHARES, strict=True):
        np.testing.assert_allclose(pose.landmarks, POINTS + share * np.array([8, 4]))
        np.testing.assert_allclose(pose.box_xyxy, BOX + share * np.array([8, 4, 8, 4]))


@pytest.mark.parametrize("way", ["blended", "straight"])
def test_each_motion_leads_from_the_pose_before(way: str) -> None:
    true = flow()
    end = face(true[-1].landmarks, true[-1].box_xyxy)
    path = blended_path(true, end, SHARES) if way == "blended" else []
    path = path or straight_path(face(), face(np.add(POINTS, [8, 4])), SHARES)
    before = POINTS
    for pose in path:
        assert pose.motion is not None
        np.testing.assert_allclose(apply(pose.motion, before), pose.landmarks, atol=1e-6)
        before = pose.landmarks


def test_disagreement_is_a_share_of_the_eye_distance_beyond_the_detectors_scatter() -> None:
    pose = Pose(BOX, POINTS)
    assert disagreement(pose, face()) == 0
    assert disagreement(pose, face(np.add(POINTS, [1, 0]))) == 0
    assert disagreement(pose, face(np.add(POINTS, [11.5, 0]))) == pytest.approx(10 / 20)


def test_a_carried_face_says_so() -> None:
    carried = flow()[0].face(3, 0.7)
    assert (carried.track_id, carried.score, carried.detected) == (3, 0.7, False)
    assert carried.motion is not None
