"""Detect: boxes, five landmarks and a score for each face, on every k-th frame and at cuts, and in
between where a face has moved far or something enters at the border.

The detector sees a small RGB copy, and each face again, closer (`_closer_look`), so that its
landmarks lean alike in every frame. Two answers whose landmarks meet there are one head.

Heads that lean far to the side, that lie or are upside down are looked for in rotated copies, now
and then (`_rotations`), and in every look as long as there are some.

Frames are given to the detector one at a time, and views of a face those of its pass together, so
that its answers do not depend on how frames are grouped. What it finds is given in display pixels.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from vidrestore.config import DetectConfig
from vidrestore.geometry import apply, box_iou
from vidrestore.landmarks import eye_distance
from vidrestore.models.detectors.rotated import detect_rotated
from vidrestore.models.detectors.suppression import (
    distinct_heads,
    merge_detections,
    select_detections,
)
from vidrestore.models.interfaces import FaceDetector
from vidrestore.plain import face_from_plain, face_to_plain
from vidrestore.stages._closer_look import CloserLook, views
from vidrestore.stages._rotations import SURE_OF_LYING, Rotations
from vidrestore.stages._watch import Watch
from vidrestore.structs import Array, Detections, Face, Frame
from vidrestore.video.picture.samples import small_rgb

__all__ = ["Looker", "detect"]

_SURE_OF_NEW = 0.7
"""Least score of somebody new in a look in between two regular ones."""


def detect(
    frames: Iterable[Frame], detector: FaceDetector, config: DetectConfig
) -> Generator[Frame, None, None]:
    """Add faces to the frames it looks at: the first of each shot, every k-th from there, those in
    which a face has moved far since the last look, and those in which something enters.

    Args:
        frames: decoded frames, in order.
        detector: what finds faces; called with one picture, or two views of a face, at a time.
        config: how often, how small and which.

    Yields:
        The same frames; those looked at have `detected` set and their `faces`, best first.
    """
    looker = Looker(detector, config)
    for frame in frames:
        yield looker.see(frame)


class Looker:
    """Look at frames that are pushed in one by one; what it remembers can be put down.

    Args:
        detector: what finds faces; called with one picture, or two views of a face, at a time.
        config: how often, how small and which.
    """

    def __init__(self, detector: FaceDetector, config: DetectConfig) -> None:
        self._detector, self._config = detector, config
        self._shot = _Shot(detector, config)

    def see(self, frame: Frame) -> Frame:
        """Take the next frame; give it back, with faces if it was looked at."""
        if frame.is_cut:
            self._shot = _Shot(self._detector, self._config)
        return self._shot.see(frame)

    def state(self) -> dict[str, Any]:
        """Give what is remembered, as plain values."""
        return self._shot.state()

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._shot.go_on(state)


class _Shot:
    """Look at frames of one shot."""

    def __init__(self, detector: FaceDetector, config: DetectConfig) -> None:
        self._detector, self._config = detector, config
        self._watch, self._rotations = Watch(), Rotations()
        self._since_look = 0
        """Frames since the last regular look, less than `every_frames`."""
        self._known: tuple[Face, ...] = ()
        """What the last look found."""

    def see(self, frame: Frame) -> Frame:
        """Take the next frame; give it back, with faces if it was looked at."""
        self._watch.see(frame)
        regular = self._since_look == 0 or self._watch.has_moved
        self._since_look = (0 if regular else self._since_look) + 1
        self._since_look %= self._config.every_frames
        if not regular and not self._watch.has_entered:
            return frame
        faces, ignored = self._look(frame, regular)
        self._rotations.remember(faces, regular=regular)
        self._watch.begin(frame, faces)
        self._known = faces
        return replace(frame, faces=faces, detected=True, faces_ignored=ignored)

    def state(self) -> dict[str, Any]:
        """See `Looker.state`."""
        return {
            "since_look": self._since_look,
            "known": [face_to_plain(face) for face in self._known],
            "watch": self._watch.state(),
            "rotations": self._rotations.state(),
        }

    def go_on(self, state: Mapping[str, Any]) -> None:
        """See `Looker.go_on`."""
        self._since_look = state["since_look"]
        self._known = tuple(map(face_from_plain, state["known"]))
        self._watch.go_on(state["watch"])
        self._rotations.go_on(state["rotations"])

    def _look(self, frame: Frame, regular: bool) -> tuple[tuple[Face, ...], int]:
        """The faces of a frame, best first, and how many more there are than may be."""
        config = self._config
        image, display_from_small = small_rgb(frame.picture, frame.display, config.size_px)
        faces = [
            face
            for face in _faces_in_display(self._found(image, regular), display_from_small)
            if (config.min_score is None or face.score >= config.min_score)
            and eye_distance(face.landmarks) >= config.min_face_px
            and (regular or self._may_enter(face))
        ]
        if config.faces == "largest" and faces:
            faces = [max(faces, key=lambda face: _area(face.box_xyxy))]
        faces, ignored = _largest(faces, config.max_faces)
        look = CloserLook(frame, image, display_from_small, self._detector)
        for crops in views(config.refine_passes):
            faces = [replace(face, landmarks=look(face.landmarks, crops)) for face in faces]
        return tuple(_distinct(faces)), ignored

    def _found(self, image: Tensor, regular: bool) -> Detections:
        """What the detector finds in a small picture, and in rotated copies of it."""
        if not self._config.rotated:
            return merge_detections(self._detector(image[None]))
        degrees = self._rotations.for_look() if regular else self._rotations.known()
        answers = [
            *self._detector(image[None]),
            *(detect_rotated(self._detector, image, by) for by in degrees),
        ]
        found = merge_detections(answers, max_roll_degrees=self._rotations.max_roll_degrees)
        further = self._rotations.for_lying(found) if regular else ()
        if not further:
            return found
        for by in further:
            lying = detect_rotated(self._detector, image, by)
            answers.append(select_detections(lying, lying.scores >= SURE_OF_LYING))
        return merge_detections(answers, max_roll_degrees=math.inf)

    def _may_enter(self, face: Face) -> bool:
        """Whether an answer of a look in between counts: a sure one, or one of a known face."""
        boxes = np.array([known.box_xyxy for known in self._known]).reshape(-1, 4)
        return face.score >= _SURE_OF_NEW or box_iou(face.box_xyxy, boxes).max(initial=0) > 0


def _distinct(faces: Sequence[Face]) -> list[Face]:
    """Each head once."""
    if len(faces) < 2:
        return list(faces)
    found = Detections(
        np.stack([face.box_xyxy for face in faces]).astype(np.float32),
        np.stack([face.landmarks for face in faces]).astype(np.float32),
        np.array([face.score for face in faces], np.float32),
    )
    return [faces[number] for number in distinct_heads(found)]


def _largest(faces: list[Face], count: int) -> tuple[list[Face], int]:
    """So many faces, the largest ones, in the order given, and the number of the others."""
    order = sorted(range(len(faces)), key=lambda i: -_area(faces[i].box_xyxy))
    return [faces[i] for i in sorted(order[:count])], max(0, len(faces) - count)


def _faces_in_display(found: Detections, display_from_small: Array) -> list[Face]:
    corners = apply(display_from_small, found.boxes_xyxy.reshape(-1, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    landmarks = apply(display_from_small, found.landmarks)
    return [
        Face(box, points, float(score))
        for box, points, score in zip(boxes, landmarks, found.scores, strict=True)
    ]


def _area(box_xyxy: Array) -> float:
    return float((box_xyxy[2] - box_xyxy[0]) * (box_xyxy[3] - box_xyxy[1]))
