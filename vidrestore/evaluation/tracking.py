"""How well tracked faces agree with a reference detector that runs on every frame compared.

The tracker runs over the whole video as `vidrestore inspect` does; the reference runs on every
seventh frame, at its own size. As seven and the usual five share no divisor, frames with a
detection and frames that flow carried landmarks to are met alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidrestore.api import inspect_video
from vidrestore.config import DetectConfig, RestoreConfig
from vidrestore.evaluation.detector import (
    Agreement,
    compare_detections,
    detect_scaled,
    display_frames,
)
from vidrestore.metrics.detections import LIKELY_SCORE
from vidrestore.models.interfaces import FaceDetector
from vidrestore.structs import Detections, Face

__all__ = ["TrackingResult", "evaluate_tracking"]


@dataclass(frozen=True)
class TrackingResult:
    """One video."""

    counts: Agreement
    detected_share: float
    """Frames that the detector ran on, of all, 0 to 1."""


def evaluate_tracking(
    video: Path,
    reference: FaceDetector,
    *,
    detector: str = "embedded",
    every_frames: int = 5,
    every: int = 7,
    min_side_px: float = 48,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> TrackingResult:
    """Track the faces of a video, and compare them with the reference's detections.

    Args:
        video: a file.
        reference: the detector they are compared with.
        detector: name or weights of the one that the tracker runs.
        every_frames: it runs at least once in so many frames, see `DetectConfig`.
        every: the reference runs on every so many frames.
        min_side_px: shorter side from which a face must be found, in display pixels.
        progress: told what is done of the video, and how many frames of how many.
    """
    tell = progress or (lambda what, done, total: None)
    config = RestoreConfig(detect=DetectConfig(every_frames=every_frames))
    tracks = inspect_video(
        video,
        detector=detector,
        config=config,
        progress=lambda now: tell("tracked", now.frames, now.total),
    )
    faces = tracks.faces_by_frame()
    counts = Agreement()
    for place, picture in enumerate(display_frames(video, every=every)):
        truth = detect_scaled(reference, picture, None, min_score=LIKELY_SCORE)
        found = _detections(faces.get(place * every, ()))
        counts += compare_detections(found, truth, min_side_px=min_side_px)
        tell("compared", counts.n_frames, None)
    return TrackingResult(counts, len(tracks.detected_frames) / max(1, tracks.frames))


def _detections(faces: tuple[Face, ...]) -> Detections:
    return Detections(
        np.array([face.box_xyxy for face in faces], np.float32).reshape(-1, 4),
        np.array([face.landmarks for face in faces], np.float32).reshape(-1, 5, 2),
        np.array([face.score for face in faces], np.float32),
    )
