"""Scenes of held-out faces, by which a detector is judged."""

from __future__ import annotations

import numpy as np
import torch

from vidrestore.metrics.detections import Agreement, compare_detections
from vidrestore.models.interfaces import FaceDetector
from vidrestore.structs import Detections
from vidrestore.training.detector_data.compose import Scene, SceneComposer

__all__ = ["HELD_OUT_PX", "detect_in_scene"]

HELD_OUT_PX = 256
"""Side of the scenes."""
_LEAST_SIDE_PX = 16.0
"""Faces with a shorter side below this need not be found."""
_HALF_HIDDEN = 0.6
"""Score of faces that need not be found either, and are not false."""


def detect_in_scene(
    detector: FaceDetector,
    composer: SceneComposer,
    seed: int,
    index: int,
    *,
    min_score: float | None = None,
) -> tuple[Scene, Detections, Agreement]:
    """Compose a scene, run a detector on it, and compare with the scene's own labels.

    Args:
        detector: the one under test.
        composer: of the held-out faces.
        seed: of all scenes.
        index: of this one, which follows from (seed, index).
        min_score: least score of an answer; None for the detector's own threshold.

    Returns:
        The scene, what the detector found in it, and the counts.
    """
    scene = composer.compose(np.random.default_rng([seed, index, 2]))
    picture = torch.from_numpy(scene.picture).permute(2, 0, 1)[None].float() / 255
    [found] = detector(picture, min_score=min_score)
    scores = np.where(scene.wanted, 1.0, _HALF_HIDDEN).astype(np.float32)
    truth = Detections(scene.boxes_xyxy, scene.landmarks, scores)
    return scene, found, compare_detections(found, truth, min_side_px=_LEAST_SIDE_PX)
