"""What the embedded detector learns by: the losses of its cells and of its refiner.

Each cell of the first network answers for the face on it, as in FCOS (arXiv:1904.01355); the
refiner tells whether a crop shows a face, and gives a map for each landmark.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.landmarks import tensor_eye_distances
from vidrestore.models.nets.compact_detector import (
    REFINER_MARGIN,
    REFINER_PX,
    STRIDES,
    CellAnswers,
    RefinerAnswers,
)

__all__ = [
    "assign_cells",
    "cell_losses",
    "paired_box_iou",
    "place_entropy",
    "refiner_losses",
]

LEVEL_SIZES_PX = ((0.0, 38.0), (28.0, 76.0), (56.0, 152.0), (112.0, math.inf))
"""Face sizes (square root of the box's area) that each stride learns; neighbours overlap."""

_FRONTAL_EYES = 0.42
"""Distance between the eyes of a face seen from the front, in units of its size."""


def assign_cells(cells: Tensor, boxes: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Which face each cell learns.

    A cell is a face's when its centre lies within 1.5 strides of the box's centre and inside the
    box, and the face's size belongs to the cell's grid. The smallest such face wins.

    Args:
        cells: (P, 3) from `cell_centres`.
        boxes: (N, M, 4).
        state: (N, M): 1 learn, 0 ignore, -1 absent.

    Returns:
        owner: (N, P) int64, index of the face, -1 for none.
        ignored: (N, P) bool, cells inside a face to be ignored.
    """
    x, y, stride = (v[None, :, None] for v in cells.unbind(-1))
    x0, y0, x1, y1 = (v[:, None, :] for v in boxes.unbind(-1))
    inside = (x > x0) & (x < x1) & (y > y0) & (y < y1)
    near = torch.maximum((x - (x0 + x1) / 2).abs(), (y - (y0 + y1) / 2).abs()) < 1.5 * stride
    size = ((x1 - x0) * (y1 - y0)).clamp(min=0).sqrt()
    fits = torch.zeros_like(inside)
    for level_stride, (least, most) in zip(STRIDES, LEVEL_SIZES_PX, strict=True):
        fits |= (stride == level_stride) & (size >= least) & (size < most)
    mine = inside & near & fits & (state == 1)[:, None]
    cost = torch.where(mine, size, torch.inf)
    least_cost, owner = cost.min(-1)
    owner = torch.where(least_cost.isinf(), -1, owner)
    return owner, (inside & (state == 0)[:, None]).any(-1)


def paired_box_iou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalised IoU (arXiv:1902.09630) of boxes (K, 4), row by row: `geometry.box_iou`'s
    diagonal, differentiable.
    """
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    iou = shared / union.clamp(min=1e-6)
    return iou, iou - (hull - union) / hull.clamp(min=1e-6)


def cell_losses(
    answers: CellAnswers, cells: Tensor, boxes: Tensor, landmarks: Tensor, state: Tensor
) -> dict[str, Tensor]:
    """Quality focal loss (arXiv:2006.04388), generalised IoU and L1 of landmarks in units of the
    face's size.

    Args:
        answers: the network's.
        cells: (P, 3) from `cell_centres`.
        boxes: (N, M, 4) truth.
        landmarks: (N, M, 5, 2) truth.
        state: (N, M): 1 learn, 0 ignore, -1 absent.

    Returns:
        ``score``, ``box``, ``landmark``: scalars, to be added up with their weights.
    """
    owner, ignored = assign_cells(cells, boxes, state)
    sample, cell = (owner >= 0).nonzero(as_tuple=True)
    face = owner[sample, cell]
    true_box, true_points = boxes[sample, face], landmarks[sample, face]
    iou, giou = paired_box_iou(answers.boxes_xyxy[sample, cell], true_box)
    target = torch.zeros_like(answers.logits)
    target[sample, cell] = iou.detach().clamp(min=0.1).to(target.dtype)
    cross = F.binary_cross_entropy_with_logits(answers.logits, target, reduction="none")
    focal = (target - answers.logits.sigmoid()).square() * cross
    focal = focal.masked_fill(ignored & (owner < 0), 0.0)
    n = max(len(face), 1)
    size = (true_box[:, 2:] - true_box[:, :2]).prod(1).clamp(min=1).sqrt()
    error = (answers.landmarks[sample, cell] - true_points).abs().mean((1, 2)) / size
    return {"score": focal.sum() / n, "box": (1 - giou).sum() / n, "landmark": error.sum() / n}


def refiner_losses(answers: RefinerAnswers, landmarks: Tensor, state: Tensor) -> dict[str, Tensor]:
    """Cross-entropy of face or not, and L1 of the landmarks of faces in units of the face's size,
    up to three times as much for faces turned aside, whose eyes are close together.

    Args:
        answers: the network's, for K crops.
        landmarks: (K, 5, 2) truth.
        state: (K,): 1 face, 0 none, -1 do not judge.
    """
    judged, face = state >= 0, state == 1
    score = F.binary_cross_entropy_with_logits(
        answers.logits[judged], state[judged].float(), reduction="sum"
    ) / judged.sum().clamp(min=1)
    truth, unit = landmarks[face], REFINER_MARGIN / REFINER_PX
    error = (answers.landmarks[face] - truth).abs().mean((1, 2)) * unit
    eyes = tensor_eye_distances(truth) * unit
    weight = (_FRONTAL_EYES / eyes.clamp(min=1e-3)).clamp(1, 3)
    n_faces = face.sum().clamp(min=1)
    spread = place_entropy(answers.maps[face], truth)
    return {"score": score, "landmark": (weight * error + 2e-3 * spread).sum() / n_faces}


def place_entropy(maps: Tensor, landmarks: Tensor) -> Tensor:
    """(K,) cross-entropy between the maps and Gaussians of one cell around the landmarks."""
    n = maps.shape[-1]
    axis = (torch.arange(n, device=maps.device) + 0.5) * (REFINER_PX / n) - 0.5
    x, y = (
        torch.exp(-0.5 * ((axis - landmarks[..., i : i + 1]) * (n / REFINER_PX)).square())
        for i in (0, 1)
    )
    wanted = (y[..., :, None] * x[..., None, :]).flatten(2)
    wanted = wanted / wanted.sum(2, keepdim=True).clamp(min=1e-6)
    return -(wanted * maps.flatten(2).log_softmax(2)).sum(2).mean(1)
