"""Eyes and mouth: where they are, how to cut them out, and their terms (GFP-GAN, arXiv:2101.04061).

GFP-GAN measures eyes and mouths by 68 landmarks: a square about the middle of the marked points,
eyes enlarged by 1.4. Here five landmarks must do. An eye opening is about 0.48 times as wide as
the pupils are apart (30 of 63 mm), which gives 85 px for an eye of the 512 px template, cut out to
80 px; a mouth is as wide as its corners are apart, 112 px there, cut out to 120 px.

Convention: landmarks are (N, 5, 2) in pixels of the pictures, pixel centres at integers: left eye,
right eye (as seen in the picture), nose tip, left and right corner of the mouth. Boxes are
(N, 3, 4) xyxy in the same coordinates, for left eye, right eye and mouth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import roi_align

from vidrestore.landmarks import tensor_eye_distances
from vidrestore.models.nets.discriminators import Verdict
from vidrestore.training.losses.adversarial import vanilla_discriminator, vanilla_generator
from vidrestore.training.losses.style import gram_l1

__all__ = [
    "Regions",
    "component_boxes",
    "component_discriminator",
    "component_generator",
    "component_style",
    "cut_regions",
    "region_sizes",
]

_EYE_ENLARGEMENT = 1.4
_EYE_WIDTH = 0.48
"""Of an eye opening, over the distance of the eyes."""
_EYES_TO_MOUTH = 0.96
"""Distance of the eyes over that from the middle of the eyes to the middle of the mouth, in the
FFHQ template: the size of a face that looks aside.
"""
_LEAST_MOUTH = 0.7
"""Least width of a mouth box over the distance of the eyes, for pursed lips and profiles."""
_EYE_PX, _MOUTH_PX, _CROP_PX = 80, 120, 512
_FINE_STYLE = 0.5
"""Weight of the finer of the two scales in the component style, as published."""


class Regions(NamedTuple):
    """Both eyes and the mouth of a batch, (N, 3, s, s) RGB in [-1, 1]."""

    left_eye: Tensor
    right_eye: Tensor
    mouth: Tensor


def component_boxes(landmarks: Tensor) -> Tensor:
    """Square boxes of both eyes and the mouth.

    Args:
        landmarks: (N, 5, 2), in the module's convention.

    Returns:
        (N, 3, 4) float32; they may reach beyond the picture.
    """
    points = landmarks.float()
    left_eye, right_eye, _, left_corner, right_corner = points.unbind(1)
    mouth = (left_corner + right_corner) / 2
    across = tensor_eye_distances(points)
    down = (mouth - (left_eye + right_eye) / 2).norm(dim=1)
    eye_distance = torch.maximum(across, _EYES_TO_MOUTH * down)
    half_eye = _EYE_ENLARGEMENT * _EYE_WIDTH / 2 * eye_distance
    mouth_width = (right_corner - left_corner).norm(dim=1)
    half_mouth = torch.maximum(mouth_width, _LEAST_MOUTH * eye_distance) / 2
    centres = torch.stack((left_eye, right_eye, mouth), 1)
    halves = torch.stack((half_eye, half_eye, half_mouth), 1)[..., None]
    return torch.cat((centres - halves, centres + halves), 2)


def region_sizes(crop_size: int) -> tuple[int, int, int]:
    """Sides of the regions in pixels, left eye, right eye, mouth, for whole crops of a size.

    80, 80 and 120 at 512 px; otherwise in proportion, rounded to a multiple of 4 for
    `ComponentDiscriminator`, at least 8.
    """
    eye, mouth = (
        max(8, 4 * round(side * crop_size / _CROP_PX / 4)) for side in (_EYE_PX, _MOUTH_PX)
    )
    return eye, eye, mouth


def cut_regions(pictures: Tensor, landmarks: Tensor, *, crop_size: int | None = None) -> Regions:
    """Cut out eyes and mouth by ROI-align; differentiable with respect to the pictures.

    Args:
        pictures: (N, 3, H, W) RGB in [-1, 1].
        landmarks: (N, 5, 2), in the module's convention.
        crop_size: size of the whole crops of which the pictures are windows, for
            `region_sizes`; the height of the pictures if None.

    Returns:
        The regions in float32; what lies beyond the picture is 0.
    """
    boxes = component_boxes(landmarks.to(pictures.device))
    sizes = region_sizes(crop_size or pictures.shape[2])
    boxes = boxes + 0.5  # ROI-align has pixel centres at halves.
    parts = [
        roi_align(pictures.float(), list(boxes[:, part, None].unbind()), size, aligned=True)
        for part, size in enumerate(sizes)
    ]
    return Regions(*parts)


def component_generator(verdicts: Sequence[Verdict]) -> Tensor:
    """Adversarial term of the generator: the sum of `vanilla_generator` over the regions."""
    return torch.stack([vanilla_generator(verdict.logits) for verdict in verdicts]).sum()


def component_discriminator(real: Sequence[Verdict], fake: Sequence[Verdict]) -> Tensor:
    """Term of the component discriminators: `vanilla_discriminator`, summed over the regions."""
    pairs = zip(real, fake, strict=True)
    return torch.stack([vanilla_discriminator(x.logits, y.logits) for x, y in pairs]).sum()


def component_style(own: Sequence[Verdict], wanted: Sequence[Verdict]) -> Tensor:
    """L1 of the Gram matrices of the discriminators' features (equation 4), summed over regions.

    The finer of the two scales counts half, as in the published code.

    Args:
        own: on regions of restored pictures, with features.
        wanted: on regions of the true ones, with features; they get no gradient.

    Raises:
        ValueError: if there are no features.
    """
    terms = []
    for x, y in zip(own, wanted, strict=True):
        if not x.features or not y.features:
            raise ValueError("component style wants verdicts with_features")
        fine, coarse = map(gram_l1, x.features, y.features)
        terms.append(_FINE_STYLE * fine + coarse)
    return torch.stack(terms).sum()
