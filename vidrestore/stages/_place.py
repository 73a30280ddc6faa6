"""Where a restored crop lies in its picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from vidrestore.config import BlendConfig
from vidrestore.geometry import apply, compose, invert
from vidrestore.stages._mask import border_fade, support
from vidrestore.structs import Array, Face, Picture
from vidrestore.video.picture.samples import Rect, aligned_rect

__all__ = ["Place", "place_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where a crop lies in a picture."""

    size: int
    """Side of the crop in pixels."""
    rect: Rect
    """What the mask may cover of the picture, not empty."""
    rect_from_crop: Array
    """(2, 3) affine from crop pixels to those of `rect`."""
    fade: tuple[Tensor, Tensor] | None
    """(h,) and (w,) weights whose product fades the mask out where it leaves the picture; None for
    all ones."""


def place_of(face: Face, picture: Picture, config: BlendConfig) -> Place | None:
    """Where the crop of a face lies; None without a crop, or where it is beyond the picture."""
    if face.crop is None or face.crop_from_frame is None:
        return None
    size = face.crop.shape[-1]
    frame_from_crop = invert(face.crop_from_frame)
    x0, y0, x1, y1 = support(size)
    corners = apply(frame_from_crop, [[x0, y0], [x1, y0], [x0, y1], [x1, y1]])
    low, high = corners.min(0), corners.max(0)
    # One pixel more, since a sample next to the mask may still see its edge.
    left, top = np.floor(low).astype(int) - 1
    right, bottom = np.ceil(high).astype(int) + 2
    rect = aligned_rect(picture, int(left), int(top), int(right), int(bottom))
    if not rect.width or not rect.height:
        return None
    rect_from_frame = np.array([[1.0, 0.0, -rect.x0], [0.0, 1.0, -rect.y0]])
    widest = 0.5 * config.feather * size * np.linalg.norm(frame_from_crop[:, :2], axis=1)
    return Place(
        size,
        rect,
        rect_from_crop=compose(rect_from_frame, frame_from_crop),
        fade=_fade(picture, rect, low, high, widest),
    )


def _fade(
    picture: Picture, rect: Rect, low: Array, high: Array, widest: Array
) -> tuple[Tensor, Tensor] | None:
    """As wide as the part of the mask that lies outside, up to `widest` (x, y) pixels."""
    left, top = np.clip(-0.5 - low, 0, widest)
    right, bottom = np.clip(high - [picture.width - 0.5, picture.height - 0.5], 0, widest)
    if max(left, top, right, bottom) == 0:
        return None
    across = border_fade(rect.width, rect.x0, picture.width, left, right)
    down = border_fade(rect.height, rect.y0, picture.height, top, bottom)
    return down, across
