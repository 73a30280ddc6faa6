"""Look at a face again, in upright crops of one size around where it was found.

A detector's landmarks lean with the face's place, size and tilt in what it is shown, by several per
cent of the eye distance. In crops where the landmarks found so far are upright, in the middle and
of one size, the lean is nearly the same in every frame, and the landmarks move with the face.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from vidrestore.geometry import (
    apply,
    compose,
    compose_similarity,
    identity,
    invert,
    similarity_from_points,
    warp_affine,
)
from vidrestore.landmarks import eye_distance
from vidrestore.models.interfaces import FaceDetector
from vidrestore.models.templates import landmark_template
from vidrestore.stages.restore import crop_face
from vidrestore.structs import Array, Frame

__all__ = ["CloserLook", "views"]

_CROP_PX = 256
"""Side of the crop for the closer looks."""
_FACE_PX = 224
"""The face in it, as a crop of this side in the FFHQ alignment; some surroundings help."""
_ALIGNED = landmark_template("ffhq", _FACE_PX) + (_CROP_PX - _FACE_PX) / 2


def _view(shift_px: float, log_scale: float, angle: float) -> Array:
    """(2, 3) that moves an aligned crop about its middle."""
    turned = compose_similarity(log_scale, angle, (0, 0))
    turned[:, 2] = _CROP_PX / 2 + shift_px - turned[:, :2] @ np.full(2, _CROP_PX / 2)
    return turned


_PLAIN = (identity(),)
_SPREAD = (_view(8, 0.1, 0.1), _view(-8, -0.1, -0.1))
"""Two views, apart by a cell of the detector's middle grid, in size and in tilt: what the
grids do to the landmarks differs between the two, and much of it goes with their mean."""
_MAX_CHANGE = 0.3
"""A face found farther than this share of the eye distance from the known one is another one."""


def views(passes: int) -> Sequence[tuple[Array, ...]]:
    """The views of each of so many passes, at most 5: (2, 3) each, how the aligned crop is moved.

    The first pass takes the crop as it is, the others the mean over two views.
    """
    return (_PLAIN, *[_SPREAD] * 4)[:passes]


class CloserLook:
    """Find the landmarks of a face again, in upright crops around those known."""

    def __init__(
        self, frame: Frame, small: Tensor, display_from_small: Array, detector: FaceDetector
    ) -> None:
        self._frame = frame
        self._small = small
        self._display_from_small = display_from_small
        self._detector = detector

    def __call__(self, landmarks: Array, views: Sequence[Array]) -> Array:
        """Better landmarks, (5, 2) in display pixels; the same if a view does not show them.

        Args:
            landmarks: (5, 2) where they are about.
            views: (2, 3) each, how the aligned crop is moved; their answers are averaged.
        """
        to_crops = [compose(view, similarity_from_points(_ALIGNED, landmarks)) for view in views]
        seen = self._detector(torch.stack([self._crop(to_crop) for to_crop in to_crops]))
        answers = []
        for view, to_crop, found in zip(views, to_crops, seen, strict=True):
            expected = apply(view, _ALIGNED)
            apart = np.sqrt(((found.landmarks - expected) ** 2).sum(-1).mean(-1))
            if not len(apart) or apart.min() > _MAX_CHANGE * eye_distance(expected):
                return landmarks
            answers.append(apply(invert(to_crop), found.landmarks[apart.argmin()]))
        better: Array = np.mean(answers, axis=0)
        return better

    def _crop(self, crop_from_display: Array) -> Tensor:
        """(3, _CROP_PX, _CROP_PX): of the small copy where it is fine enough, else of the frame."""
        crop_from_small = compose(crop_from_display, self._display_from_small)
        if abs(np.linalg.det(crop_from_small[:, :2])) <= 1.0:
            return warp_affine(self._small[None], crop_from_small, (_CROP_PX, _CROP_PX))[0]
        crop_from_frame = compose(crop_from_display, self._frame.display.display_from_coded)
        return crop_face(self._frame.picture, crop_from_frame, _CROP_PX)
