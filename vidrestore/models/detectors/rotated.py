"""Looks for tilted heads: in copies of a picture that are turned, where they stand upright.

Detectors are made for upright heads, and see few of those that lean to the side by more than about
30 degrees. `detect_turned` asks any detector about one turned copy; `merged` joins what several
looks at a picture found.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidrestore.geometry import apply, ellipse_box, invert, turned_about_middle
from vidrestore.models.detectors.compact import CompactFaceDetector, overlaps, tilt_degrees
from vidrestore.models.interfaces import FaceDetector
from vidrestore.structs import Array, Detections

__all__ = [
    "GREATEST_TILT_DEGREES",
    "LEAST_TILT_DEGREES",
    "TURNS_DEGREES",
    "TurningDetector",
    "detect_turned",
    "merged",
    "moved",
]

TURNS_DEGREES = (45.0, -45.0)
"""How far copies are turned, counter-clockwise."""

LEAST_TILT_DEGREES = 25.0
"""Heads tilted by less are left to the upright look."""

GREATEST_TILT_DEGREES = 75.0
"""Heads tilted by more are not answered: 30 degrees beyond the copies, as far as a detector of
upright faces is sure."""

_LYING_DEGREES = 90.0
"""Heads tilted by less are answered in a turned copy."""

_SAME = 0.4
"""Boxes with a greater IoU than this are one face."""
_SHADE = 0.5
"""What a turned copy's corners are filled with."""


class TurningDetector:
    """A detector that looks at turned copies of every picture too; follows `FaceDetector`."""

    def __init__(self, detector: FaceDetector) -> None:
        self.detector, self.name = detector, detector.name

    def __call__(self, images: Tensor) -> list[Detections]:
        """(N, 3, H, W) RGB in [0, 1]; see `FaceDetector`."""
        found = self.detector(images)
        return [
            merged([upright, *(detect_turned(self.detector, image, by) for by in TURNS_DEGREES)])
            for image, upright in zip(images, found, strict=True)
        ]


def detect_turned(detector: FaceDetector, image: Tensor, degrees: float) -> Detections:
    """The tilted heads that a detector finds in a turned copy.

    Args:
        detector: the detector.
        image: (3, H, W) float RGB in [0, 1].
        degrees: how far the copy is turned, counter-clockwise.

    Returns:
        Heads tilted by `LEAST_TILT_DEGREES` or more, in pixels of `image`.
    """
    height, width = image.shape[1:]
    turned_from_image, size = turned_about_middle(height, width, degrees)
    pixels = image.permute(1, 2, 0).cpu().numpy()
    turned = cv2.warpAffine(pixels, turned_from_image, size[::-1], borderValue=(_SHADE,) * 3)
    seen = torch.from_numpy(turned).permute(2, 0, 1)[None].to(image.device)
    found = _answering_lying(detector)(seen)[0]
    found = moved(found, invert(turned_from_image))
    return _chosen(found, np.abs(tilt_degrees(found.landmarks)) >= LEAST_TILT_DEGREES)


def _answering_lying(detector: FaceDetector) -> FaceDetector:
    """The same detector, which answers heads that lie: in `merged` they outdo answers that have
    them upside down."""
    if isinstance(detector, CompactFaceDetector):
        detector = copy.copy(detector)
        detector.max_tilt_degrees = _LYING_DEGREES
    return detector


def moved(found: Detections, b_from_a: Array) -> Detections:
    """Answers for one picture where another, moved by a (2, 3) affine, has them."""
    boxes = [ellipse_box(box, b_from_a) for box in found.boxes_xyxy]
    return replace(
        found,
        boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        landmarks=apply(b_from_a, found.landmarks).astype(np.float32),
    )


def merged(looks: Sequence[Detections]) -> Detections:
    """Joins the answers of several looks at one picture: of those that overlap, the surest stays.

    A head that lies (`GREATEST_TILT_DEGREES`) is not answered, but first takes the place of a less
    sure answer that has it upside down.

    Args:
        looks: all in pixels of the picture; answers of one look stay apart from each other.
    """
    every = Detections(
        np.concatenate([found.boxes_xyxy for found in looks]),
        np.concatenate([found.landmarks for found in looks]),
        np.concatenate([found.scores for found in looks]),
    )
    look = np.repeat(np.arange(len(looks)), [len(found) for found in looks])
    kept: list[int] = []
    for index in np.argsort(-every.scores, kind="stable"):
        others = [other for other in kept if look[other] != look[index]]
        shared = overlaps(every.boxes_xyxy[index : index + 1], every.boxes_xyxy[others])
        if shared.max(initial=0) <= _SAME:
            kept.append(int(index))
    joined = _chosen(every, np.array(kept, np.intp))
    return _chosen(joined, np.abs(tilt_degrees(joined.landmarks)) < GREATEST_TILT_DEGREES)


def _chosen(found: Detections, which: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> Detections:
    return replace(
        found,
        boxes_xyxy=found.boxes_xyxy[which],
        landmarks=found.landmarks[which],
        scores=found.scores[which],
    )
