"""How well a face detector agrees with a reference on real videos.

`evaluate_detector` looks at every tenth frame in display orientation (rotation applied, square
pixels). The reference sees the frame at its own size, the detector a copy whose longer side is at
most `size_px`. Counted are: sure faces of the reference (score ≥ 0.9, shorter side ≥ `min_side_px`)
that the detector found (IoU ≥ 0.5); its false positives, which meet no box of the reference with a
score ≥ 0.5 by IoU ≥ 0.3; and, over the faces found, the distance of the five landmarks in units of
the reference's distance between the eyes. `MirroredDetector` tells how well a reference agrees with
itself: no other detector can be asked for more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidrestore.config import DecodeConfig
from vidrestore.datasets.names import distinct_names
from vidrestore.evaluation.conditions import CONDITIONS, Condition
from vidrestore.metrics.detections import LIKELY_SCORE, Agreement, compare_detections
from vidrestore.models.interfaces import FaceDetector
from vidrestore.models.nets.compact_detector import MIRRORED_LANDMARKS
from vidrestore.structs import Detections
from vidrestore.video.picture.samples import shown_rgb
from vidrestore.video.read.reader import VideoReader

__all__ = [
    "Agreement",
    "MirroredDetector",
    "agreement_lines",
    "compare_detections",
    "detect_scaled",
    "display_frames",
    "evaluate_detector",
]

RGB = npt.NDArray[np.uint8]


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
        detector: any; answers with equal faces in equal places for a picture and its mirror image
            would be the same.
    """

    def __init__(self, detector: FaceDetector) -> None:
        self.detector, self.name = detector, f"{detector.name}, mirrored"

    def __call__(
        self,
        images: torch.Tensor,
        *,
        min_score: float | None = None,
        max_roll_degrees: float | None = None,
    ) -> list[Detections]:
        """Find faces in the mirror images; see `FaceDetector`."""
        right = images.shape[3] - 1
        found = self.detector(
            images.flip(3), min_score=min_score, max_roll_degrees=max_roll_degrees
        )
        return [_mirrored(one, right) for one in found]


def _mirrored(found: Detections, right: int) -> Detections:
    boxes, landmarks = found.boxes_xyxy.copy(), found.landmarks[:, MIRRORED_LANDMARKS].copy()
    boxes[:, [0, 2]] = right - found.boxes_xyxy[:, [2, 0]]
    landmarks[..., 0] = right - landmarks[..., 0]
    return replace(found, boxes_xyxy=boxes, landmarks=landmarks)


def detect_scaled(
    detector: FaceDetector,
    picture: RGB,
    size_px: int | None,
    *,
    min_score: float | None = None,
) -> Detections:
    """Run a detector on a small copy and give its detections in pixels of the picture.

    Args:
        detector: the detector.
        picture: (H, W, 3) uint8 RGB.
        size_px: longer side of the copy at most; None for the picture itself.
        min_score: least score of an answer; None for the detector's own threshold.

    Returns:
        The detections, in pixels of `picture`.
    """
    height, width = picture.shape[:2]
    scale = 1.0 if size_px is None else min(1.0, size_px / max(height, width))
    size = (round(width * scale), round(height * scale))
    small = picture if scale == 1.0 else cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    image = torch.from_numpy(np.ascontiguousarray(small)).permute(2, 0, 1)[None].float() / 255
    found = detector(image, min_score=min_score)[0]
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
    progress: Callable[[str, int, int | None], None] | None = None,
) -> dict[str, Agreement]:
    """Compare two detectors on videos.

    Args:
        detector: the one under test; its own threshold decides.
        reference: the one it is compared with; its own threshold is set to 0.5.
        videos: files.
        every: compare every so many frames.
        size_px: longer side of the copy that `detector` sees; None for the frame itself.
        min_side_px: shorter side from which a face must be found, in display pixels.
        condition: how frames are shown.
        progress: told the video and how many of its frames are compared.

    Returns:
        The agreement on each video, by its file name, or by its path where two have one name.
    """

    def refer(picture: RGB) -> Detections:
        return detect_scaled(reference, picture, None, min_score=LIKELY_SCORE)

    def compare(picture: RGB) -> Agreement:
        shown, upright = condition.rotate(picture), refer(picture)
        return compare_detections(
            detect_scaled(detector, shown, size_px),
            condition.rotate_detections(upright, *picture.shape[:2]),
            min_side_px=min_side_px,
            ignored=refer(shown) if condition.rotation_degrees else None,
        )

    def total(name: str, video: Path) -> Agreement:
        counts = Agreement()
        for picture in display_frames(video, every=every):
            counts += compare(condition.apply(picture))
            if progress is not None:
                progress(name, counts.n_frames, None)
        return counts

    videos = list(dict.fromkeys(videos))
    names = distinct_names([v.name for v in videos], [v.as_posix() for v in videos])
    return {name: total(name, video) for name, video in zip(names, videos, strict=True)}


def agreement_lines(head: str, rows: Mapping[str, Agreement]) -> Iterator[str]:
    """Lines of a table of agreements.

    Args:
        head: what the rows are.
        rows: the counts by their names.
    """
    width = max(32, *(len(name) + 2 for name in rows))
    yield f"{head:{width}}{'faces':>7}{'found':>9}{'false':>9}{'landmarks':>19}"
    for name, count in rows.items():
        yield (
            f"{name:{width}}{count.n_reference:7}{100 * count.recall:8.1f}%"
            f"{100 * count.false_positive_share:8.1f}%{100 * count.landmark_distance:10.1f}%"
            f" ({100 * count.landmark_ratio:4.1f}%)"
        )
