"""The conditions that a detector is measured under.

Both detectors see a frame in black-and-white, or degraded. Turned, however, only the judged one
sees it, and the reference's answers are turned along: a detector that was made for upright faces is
no judge of tilted ones. What the reference sees in the turned frame all the same, such as a picture
that hung askew, is no false answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.degradations.compression import jpeg_bytes
from vidrestore.geometry import turned_about_middle
from vidrestore.luma import gray_picture
from vidrestore.models.detectors.suppression import transform_detections
from vidrestore.structs import Detections

__all__ = ["CONDITIONS", "Condition"]

RGB = npt.NDArray[np.uint8]


def degraded(frame: RGB) -> RGB:
    """Seen at half the size, with Gaussian noise of 8 code values, JPEG of quality 30, and back."""
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

    change: Callable[[RGB], RGB] | None = None
    """What both detectors see of a frame."""
    degrees: float = 0.0
    """How far the judged detector sees it turned, counter-clockwise."""

    def changed(self, frame: RGB) -> RGB:
        """What the reference sees, (H, W, 3) uint8 RGB."""
        return frame if self.change is None else self.change(frame)

    def turned(self, frame: RGB) -> RGB:
        """The same turned about its middle, on a black frame that holds all of it."""
        if not self.degrees:
            return frame
        height, width = frame.shape[:2]
        matrix, size = turned_about_middle(height, width, self.degrees)
        return np.asarray(cv2.warpAffine(frame, matrix, size[::-1]), np.uint8)

    def turned_along(self, found: Detections, height: int, width: int) -> Detections:
        """A frame's answers where the turned frame has them."""
        if not self.degrees:
            return found
        matrix, _ = turned_about_middle(height, width, self.degrees)
        return transform_detections(found, matrix)


CONDITIONS: Mapping[str, Condition] = {
    "plain": Condition(),
    "gray": Condition(gray_picture),
    "degraded": Condition(degraded),
    "turned-left": Condition(degrees=45.0),
    "turned-right": Condition(degrees=-45.0),
}
"""By name."""
