"""The conditions that a detector is measured under.

Both detectors see a frame in black-and-white, or degraded. Rotated, however, only the detector
under test sees it, and the reference's detections are rotated with the frame: a detector that was
made for upright faces cannot be the reference for tilted ones. What the reference finds in the
rotated frame all the same, such as a picture that hung askew, is no false positive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.degradations.compression import jpeg_bytes
from vidrestore.geometry import rotation_about_middle
from vidrestore.luma import gray_picture
from vidrestore.models.detectors.suppression import transform_detections
from vidrestore.structs import Detections

__all__ = ["CONDITIONS", "Condition"]

RGB = npt.NDArray[np.uint8]


def degrade(frame: RGB) -> RGB:
    """Halve the size, add Gaussian noise of 8 code values and JPEG of quality 30, and enlarge."""
    height, width = frame.shape[:2]
    half = (max(16, width // 2), max(16, height // 2))
    small = cv2.resize(frame, half, interpolation=cv2.INTER_AREA).astype(np.float32)
    small += np.random.default_rng([height, width]).normal(0, 8, small.shape)
    noisy = small.round().clip(0, 255).astype(np.uint8)
    coded = jpeg_bytes(noisy, 30)
    return np.asarray(cv2.resize(coded, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


@dataclass(frozen=True)
class Condition:
    """How frames are shown."""

    transform: Callable[[RGB], RGB] | None = None
    """What is done to a frame before either detector sees it."""
    rotation_degrees: float = 0.0
    """How far it is then rotated for the detector under test, counter-clockwise."""

    def apply(self, frame: RGB) -> RGB:
        """Transform a frame, (H, W, 3) uint8 RGB, for both detectors."""
        return frame if self.transform is None else self.transform(frame)

    def rotate(self, frame: RGB) -> RGB:
        """Rotate it about its middle, on a black frame that holds all of it."""
        if not self.rotation_degrees:
            return frame
        height, width = frame.shape[:2]
        matrix, size = rotation_about_middle(height, width, self.rotation_degrees)
        return np.asarray(cv2.warpAffine(frame, matrix, size[::-1]), np.uint8)

    def rotate_detections(self, found: Detections, height: int, width: int) -> Detections:
        """Move a frame's detections to where the rotated frame has them."""
        if not self.rotation_degrees:
            return found
        matrix, _ = rotation_about_middle(height, width, self.rotation_degrees)
        return transform_detections(found, matrix)


CONDITIONS: Mapping[str, Condition] = {
    "plain": Condition(),
    "gray": Condition(gray_picture),
    "degraded": Condition(degrade),
    "rotated-left": Condition(rotation_degrees=45.0),
    "rotated-right": Condition(rotation_degrees=-45.0),
}
"""By name."""
