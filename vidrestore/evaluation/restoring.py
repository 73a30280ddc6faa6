"""Restore FFHQ-aligned 512 px faces with any restorer, whatever its own template and size."""

from __future__ import annotations

import logging

import numpy as np
import torch
from torch import Tensor

from vidrestore import geometry
from vidrestore.models.interfaces import FaceRestorer
from vidrestore.models.templates import landmark_template
from vidrestore.structs import Array

__all__ = ["FACE_SIZE", "restore_faces"]

FACE_SIZE = 512
_SIZE = (FACE_SIZE, FACE_SIZE)
_log = logging.getLogger(__name__)


def restore_faces(restorer: FaceRestorer, faces: Tensor) -> Tensor:
    """Restore (N, 3, 512, 512) crops of the FFHQ alignment, RGB in [0, 1].

    A restorer with another template or size gets its own crops; its answer is warped back, and
    what lies outside it stays the input's. So does a face that the network has no answer for.

    Returns:
        (N, 3, 512, 512) on the CPU.
    """
    own = landmark_template("ffhq", FACE_SIZE)
    if restorer.size == FACE_SIZE and np.allclose(restorer.template, own, atol=0.01):
        restored = restorer(faces).cpu()
    else:
        restored = _restore_in_own_template(restorer, faces, own)
    failed = restored.isnan().flatten(1).any(1)
    if failed.any():
        _log.warning("%s: no valid answer for %d faces", restorer.name, int(failed.sum()))
    return torch.where(failed.view(-1, 1, 1, 1), faces, restored)


def _restore_in_own_template(restorer: FaceRestorer, faces: Tensor, own: Array) -> Tensor:
    theirs_from_ours = geometry.similarity_from_points(restorer.template, own)
    size = (restorer.size, restorer.size)
    restored = restorer(geometry.warp_affine(faces, theirs_from_ours, size).clamp(0, 1)).cpu()
    ours_from_theirs = geometry.invert(theirs_from_ours)
    corners = np.array([(-0.5, -0.5), (restorer.size - 0.5, restorer.size - 0.5)])
    (left, top), (right, bottom) = geometry.apply(ours_from_theirs, corners)
    y, x = torch.meshgrid(torch.arange(FACE_SIZE), torch.arange(FACE_SIZE), indexing="ij")
    inside = (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    return torch.where(inside, geometry.warp_affine(restored, ours_from_theirs, _SIZE), faces)
