"""Face pictures moved onto the alignment that a network is trained for.

A network restores well only what is aligned as in its training, so training cuts its crops as the
program does: by the similarity that takes a face's five landmarks to the template. Only beyond the
border of a picture they differ: there it is mirrored, since aligned pictures end close to the face,
and frames of a video do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vidrestore import geometry
from vidrestore.models.templates import landmark_template

__all__ = ["Alignment"]

_MOST_BEYOND = 0.5
"""A crop that reaches further beyond the border, in sides of the picture, is none of a face."""


@dataclass(frozen=True)
class Alignment:
    """Where faces lie in the crops of a training."""

    size_px: int
    """Side of the crops."""
    template: str = "ffhq"
    """Name of the crops' alignment, see `vidrestore.models.templates`."""
    unlabelled: str = "ffhq"
    """Name of the alignment that pictures without landmarks have already."""

    @property
    def landmarks(self) -> NDArray[np.float64]:
        """(5, 2) of a crop, in its pixels."""
        return landmark_template(self.template, self.size_px)

    def keeps(self, landmarks: NDArray[np.float64] | None) -> bool:
        """Whether a picture is aligned as it is, having no landmarks and this very alignment."""
        return landmarks is None and self.template == self.unlabelled

    def crop(
        self, image: NDArray[np.uint8], landmarks: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float64]] | None:
        """Cut the face out.

        Args:
            image: (W, W, 3) RGB.
            landmarks: (5, 2) in its pixels; None where they lie as `unlabelled` says.

        Returns:
            The crop (S, S, 3) and its landmarks (5, 2); None where most of it would lie outside the
            picture.
        """
        if landmarks is None:
            landmarks = landmark_template(self.unlabelled, image.shape[1])
        crop_from_image = geometry.similarity_from_points(self.landmarks, landmarks)
        crop = _cut(image, crop_from_image, self.size_px)
        return None if crop is None else (crop, geometry.apply(crop_from_image, landmarks))


def _cut(
    image: NDArray[np.uint8], crop_from_image: NDArray[np.float64], size: int
) -> NDArray[np.uint8] | None:
    ends = np.array([-0.5, size - 0.5])
    corners = geometry.apply(
        geometry.invert(crop_from_image), np.stack(np.meshgrid(ends, ends), axis=-1)
    )
    height, width = image.shape[:2]
    beyond = max(-corners.min(), (corners - [width - 1, height - 1]).max(), 0.0)
    if beyond > _MOST_BEYOND * max(height, width):
        return None
    border = int(np.ceil(beyond)) + 2 if beyond else 0
    padded = np.pad(image, ((border, border), (border, border), (0, 0)), "reflect")
    image_from_padded = np.column_stack([np.eye(2), [-border, -border]])
    crop_from_padded = geometry.compose(crop_from_image, image_from_padded)
    pixels = torch.from_numpy(padded).permute(2, 0, 1)[None].float()
    # Bicubic, as these are truths: every loss of sharpness would be learnt.
    crop = geometry.warp_affine(pixels, crop_from_padded, (size, size), mode="bicubic")
    found: NDArray[np.uint8] = crop[0].clamp(0, 255).round().byte().permute(1, 2, 0).numpy()
    return np.ascontiguousarray(found)
