"""Changed samples, made on a device and on their way back to the host.

Only the rectangles that change come back, as native samples, all of a picture in one copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vidrestore.runtime.transfer import Arriving, to_host
from vidrestore.structs import Picture
from vidrestore.video.picture.batched_crops import uploaded_picture
from vidrestore.video.picture.layouts import layout_of
from vidrestore.video.picture.residual import (
    Change,
    change_region,
    changed_samples,
    sample_changes,
)
from vidrestore.video.picture.samples import component_samples, copy_picture

__all__ = ["ComingSamples", "pack_samples", "samples_to_come"]

_Region = tuple[int, slice, slice]
"""Number of a component, and rows and columns of its samples."""


@dataclass(frozen=True, slots=True, eq=False)
class ComingSamples:
    """Changed samples of one picture."""

    regions: tuple[_Region, ...]
    """What they are, one after the other, row by row."""
    arriving: Arriving
    """Their bytes."""

    def picture(self, picture: Picture) -> Picture:
        """A copy of a picture with these samples; waits until they are there."""
        copied, layout = copy_picture(picture), layout_of(picture.format)
        coming, begin = self.arriving.wait(), 0
        for index, rows, columns in self.regions:
            samples = component_samples(copied, layout, index)[rows, columns]
            end = begin + samples.numel() * layout.sample_bytes
            samples.copy_(coming[begin:end].view(samples.dtype).view(samples.shape))
            begin = end
        return copied


def samples_to_come(picture: Picture, changes: Sequence[Change]) -> ComingSamples | None:
    """Add changes to an uploaded picture's samples, and begin to bring these to the host.

    Args:
        picture: stays as it is.
        changes: on its device, in rectangles that do not overlap; those of no pixels do not count.

    Returns:
        The samples; None where nothing changes.
    """
    changes = [change for change in changes if change.mask.numel()]
    if not changes:
        return None
    regions, packed = pack_samples(picture, changes)
    return ComingSamples(regions, to_host(packed))


def pack_samples(picture: Picture, changes: Sequence[Change]) -> tuple[tuple[_Region, ...], Tensor]:
    """What changes make of an uploaded picture's samples: what they are, and their bytes in a row,
    on the device.
    """
    layout, planes = layout_of(picture.format), uploaded_picture(picture)
    regions: list[_Region] = []
    packed = []
    for change in changes:
        added = sample_changes(picture, layout, change)
        for index, (part, (amount, mask)) in enumerate(zip(layout.components, added, strict=True)):
            rows, columns = change_region(change.rect, part)
            stored = component_samples(picture, layout, index, planes)[rows, columns]
            whole = _as_floats(stored)
            packed.append(_as_bytes(changed_samples(whole, amount, mask, layout), stored.dtype))
            regions.append((index, rows, columns))
    return tuple(regions), torch.cat(packed)


def _as_floats(samples: Tensor) -> Tensor:
    """Float32; by way of signed numbers, since few operations take unsigned ones of 16 bits."""
    if samples.dtype == torch.uint16:
        return samples.view(torch.int16).int().bitwise_and_(0xFFFF).float()
    return samples.float()


def _as_bytes(values: Tensor, dtype: torch.dtype) -> Tensor:
    if dtype == torch.uint16:
        return values.int().to(torch.int16).flatten().view(torch.uint8)
    return values.to(dtype).flatten()
