"""A change in RGB, brought back into a picture's own samples.

What restoring changed, in RGB, becomes a change of luma and chroma by the picture's matrix (which
is linear: offsets cancel), is averaged down to the chroma samples, added in float32 and rounded
once. So a sample outside the mask stays as it was decoded, bit for bit, and so does one whose
change is zero, whatever the format, the range and the subsampling. Of a picture with luma alone the
luma changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vidrestore.runtime.transfer import to_device
from vidrestore.structs import Picture
from vidrestore.video.picture.chroma import Rect, any_pixel, downsampled
from vidrestore.video.picture.colour import yuv_from_rgb
from vidrestore.video.picture.layouts import Component, Layout, layout_of
from vidrestore.video.picture.samples import (
    aligned_rect,
    component_samples,
    component_scale,
    copy_picture,
)

__all__ = [
    "Change",
    "change_region",
    "changed_picture",
    "changed_samples",
    "planes_mask",
    "sample_changes",
]


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What to add to a part of a picture."""

    rect: Rect
    """Where, as `samples.aligned_rect` gives it: whole groups of pixels that share chroma."""
    residual: Tensor
    """(3, h, w) float32 RGB: new minus old, in units where white is 1."""
    mask: Tensor
    """(h, w) bool: which pixels may change. A chroma sample may if one of its pixels may."""

    def __post_init__(self) -> None:
        size = (self.rect.height, self.rect.width)
        if self.mask.shape != size or self.residual.shape != (3, *size):
            raise ValueError(
                f"change of {self.rect}: needs mask {size} and residual {(3, *size)}, got "
                f"{tuple(self.mask.shape)} and {tuple(self.residual.shape)}"
            )


def changed_picture(picture: Picture, changes: Iterable[Change]) -> Picture:
    """A copy of `picture` with all `changes` added, in turn; `picture` stays as it is."""
    changed = copy_picture(picture)
    layout = layout_of(picture.format)
    for change in changes:
        _check_aligned(picture, change.rect)
        if not change.mask.numel():
            continue
        added = sample_changes(picture, layout, change.residual, change.mask)
        for index, (part, (amount, mask)) in enumerate(zip(layout.components, added, strict=True)):
            samples = component_samples(changed, layout, index)[change_region(change.rect, part)]
            samples.copy_(changed_samples(samples.float(), amount, mask, layout))
    return changed


def sample_changes(
    picture: Picture, layout: Layout, residual: Tensor, mask: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Of each component what is added to its samples, float32, and which of them may change.

    Args:
        picture: or one of the same format, matrix and range.
        layout: of its format.
        residual: (..., 3, h, w), see `Change`.
        mask: (..., h, w).
    """
    values = _residual_values(picture, layout, residual)
    for index, part in enumerate(layout.components):
        _, scale = component_scale(picture, layout, index)
        amount = downsampled(values[..., index, :, :], part.shift_x, part.shift_y) * scale
        yield amount, any_pixel(mask, part.shift_x, part.shift_y)


def planes_mask(picture: Picture, changes: Iterable[Change]) -> list[Tensor]:
    """Which samples `changed_picture` may change.

    Returns:
        For every plane a bool tensor of its shape; samples outside are equal in both pictures.
    """
    layout = layout_of(picture.format)
    none = tuple(torch.zeros(plane.shape, dtype=torch.bool) for plane in picture.planes)
    masked = replace(picture, planes=none)
    for change in changes:
        _check_aligned(picture, change.rect)
        for index, part in enumerate(layout.components):
            may_change = component_samples(masked, layout, index)[change_region(change.rect, part)]
            may_change |= any_pixel(change.mask, part.shift_x, part.shift_y)
    return list(masked.planes)


def _check_aligned(picture: Picture, rect: Rect) -> None:
    if aligned_rect(picture, *rect) != rect:
        raise ValueError(
            f"{rect} is no rectangle of whole chroma samples inside {picture.width}x"
            f"{picture.height} {picture.format}; take one from `aligned_rect`"
        )


def change_region(rect: Rect, part: Component) -> tuple[slice, slice]:
    """(rows, columns) of a component's samples in a rectangle."""
    return rect.shrunk(part.shift_x, part.shift_y)


def _residual_values(picture: Picture, layout: Layout, residual: Tensor) -> Tensor:
    """(..., components, h, w): the change in the components' values, at every pixel."""
    if layout.family == "rgb":
        return residual
    name = "bt709" if picture.matrix == "rgb" else picture.matrix
    matrix = _matrix(name, residual.device)[: len(layout.components)]
    return (matrix @ residual.flatten(-2)).view(
        *residual.shape[:-3], len(matrix), *residual.shape[-2:]
    )


@lru_cache(maxsize=16)
def _matrix(name: str, device: torch.device) -> Tensor:
    """(3, 3) YUV from RGB, sent to a device once."""
    return to_device(yuv_from_rgb(name).astype(np.float32), device)


def changed_samples(stored: Tensor, added: Tensor, mask: Tensor, layout: Layout) -> Tensor:
    """Samples (..., h, w) as float32 with a change where the mask is set, rounded once.

    Whole numbers in float32 plus zero round to themselves, so no sample needs to be left out.
    """
    unit, most = 1 << layout.shift, (1 << layout.bits) - 1
    values = stored if unit == 1 else (stored / unit).floor_()
    changed = (values + mask * (added / unit)).round_().clamp_(0, most)
    return changed if unit == 1 else stored + (changed - values) * unit
