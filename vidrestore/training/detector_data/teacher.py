"""A trusted detector's word on made-up scenes: its boxes, its landmarks, its idea of a face.

Landmarks of a turned head and the edge of what counts as a face are conventions. A detector that
is to be followed, and measured, by another's convention learns them best from that one's answers.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from vidrestore.geometry import box_iou
from vidrestore.metrics.files import NetworkFile
from vidrestore.models import zoo
from vidrestore.models.interfaces import FaceDetector
from vidrestore.models.load import load_detector
from vidrestore.training.detector_data import Scene
from vidrestore.training.losses.perceptual import weights_file

__all__ = ["load_teacher", "teach"]

_SURE = 0.7
"""Score from which the teacher's word counts."""
_PLAUSIBLE = 0.3
"""Score from which what it saw beside the scene's faces is at least not punished."""
_TINY_PX = 40.0
"""Sides below this are too small for the teacher: there the scene's own labels stay."""
_SAME = 0.5


def load_teacher(path: Path | None = None) -> FaceDetector:
    """The public RetinaFace (MobileNet 0.25) on the CPU, answering from a low score on.

    Args:
        path: its weights; None looks into the folder of weights.

    Raises:
        NotAvailableError: they are not there.
        WeightsError: they are of another network.
    """
    (spec,) = zoo.find("retinaface-mobile0.25", "detector")
    assert spec.url is not None and spec.sha256 is not None
    file = NetworkFile(spec.filename, spec.url, spec.sha256)
    return load_detector(weights_file(file, path, option="teacher"), device="cpu")


def teach(teacher: FaceDetector, scene: Scene, *, zoom: int = 1) -> Scene:
    """The scene with the teacher's boxes and landmarks.

    A face that the teacher is not sure of is neither learnt nor punished, unless it is tiny; a sure
    answer beside the scene's faces is added.

    Args:
        teacher: from `load_teacher`.
        scene: (S, S, 3) picture with M faces.
        zoom: the teacher sees the picture this many times as large, as it would a large frame of
            which its pupil is shown a small copy.

    Returns:
        A scene whose first M faces are those of `scene`, in their order.
    """
    picture = scene.picture
    if zoom != 1:
        picture = cv2.resize(picture, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    image = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    found = teacher(image, min_score=_PLAUSIBLE)[0]
    found = replace(
        found,
        boxes_xyxy=((found.boxes_xyxy + 0.5) / zoom - 0.5).astype(np.float32),
        landmarks=((found.landmarks + 0.5) / zoom - 0.5).astype(np.float32),
    )
    boxes, landmarks = scene.boxes_xyxy.copy(), scene.landmarks.copy()
    wanted, spare = scene.wanted.copy(), np.ones(len(found), bool)
    shared = box_iou(boxes, found.boxes_xyxy)
    for face in range(len(boxes)):
        best = int(shared[face].argmax()) if len(found) else -1
        if best >= 0 and shared[face, best] >= _SAME:
            spare[best] = False
            boxes[face], landmarks[face] = found.boxes_xyxy[best], found.landmarks[best]
            wanted[face] = found.scores[best] >= _SURE
        elif (boxes[face, 2:] - boxes[face, :2]).min() * zoom >= _TINY_PX:
            wanted[face] = False
    return replace(
        scene,
        boxes_xyxy=np.concatenate([boxes, found.boxes_xyxy[spare].astype(boxes.dtype)]),
        landmarks=np.concatenate([landmarks, found.landmarks[spare].astype(landmarks.dtype)]),
        wanted=np.concatenate([wanted, found.scores[spare] >= _SURE]),
    )
