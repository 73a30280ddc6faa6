"""From many answers about the same faces to one for each: suppression and merging."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from torch import Tensor

from vidrestore.geometry import apply, box_iou, ellipse_box
from vidrestore.landmarks import roll_degrees
from vidrestore.structs import Array, Detections

__all__ = [
    "GREATEST_ROLL_DEGREES",
    "detections_from_candidates",
    "distinct_heads",
    "merge_detections",
    "select_detections",
    "transform_detections",
    "within_roll",
]

GREATEST_ROLL_DEGREES = 75.0
"""Heads that lean by more are not answered: 30 degrees beyond the rotated copies, as far as a
detector of upright faces is sure."""

_SAME = 0.4
"""Boxes with a greater IoU than this are one face."""
_NEAR = 0.35
"""Two answers are one head if the middles of their landmarks are nearer to each other than this
share of the larger face; two people, of whom one hides a part of the other, are seen at 0.6."""
_INSIDE, _NEAR_INSIDE = 0.7, 0.55
"""So they are if this share of the smaller box lies in the larger one and the middles are nearer
than the second number; a box turned back from a rotated copy may be twice as large as the face."""


def detections_from_candidates(
    scores: Tensor,
    boxes: Tensor,
    landmarks: Tensor,
    score_threshold: float,
    overlap: float,
    *,
    average: bool = False,
) -> Detections:
    """Merge the many answers for each face into one, by greedy non-maximum suppression.

    Args:
        scores: (P,) in [0, 1].
        boxes: (P, 4) as x0, y0, x1, y1.
        landmarks: (P, 5, 2).
        score_threshold: least score of a face; candidates count from half of it.
        overlap: candidates with a greater IoU to a better one do not make a face of their own.
        average: a face's box and landmarks are the mean over its candidates (IoU with the best one
            at least 0.6) weighted by the square of the score, instead of the best candidate's;
            steadier, as neighbouring cells err differently.

    Returns:
        Faces by falling score, float32 on the CPU.
    """
    chosen = (scores >= score_threshold / 2).nonzero()[:, 0]
    order = chosen[scores[chosen].argsort(descending=True, stable=True)][:2000]
    left = [t[order].float().cpu().numpy() for t in (scores, boxes, landmarks)]
    faces: list[tuple[npt.NDArray[np.float32], ...]] = []
    while len(left[0]) and left[0][0] >= score_threshold:
        iou = box_iou(left[1][:1], left[1])[0]
        near = iou >= 0.6 if average else np.zeros(len(iou), bool)
        near[0] = True
        weight = left[0][near] ** 2 / (left[0][near] ** 2).sum()
        box, points = (np.tensordot(weight, part[near], 1) for part in left[1:])
        faces.append((left[0][0], box, points))
        keep = iou <= overlap
        keep[0] = False
        left = [part[keep] for part in left]
    return Detections(
        np.array([face[1] for face in faces], np.float32).reshape(-1, 4),
        np.array([face[2] for face in faces], np.float32).reshape(-1, 5, 2),
        np.array([face[0] for face in faces], np.float32),
    )


def within_roll(found: Detections, max_roll_degrees: float) -> Detections:
    """The heads that lean by less than an angle."""
    return select_detections(found, np.abs(roll_degrees(found.landmarks)) < max_roll_degrees)


def transform_detections(found: Detections, b_from_a: Array) -> Detections:
    """Transform the answers for one picture by a (2, 3) affine into those for another."""
    boxes = [ellipse_box(box, b_from_a) for box in found.boxes_xyxy]
    return replace(
        found,
        boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        landmarks=apply(b_from_a, found.landmarks).astype(np.float32),
    )


def merge_detections(
    several: Sequence[Detections], *, max_roll_degrees: float = GREATEST_ROLL_DEGREES
) -> Detections:
    """Join the answers of several detections on one picture: of those that are one head, keep the
    best.

    A head that leans too far is not answered, but first takes the place of a less sure answer that
    has it upside down.

    Args:
        several: all in pixels of the picture; answers of one detection stay apart from each other.
        max_roll_degrees: heads that lean further are not answered.
    """
    every = Detections(
        np.concatenate([found.boxes_xyxy for found in several]),
        np.concatenate([found.landmarks for found in several]),
        np.concatenate([found.scores for found in several]),
    )
    source = np.repeat(np.arange(len(several)), [len(found) for found in several])
    kept: list[int] = []
    for index in np.argsort(-every.scores, kind="stable"):
        others = [other for other in kept if source[other] != source[index]]
        if not _same_head(every, int(index), others).any():
            kept.append(int(index))
    return within_roll(select_detections(every, np.array(kept, np.intp)), max_roll_degrees)


def distinct_heads(found: Detections) -> npt.NDArray[np.intp]:
    """Numbers of the answers, in their order, without those that are a surer answer's head.

    Args:
        found: by any order of scores; as close looks leave them, so that landmarks of one head have
            met.
    """
    kept: list[int] = []
    for index in np.argsort(-found.scores, kind="stable"):
        if not _same_head(found, int(index), kept).any():
            kept.append(int(index))
    return np.array(sorted(kept), np.intp)


def _same_head(found: Detections, index: int, others: Sequence[int]) -> npt.NDArray[np.bool_]:
    """(len(others),) whether an answer is the head of another one."""
    box, boxes = found.boxes_xyxy[index], found.boxes_xyxy[others]
    area, areas = (np.clip(b[..., 2:] - b[..., :2], 0, None).prod(-1) for b in (box, boxes))
    iou = box_iou(box, boxes)[0]
    shared = iou / (1 + iou) * (area + areas)
    inside = shared / np.maximum(np.minimum(area, areas), 1e-9)
    middle, middles = found.landmarks[index].mean(0), found.landmarks[others].mean(1)
    apart = np.linalg.norm(middles - middle, axis=1)
    apart = apart / np.maximum(np.sqrt(np.maximum(area, areas)), 1e-9)
    same = (iou > _SAME) | (apart < _NEAR) | ((inside > _INSIDE) & (apart < _NEAR_INSIDE))
    return np.asarray(same, np.bool_)


def select_detections(
    found: Detections, which: npt.NDArray[np.bool_] | npt.NDArray[np.intp]
) -> Detections:
    """Some of the answers, by a mask or by their numbers."""
    return replace(
        found,
        boxes_xyxy=found.boxes_xyxy[which],
        landmarks=found.landmarks[which],
        scores=found.scores[which],
    )
