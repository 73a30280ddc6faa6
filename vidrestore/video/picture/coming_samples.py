"""Changed samples, made on a device and on their way back to the host.

Only the rectangles that change come back, as native samples, those of many pictures in one copy.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vidrestore.runtime.transfer import Arriving, to_host
from vidrestore.structs import Picture
from vidrestore.video.picture.batched_crops import gathered_samples, repeating_edges
from vidrestore.video.picture.chroma import Rect
from vidrestore.video.picture.layouts import Layout, layout_of
from vidrestore.video.picture.residual import change_region, changed_samples, sample_changes
from vidrestore.video.picture.samples import component_samples, copy_picture

__all__ = ["BatchedChanges", "ComingSamples", "pack_samples", "samples_to_come"]


@dataclass(frozen=True, slots=True, eq=False)
class BatchedChanges:
    """What to add to parts of uploaded pictures of one format, matrix, range and size."""

    frames: tuple[int, ...]
    """Of each part, the number of its frame among those given."""
    pictures: tuple[Picture, ...]
    """Of each part."""
    rects: tuple[Rect, ...]
    """Where, as in `residual.Change`, not empty; those of a picture do not overlap."""
    residual: Tensor
    """(N, 3, h, w) as in `residual.Change`; of no matter beyond the sizes of smaller parts."""
    mask: Tensor
    """(N, h, w) bool; not set there."""


class _Region(NamedTuple):
    """Samples of one component of one part."""

    frame: int
    component: int
    rows: slice
    columns: slice
    begin: int
    """Place of its first byte."""
    stride: int
    """Bytes from one row to the next."""


@dataclass(frozen=True, slots=True, eq=False)
class ComingSamples:
    """Changed samples of one picture."""

    regions: tuple[tuple[_Region, Arriving], ...]
    """Where they are, and the bytes that hold them."""

    def picture(self, picture: Picture) -> Picture:
        """A copy of a picture with these samples; waits until they are there."""
        copied, layout = copy_picture(picture), layout_of(picture.format)
        for region, arriving in self.regions:
            samples = component_samples(copied, layout, region.component)
            samples = samples[region.rows, region.columns]
            end = region.begin + len(samples) * region.stride
            rows = arriving.wait()[region.begin : end].view(samples.dtype).view(len(samples), -1)
            samples.copy_(rows[:, : samples.shape[1]])
        return copied


def samples_to_come(changes: Iterable[BatchedChanges]) -> dict[int, ComingSamples]:
    """Add changes to uploaded pictures' samples, and begin to bring these to the host.

    Args:
        changes: on the pictures' device; the pictures stay as they are.

    Returns:
        The samples by number of their frame, of those that change.
    """
    coming: dict[int, list[tuple[_Region, Arriving]]] = {}
    for change in changes:
        regions, packed = pack_samples(change)
        arriving = to_host(packed)
        for region in regions:
            coming.setdefault(region.frame, []).append((region, arriving))
    return {frame: ComingSamples(tuple(regions)) for frame, regions in coming.items()}


def pack_samples(changes: BatchedChanges) -> tuple[list[_Region], Tensor]:
    """What changes make of uploaded pictures' samples: where they are, and their bytes in a row, on
    the device.
    """
    picture, rects, residual = changes.pictures[0], changes.rects, changes.residual
    layout, size = layout_of(picture.format), (residual.shape[-2], residual.shape[-1])
    shift_x, shift_y = layout.chroma_shift
    if any(rect.width % (1 << shift_x) or rect.height % (1 << shift_y) for rect in rects):
        residual = repeating_edges(residual, rects)
    stored = gathered_samples(changes.pictures, rects, size, border=0)
    added = sample_changes(picture, layout, residual, changes.mask)
    regions: list[_Region] = []
    packed: list[Tensor] = []
    begin = 0
    for index, (samples, (amount, mask)) in enumerate(zip(stored, added, strict=True)):
        whole = _as_bytes(changed_samples(samples, amount, mask, layout), layout)
        for frame, rect, one in zip(changes.frames, rects, whole, strict=True):
            rows, columns = change_region(rect, layout.components[index])
            part = one[: rows.stop - rows.start]
            regions.append(_Region(frame, index, rows, columns, begin, part.shape[1]))
            packed.append(part.flatten())
            begin += part.numel()
    return regions, torch.cat(packed)


def _as_bytes(values: Tensor, layout: Layout) -> Tensor:
    """Float32 (N, h, w) to the bytes of each row, (N, h, b)."""
    if layout.sample_bytes == 1:
        return values.to(torch.uint8)
    return values.int().to(torch.int16).view(torch.uint8)  # Few operations make unsigned ones.
