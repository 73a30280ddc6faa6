"""Ways of a face from one detection to the next, made of what flow says and what was detected.

Convention: display pixels; a path has one pose for each frame after the first detection, the last
one at the second detection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vidrestore.geometry import apply, invert, similarity_from_points
from vidrestore.landmarks import eye_distance
from vidrestore.structs import Array, Face

__all__ = ["Pose", "blended_path", "disagreement", "straight_path"]

_SCATTER_PX = 1.5
"""How much detectors scatter on the smallest faces; never held against the flow."""


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """Where a face is in one frame."""

    box_xyxy: Array
    landmarks: Array
    motion: Array | None = None
    """(2, 3) from the pose in the frame before; None where a path begins."""

    def moved(self, motion: Array) -> Pose:
        """The pose one frame on."""
        return Pose(moved_box(self.box_xyxy, motion), apply(motion, self.landmarks), motion)

    def face(self, track_id: int, score: float) -> Face:
        """The face that flow carried here."""
        return Face(self.box_xyxy, self.landmarks, score, track_id, False, self.motion)


def moved_box(box_xyxy: Array, motion: Array) -> Array:
    """The upright box around the moved middle, grown by the motion's scale."""
    corners = box_xyxy.reshape(2, 2)
    middle = corners.mean(0)
    scale = np.sqrt(abs(np.linalg.det(motion[:, :2])))
    moved: Array = (apply(motion, middle) + scale * (corners - middle)).reshape(4)
    return moved


def disagreement(pose: Pose, face: Face) -> float:
    """How far flow is from a detection: rms over the landmarks, as a share of the eye distance."""
    apart = float(np.sqrt(((pose.landmarks - face.landmarks) ** 2).sum(-1).mean()))
    eyes = eye_distance(face.landmarks)
    return max(apart - _SCATTER_PX, 0.0) / max(eyes, 1e-6)


def blended_path(forward: Sequence[Pose], end: Face, shares: Sequence[float]) -> list[Pose]:
    """Flow from both sides: that from the first detection gives way to that from the second.

    Args:
        forward: where flow takes the first detection, in every frame.
        end: the second detection, in the last of these frames.
        shares: of the time between the detections, rising to 1.
    """
    back = Pose(end.box_xyxy, end.landmarks)
    path = []
    for pose, share in zip(reversed(forward), reversed(shares), strict=True):
        assert pose.motion is not None, "only the first detection has no motion"
        path.append(
            Pose(
                pose.box_xyxy + share * (back.box_xyxy - pose.box_xyxy),
                pose.landmarks + share * (back.landmarks - pose.landmarks),
                pose.motion,
            )
        )
        back = back.moved(invert(pose.motion))
    return path[::-1]


def straight_path(start: Face, end: Face, shares: Sequence[float]) -> list[Pose]:
    """Straight from one detection to the other, where flow does not know the way.

    Args:
        start: the first detection.
        end: the second one.
        shares: of the time between them, rising to 1.
    """
    path, before = [], start.landmarks
    for share in shares:
        landmarks = start.landmarks + share * (end.landmarks - start.landmarks)
        box = start.box_xyxy + share * (end.box_xyxy - start.box_xyxy)
        path.append(Pose(box, landmarks, similarity_from_points(landmarks, before)))
        before = landmarks
    return path
