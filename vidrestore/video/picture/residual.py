"""A change in RGB, brought back into a picture's own samples.

What restoring changed, in RGB, becomes a change of luma and chroma by the picture's matrix (which
is linear: offsets cancel), is averaged down to the chroma samples, added in float32 and rounded
once. So a sample outside the mask stays as it was decoded, bit for bit, and so does one whose
change is zero, whatever the format, the range and the subsampling. Of a picture with luma alone the
luma changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

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

__all__ = ["Change", "changed_picture", "planes_mask"]


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What to add to a part of a picture."""

    rect: Rect
    """Where, as `samples.aligned_rect` gives it: whole groups of pixels that share chroma."""
    residual: Tensor
    """(3, h, w) float32 RGB: new minus old, in units where white is 1; on the CPU."""
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
        values = _residual_values(picture, layout, change.residual)
        for index, part in enumerate(layout.components):
            samples = component_samples(changed, layout, index)[_region(change.rect, part)]
            _, scale = component_scale(picture, layout, index)
            added = downsampled(values[index], part.shift_x, part.shift_y) * scale
            _add(samples, added, _mask(change, part), layout)
    return changed


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
            may_change = component_samples(masked, layout, index)[_region(change.rect, part)]
            may_change |= _mask(change, part)
    return list(masked.planes)


def _check_aligned(picture: Picture, rect: Rect) -> None:
    if aligned_rect(picture, *rect) != rect:
        raise ValueError(
            f"{rect} is no rectangle of whole chroma samples inside {picture.width}x"
            f"{picture.height} {picture.format}; take one from `aligned_rect`"
        )


def _region(rect: Rect, part: Component) -> tuple[slice, slice]:
    return rect.shrunk(part.shift_x, part.shift_y)


def _mask(change: Change, part: Component) -> Tensor:
    return any_pixel(change.mask, part.shift_x, part.shift_y)


def _residual_values(picture: Picture, layout: Layout, residual: Tensor) -> Tensor:
    """(components, h, w): the change in the components' values, at every pixel."""
    if layout.family == "rgb":
        return residual
    rows = yuv_from_rgb("bt709" if picture.matrix == "rgb" else picture.matrix)
    matrix = torch.from_numpy(rows[: len(layout.components)]).float()
    return (matrix @ residual.flatten(1)).view(-1, *residual.shape[1:])


def _add(samples: Tensor, added: Tensor, mask: Tensor, layout: Layout) -> None:
    """Add to samples in place where the mask is set.

    Whole numbers in float32 plus zero round to themselves, so no sample needs to be left out.
    """
    unit, most = 1 << layout.shift, (1 << layout.bits) - 1
    stored = samples.float()
    values = stored if unit == 1 else (stored / unit).floor_()
    changed = (values + mask * (added / unit)).round_().clamp_(0, most)
    samples.copy_(changed if unit == 1 else stored + (changed - values) * unit)
