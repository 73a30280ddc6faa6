"""How well a detector's detections agree with a reference's, in counts that add up.

Counted are faces that the reference is sure of (score ≥ 0.9) and that were found (IoU ≥ 0.5), false
positives (detections that meet no box of the reference with a score ≥ 0.5 by IoU ≥ 0.3), and the
distance of the landmarks in units of the reference's distance between the eyes.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from vidrestore.geometry import box_iou
from vidrestore.landmarks import eye_distance
from vidrestore.structs import Detections

__all__ = ["LIKELY_SCORE", "Agreement", "compare_detections"]

SURE_SCORE = 0.9
LIKELY_SCORE = 0.5
MATCH_IOU = 0.5
TOUCH_IOU = 0.3


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts over some frames; the sum of two is that of their frames together."""

    n_frames: int = 0
    n_reference: int = 0
    """Faces of which the reference is sure."""
    n_found: int = 0
    """Those that the detector found."""
    n_detections: int = 0
    """The detector's detections."""
    n_false_positives: int = 0
    """Detections that meet no likely face of the reference."""
    landmark_error: float = 0.0
    """Sum over the found faces of the mean landmark distance, in eye distances."""
    landmark_px: float = 0.0
    """The same sum in pixels."""
    eye_distance_px: float = 0.0
    """Sum over the found faces of the reference's distance between the eyes."""

    @property
    def recall(self) -> float:
        """Found, of the faces of which the reference is sure, 0 to 1; NaN without faces."""
        return self.n_found / self.n_reference if self.n_reference else float("nan")

    @property
    def false_positive_share(self) -> float:
        """False positives, of the detections, 0 to 1; 0 without detections."""
        return self.n_false_positives / self.n_detections if self.n_detections else 0.0

    @property
    def landmark_distance(self) -> float:
        """Mean landmark distance over mean eye distance; NaN if no face was found."""
        return self.landmark_px / self.eye_distance_px if self.n_found else float("nan")

    @property
    def landmark_ratio(self) -> float:
        """Mean over faces of landmark distance over eye distance: profiles, whose eyes nearly
        coincide, make most of it.
        """
        return self.landmark_error / self.n_found if self.n_found else float("nan")

    def __add__(self, other: Agreement) -> Agreement:
        pairs = zip(astuple(self), astuple(other), strict=True)
        return Agreement(*(mine + its for mine, its in pairs))


def compare_detections(
    found: Detections,
    reference: Detections,
    *,
    min_side_px: float = 48,
    ignored: Detections | None = None,
) -> Agreement:
    """Compare the detections of one frame.

    Args:
        found: the detector's, in pixels of the frame.
        reference: the reference's, with all scores ≥ 0.5.
        min_side_px: faces of the reference with a shorter side below this need not be found.
        ignored: faces that need not be found, and are not false.

    Returns:
        The counts of this frame.
    """
    likely = reference.scores >= LIKELY_SCORE
    sides = reference.boxes_xyxy[:, 2:] - reference.boxes_xyxy[:, :2]
    sure = (reference.scores >= SURE_SCORE) & (sides.min(-1, initial=np.inf) >= min_side_px)
    iou = box_iou(reference.boxes_xyxy, found.boxes_xyxy)
    touching = (iou[likely] >= TOUCH_IOU).any(0) if likely.any() else np.zeros(len(found), bool)
    if ignored is not None and len(ignored):
        touching |= (box_iou(ignored.boxes_xyxy, found.boxes_xyxy) >= TOUCH_IOU).any(0)
    matched, errors, eyes = iou[sure].copy(), [], []
    for row, truth in zip(matched, reference.landmarks[sure], strict=True):
        best = int(row.argmax()) if len(row) else -1
        if best >= 0 and row[best] >= MATCH_IOU:
            matched[:, best] = -1.0
            distances = np.linalg.norm(found.landmarks[best] - truth, axis=-1)
            errors.append(float(distances.mean()))
            eyes.append(eye_distance(truth))
    n_false_positives = len(found) - int(touching.sum())
    ratios = sum(error / apart for error, apart in zip(errors, eyes, strict=True))
    return Agreement(
        1,
        int(sure.sum()),
        len(errors),
        len(found),
        n_false_positives,
        ratios,
        sum(errors),
        sum(eyes),
    )
