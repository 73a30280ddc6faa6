"""How well a face detector agrees with a trusted one on real videos.

`evaluate_detector` looks at every tenth frame in display orientation (rotation applied, square
pixels). The reference sees the frame at its own size, the detector a copy whose longer side is at
most `size_px`. Counted are: sure faces of the reference (score ≥ 0.9, shorter side ≥ `min_side_px`)
that the detector found (IoU ≥ 0.5); the detector's answers that meet no box of the reference with a
score ≥ 0.5 (IoU < 0.3); and, over the faces found, the distance of the five landmarks in units of
the reference's distance between the eyes. `MirroredDetector` tells how well a reference agrees with
itself: no other detector can be asked for more.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidrestore.config import DecodeConfig
from vidrestore.evaluation.conditions import CONDITIONS, Condition
from vidrestore.models.detector import MIRRORED_LANDMARKS, CompactFaceDetector, overlaps
from vidrestore.models.protocols import FaceDetector
from vidrestore.models.retinaface import RetinaFaceDetector
from vidrestore.structs import Detections
from vidrestore.video.reader import VideoReader
from vidrestore.video.samples import shown_rgb

__all__ = [
    "Agreement",
    "MirroredDetector",
    "agreement",
    "answering_from",
    "detect_scaled",
    "display_frames",
    "evaluate_detector",
]

RGB = npt.NDArray[np.uint8]

SURE_SCORE = 0.9
LIKELY_SCORE = 0.5
MATCH_IOU = 0.5
TOUCH_IOU = 0.3


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts over some frames; the sum of two is that of their frames together."""

    n_frames: int = 0
    n_sure: int = 0
    """Faces of which the reference is sure."""
    n_found: int = 0
    """Those that the detector found."""
    n_answers: int = 0
    """The detector's answers."""
    n_false: int = 0
    """Those that meet no likely face of the reference."""
    landmark_error: float = 0.0
    """Sum over the found faces of the mean landmark distance, in eye distances."""
    landmark_px: float = 0.0
    """The same sum in pixels."""
    eyes_px: float = 0.0
    """Sum over the found faces of the reference's distance between the eyes."""

    @property
    def found_share(self) -> float:
        """Found of the sure faces, 0 to 1; NaN without faces."""
        return self.n_found / self.n_sure if self.n_sure else float("nan")

    @property
    def false_share(self) -> float:
        """False of the answers, 0 to 1; 0 without answers."""
        return self.n_false / self.n_answers if self.n_answers else 0.0

    @property
    def landmark_distance(self) -> float:
        """Mean landmark distance over mean eye distance; NaN if no face was found."""
        return self.landmark_px / self.eyes_px if self.n_found else float("nan")

    @property
    def landmark_ratio(self) -> float:
        """Mean over faces of landmark distance over eye distance: profiles, whose eyes nearly
        coincide, make most of it."""
        return self.landmark_error / self.n_found if self.n_found else float("nan")

    def __add__(self, other: Agreement) -> Agreement:
        return Agreement(
            self.n_frames + other.n_frames,
            self.n_sure + other.n_sure,
            self.n_found + other.n_found,
            self.n_answers + other.n_answers,
            self.n_false + other.n_false,
            self.landmark_error + other.landmark_error,
            self.landmark_px + other.landmark_px,
            self.eyes_px + other.eyes_px,
        )


def agreement(
    found: Detections,
    reference: Detections,
    *,
    min_side_px: float = 48,
    also: Detections | None = None,
) -> Agreement:
    """Compares the answers for one frame.

    Args:
        found: the detector's answers, in pixels of the frame.
        reference: the reference's, with all scores ≥ 0.5.
        min_side_px: faces of the reference with a shorter side below this need not be found.
        also: faces that need not be found, and are not false.

    Returns:
        The counts of this frame.
    """
    likely = reference.scores >= LIKELY_SCORE
    sides = reference.boxes_xyxy[:, 2:] - reference.boxes_xyxy[:, :2]
    sure = (reference.scores >= SURE_SCORE) & (sides.min(-1, initial=np.inf) >= min_side_px)
    iou = overlaps(reference.boxes_xyxy, found.boxes_xyxy)
    touching = (iou[likely] >= TOUCH_IOU).any(0) if likely.any() else np.zeros(len(found), bool)
    if also is not None and len(also):
        touching |= (overlaps(also.boxes_xyxy, found.boxes_xyxy) >= TOUCH_IOU).any(0)
    matched, errors, eyes = iou[sure].copy(), [], []
    for row, truth in zip(matched, reference.landmarks[sure], strict=True):
        best = int(row.argmax()) if len(row) else -1
        if best >= 0 and row[best] >= MATCH_IOU:
            matched[:, best] = -1.0
            distances = np.linalg.norm(found.landmarks[best] - truth, axis=-1)
            errors.append(float(distances.mean()))
            eyes.append(float(np.linalg.norm(truth[1] - truth[0])))
    n_false = len(found) - int(touching.sum())
    ratios = sum(error / apart for error, apart in zip(errors, eyes, strict=True))
    return Agreement(
        1, int(sure.sum()), len(errors), len(found), n_false, ratios, sum(errors), sum(eyes)
    )


