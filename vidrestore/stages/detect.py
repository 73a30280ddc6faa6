"""Detect: boxes, five landmarks and a score for each face, on every k-th frame and at cuts.

The detector sees a small RGB copy, always one picture at a time, so that its answers do not depend
on how frames are grouped. What it finds is given in display pixels.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace

import numpy as np

from vidrestore.config import DetectConfig
from vidrestore.geometry import apply
from vidrestore.models.protocols import FaceDetector
from vidrestore.structs import Array, Detections, Face, Frame
from vidrestore.video.samples import small_rgb

__all__ = ["detect"]


def detect(
    frames: Iterable[Frame], detector: FaceDetector, config: DetectConfig
) -> Generator[Frame, None, None]:
    """Adds faces to the frames it looks at: the first of each shot and every k-th from there.

    Args:
        frames: decoded frames, in order.
        detector: what finds faces; called with one picture at a time.
        config: how often, how small and which.

    Yields:
        The same frames; those looked at have `detected` set and their `faces`, best first.
    """
    since_look = 0
    for frame in frames:
        if frame.is_cut or since_look == 0:
            since_look = 0
            faces = _look(frame, detector, config)
            yield replace(frame, faces=faces, detected=True)
        else:
            yield frame
        since_look = (since_look + 1) % config.every_frames


def _look(frame: Frame, detector: FaceDetector, config: DetectConfig) -> tuple[Face, ...]:
    image, display_from_small = small_rgb(frame.picture, frame.display, config.size_px)
    found = detector(image[None])[0]
    faces = [
        face
        for face in _faces_in_display(found, display_from_small)
        if (config.min_score is None or face.score >= config.min_score)
        and eye_distance(face.landmarks) >= config.min_face_px
    ]
    if config.faces == "largest" and faces:
        faces = [max(faces, key=lambda face: _area(face.box_xyxy))]
    return tuple(faces)


def _faces_in_display(found: Detections, display_from_small: Array) -> list[Face]:
    corners = apply(display_from_small, found.boxes_xyxy.reshape(-1, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    landmarks = apply(display_from_small, found.landmarks)
    return [
        Face(box, points, float(score))
        for box, points, score in zip(boxes, landmarks, found.scores, strict=True)
    ]


def eye_distance(landmarks: Array) -> float:
    """Distance between the eyes of (5, 2) landmarks, in their pixels."""
    return float(np.hypot(*(landmarks[1] - landmarks[0])))


def _area(box_xyxy: Array) -> float:
    return float((box_xyxy[2] - box_xyxy[0]) * (box_xyxy[3] - box_xyxy[1]))
