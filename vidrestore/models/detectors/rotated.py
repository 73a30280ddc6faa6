"""Find leaning, lying and upside-down heads: in rotated copies of a picture, where they stand
upright.

Detectors are made for upright heads, and see few of those that lean to the side by more than about
30 degrees. `detect_rotated` asks any detector about one rotated copy.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from vidrestore.geometry import invert, rotation_about_middle
from vidrestore.landmarks import roll_degrees
from vidrestore.models.detectors.suppression import (
    merge_detections,
    select_detections,
    transform_detections,
    within_roll,
)
from vidrestore.models.interfaces import FaceDetector
from vidrestore.structs import Detections

__all__ = [
    "LEAST_ROLL_DEGREES",
    "LYING_ROTATIONS_DEGREES",
    "ROTATIONS_DEGREES",
    "RotatedDetector",
    "detect_rotated",
]

ROTATIONS_DEGREES = (45.0, -45.0)
"""How far copies for leaning heads are rotated, counter-clockwise."""

LYING_ROTATIONS_DEGREES = (90.0, 180.0, -90.0)
"""How far copies for heads that lie or are upside down are rotated, counter-clockwise."""

LEAST_ROLL_DEGREES = 25.0
"""Heads tilted by less are left to the upright look."""

_LYING_DEGREES = 90.0
"""Heads tilted by less are answered in a copy for leaning heads."""

_UPRIGHT_DEGREES = 60.0
"""Likewise in a copy for lying heads: between two copies each head is upright in one."""

_SHADE = 0.5
"""What a rotated copy's corners are filled with."""


class RotatedDetector:
    """A `FaceDetector` that is shown rotated copies of every picture, too."""

    def __init__(self, detector: FaceDetector) -> None:
        self.detector, self.name = detector, detector.name

    def __call__(
        self,
        images: Tensor,
        *,
        min_score: float | None = None,
        max_roll_degrees: float | None = None,
    ) -> list[Detections]:
        """Find upright and leaning faces; see `FaceDetector`."""
        upright = self.detector(images, min_score=min_score)
        found = [
            merge_detections(
                [
                    one,
                    *(
                        detect_rotated(self.detector, image, by, min_score=min_score)
                        for by in ROTATIONS_DEGREES
                    ),
                ]
            )
            for image, one in zip(images, upright, strict=True)
        ]
        if max_roll_degrees is None:
            return found
        return [within_roll(one, max_roll_degrees) for one in found]


def detect_rotated(
    detector: FaceDetector, image: Tensor, degrees: float, *, min_score: float | None = None
) -> Detections:
    """The tilted heads that a detector finds in a rotated copy.

    Args:
        detector: the detector.
        image: (3, H, W) float RGB in [0, 1].
        degrees: how far the copy is rotated, counter-clockwise.
        min_score: least score of an answer; None for the detector's own threshold.

    Returns:
        Heads tilted by `LEAST_ROLL_DEGREES` or more, in pixels of `image`.
    """
    height, width = image.shape[1:]
    rotated_from_image, size = rotation_about_middle(height, width, degrees)
    pixels = image.permute(1, 2, 0).cpu().numpy()
    rotated = cv2.warpAffine(pixels, rotated_from_image, size[::-1], borderValue=(_SHADE,) * 3)
    seen = torch.from_numpy(rotated).permute(2, 0, 1)[None].to(image.device)
    # Heads that lie are answered too: in `merge_detections` they outdo answers upside down.
    most = _UPRIGHT_DEGREES if degrees in LYING_ROTATIONS_DEGREES else _LYING_DEGREES
    found = detector(seen, min_score=min_score, max_roll_degrees=most)[0]
    found = transform_detections(found, invert(rotated_from_image))
    return select_detections(found, np.abs(roll_degrees(found.landmarks)) >= LEAST_ROLL_DEGREES)