def display_frames(video: Path, *, every: int = 1) -> Iterator[RGB]:
    """Every so many frames of a video as a person sees them.

    Args:
        video: a video file.
        every: take frames 0, `every`, 2 `every` …

    Yields:
        (H, W, 3) uint8 RGB, rotation applied, pixels made square by changing the width.
    """
    with VideoReader(video, DecodeConfig()) as reader:
        for frame in reader.frames():
            if frame.index % every == 0:
                yield shown_rgb(frame.picture, frame.display)


class MirroredDetector:
    """A detector that is shown the mirror image; its answers are mirrored back.

    Args:
        detector: Any; answers with equal faces in equal places for a picture and its mirror image
            would be the same.
    """

    def __init__(self, detector: FaceDetector) -> None:
        self.detector, self.name = detector, f"{detector.name}, mirrored"

    def __call__(self, images: torch.Tensor) -> list[Detections]:
        """(N, 3, H, W) RGB in [0, 1]; see `FaceDetector`."""
        right = images.shape[3] - 1
        return [_mirrored(found, right) for found in self.detector(images.flip(3))]


def _mirrored(found: Detections, right: int) -> Detections:
    boxes, landmarks = found.boxes_xyxy.copy(), found.landmarks[:, MIRRORED_LANDMARKS].copy()
    boxes[:, [0, 2]] = right - found.boxes_xyxy[:, [2, 0]]
    landmarks[..., 0] = right - landmarks[..., 0]
    return replace(found, boxes_xyxy=boxes, landmarks=landmarks)


def detect_scaled(detector: FaceDetector, picture: RGB, size_px: int | None) -> Detections:
    """Runs a detector on a small copy and gives its answers in pixels of the picture.

    Args:
        detector: the detector.
        picture: (H, W, 3) uint8 RGB.
        size_px: longer side of the copy at most; None for the picture itself.

    Returns:
        The answers, in pixels of `picture`.
    """
    height, width = picture.shape[:2]
    scale = 1.0 if size_px is None else min(1.0, size_px / max(height, width))
    size = (round(width * scale), round(height * scale))
    small = picture if scale == 1.0 else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    image = torch.from_numpy(np.ascontiguousarray(small)).permute(2, 0, 1)[None].float() / 255
    found = detector(image)[0]
    ratio = np.array([width / size[0], height / size[1]], np.float32)
    return replace(
        found,
        boxes_xyxy=(found.boxes_xyxy + 0.5) * np.tile(ratio, 2) - np.float32(0.5),
        landmarks=(found.landmarks + 0.5) * ratio - np.float32(0.5),
    )


def evaluate_detector(
    detector: FaceDetector,
    reference: FaceDetector,
    videos: Sequence[Path],
    *,
    every: int = 10,
    size_px: int | None = 640,
    min_side_px: float = 48,
    condition: Condition = CONDITIONS["plain"],
) -> dict[str, Agreement]:
    """Compares two detectors on videos.

    Args:
        detector: the one to judge; its own threshold decides.
        reference: the one to trust; its own threshold is set to 0.5.
        videos: files; their names must differ.
        every: look at every so many frames.
        size_px: longer side of the copy that `detector` sees; None for the frame itself.
        min_side_px: shorter side from which a face must be found, in display pixels.
        condition: how frames are shown.

    Returns:
        The agreement on each video, by its file name.
    """
    reference = answering_from(reference, LIKELY_SCORE)

    def compared(picture: RGB) -> Agreement:
        shown, upright = condition.turned(picture), detect_scaled(reference, picture, None)
        return agreement(
            detect_scaled(detector, shown, size_px),
            condition.turned_along(upright, *picture.shape[:2]),
            min_side_px=min_side_px,
            also=detect_scaled(reference, shown, None) if condition.degrees else None,
        )

    def total(video: Path) -> Agreement:
        pictures = map(condition.changed, display_frames(video, every=every))
        return sum(map(compared, pictures), Agreement())

    return {video.name: total(video) for video in videos}


def answering_from(detector: FaceDetector, score: float) -> FaceDetector:
    """The same detector with another threshold, where it is one of ours."""
    if isinstance(detector, CompactFaceDetector | RetinaFaceDetector):
        detector = copy.copy(detector)
        detector.score_threshold = score
    return detector
