"""What tracking remembers of a shot, and how it is put down as plain values for JSON.

Pictures are not put down: frames are decoded again and given back by their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vidrestore.geometry import apply, invert
from vidrestore.plain import array_from_plain, array_to_plain, face_from_plain, face_to_plain
from vidrestore.stages._appearance import Vector
from vidrestore.stages._interpolation import Pose
from vidrestore.structs import Array, Face, Frame

__all__ = ["Slot", "TrackedPerson", "slot_from_plain", "slot_to_plain"]

Plain = dict[str, Any]


@dataclass(slots=True)
class Slot:
    """A frame that waits until its faces are settled."""

    number: int
    """From 0 at the first frame of the shot."""
    frame: Frame
    carried: dict[int, Pose] = field(default_factory=dict)
    """Where flow takes each live track; a proposal until the next detection."""
    faces: dict[int, Face] = field(default_factory=dict)
    """What is settled, by track."""


def slot_to_plain(slot: Slot) -> Plain:
    """Give a slot without its picture."""
    return {
        "number": slot.number,
        "frame": slot.frame.index,
        "detected": slot.frame.detected,
        "ignored": slot.frame.faces_ignored,
        "carried": [[key, _pose_to_plain(pose)] for key, pose in slot.carried.items()],
        "faces": [[key, face_to_plain(face)] for key, face in slot.faces.items()],
    }


def slot_from_plain(plain: Plain, frames: Mapping[int, Frame]) -> Slot:
    """Undo `slot_to_plain`, with frames as decoded."""
    frame = frames[plain["frame"]]
    return Slot(
        plain["number"],
        replace(frame, detected=plain["detected"], faces_ignored=plain["ignored"]),
        {key: _pose_from_plain(pose) for key, pose in plain["carried"]},
        {key: face_from_plain(face) for key, face in plain["faces"]},
    )


def _pose_to_plain(pose: Pose) -> Plain:
    motion = None if pose.motion is None else array_to_plain(pose.motion)
    return {
        "box": array_to_plain(pose.box_xyxy),
        "landmarks": array_to_plain(pose.landmarks),
        "motion": motion,
    }


def _pose_from_plain(plain: Plain) -> Pose:
    motion = plain["motion"]
    return Pose(
        array_from_plain(plain["box"]),
        array_from_plain(plain["landmarks"]),
        None if motion is None else array_from_plain(motion),
    )


@dataclass(slots=True)
class TrackedPerson:
    """A person who may be seen again."""

    id: int
    face: Face
    """The last detection."""
    seen: int
    """Number of the slot of the last detection."""
    pts: int
    """Its time."""
    speed: Array = field(default_factory=lambda: np.zeros(2))
    """(2,) of the box's middle at the last detection, in pixels a frame."""
    missed: int | None = None
    """Number of the first slot since in which the detector looked and did not find it."""
    looks: Vector = field(default_factory=lambda: np.zeros(0, np.float32))
    """Running mean of what it looked like; empty before the first time."""

    def see(self, face: Face, slot: Slot) -> None:
        """Continue from a new detection, whose motion is known if flow led there."""
        self.face, self.seen, self.pts, self.missed = face, slot.number, slot.frame.pts, None
        if face.motion is not None:
            middle = face.box_xyxy.reshape(2, 2).mean(0)
            self.speed = middle - apply(invert(face.motion), middle)

    def remember(self, looks: Vector) -> None:
        """Take how the face looks in a new detection into the running mean."""
        self.looks = looks if not len(self.looks) else 0.7 * self.looks + 0.3 * looks
        self.looks = self.looks / max(float(np.linalg.norm(self.looks)), 1e-6)

    def expected_boxes(self, slot: Slot) -> Array:
        """(N, 4) where the face may be: by flow; if lost, also where it was or was heading."""
        boxes = [slot.carried[self.id].box_xyxy] if self.id in slot.carried else []
        if self.missed is not None or not boxes:
            away = np.tile(self.speed * (slot.number - self.seen), 2)
            boxes += [self.face.box_xyxy, self.face.box_xyxy + away]
        return np.stack(boxes)

    def to_plain(self) -> Plain:
        """Give all of it."""
        return {
            "id": self.id,
            "face": face_to_plain(self.face),
            "seen": self.seen,
            "pts": self.pts,
            "speed": array_to_plain(self.speed),
            "missed": self.missed,
            "looks": array_to_plain(self.looks),
        }

    @classmethod
    def from_plain(cls, plain: Plain) -> TrackedPerson:
        """Undo `to_plain`."""
        arrays = {name: array_from_plain(plain[name]) for name in ("speed", "looks")}
        return cls(**{**plain, **arrays, "face": face_from_plain(plain["face"])})
