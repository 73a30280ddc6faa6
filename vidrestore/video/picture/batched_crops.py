"""Aligned crops of many faces and pictures at once, on the device that holds the planes.

The same as `region_to_rgb` and `geometry.warp_affine` give face by face, within rounding: where a
crop is coarser than the picture, whole boxes of pixels are averaged first; beyond the picture its
edge repeats. What decides the shapes (rectangles, boxes) is known on the host.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from vidrestore.geometry import apply, averaging_box, compose, invert, sampling_axes
from vidrestore.runtime.transfer import to_device
from vidrestore.structs import Array, Picture
from vidrestore.video.picture.chroma import Rect, upsampled
from vidrestore.video.picture.colour import rgb_from_yuv
from vidrestore.video.picture.layouts import Layout, layout_of
from vidrestore.video.picture.samples import aligned_rect, component_samples, component_scale

__all__ = [
    "batched_grid",
    "crop_rect",
    "cut_crops",
    "gathered_samples",
    "regions_to_rgb",
    "repeating_edges",
]

_MOST_PIXELS = 1 << 25
"""Of the surroundings of faces that are in work at a time, 1.2 GB with all that is made of them."""


def crop_rect(picture: Picture, crop_from_frame: Array, size: int) -> Rect:
    """The part of a picture that an aligned crop may show."""
    corners = np.array([[0, 0], [size - 1, 0], [0, size - 1], [size - 1, size - 1]], np.float64)
    reach = apply(invert(crop_from_frame), corners)
    low = np.floor(reach.min(0)).astype(int) - 3
    high = np.ceil(reach.max(0)).astype(int) + 4
    limit = np.array([picture.width, picture.height])
    low, high = np.clip(low, 0, limit - 1), np.clip(high, 1, limit)
    return aligned_rect(picture, *low.tolist(), *high.tolist())


def cut_crops(pictures: Sequence[Picture], crops_from_frames: Sequence[Array], size: int) -> Tensor:
    """Cut aligned crops from uploaded pictures.

    Args:
        pictures: with `uploaded` planes, one for each crop; the same one may come several times.
        crops_from_frames: (2, 3) each.
        size: side of the crops in pixels.

    Returns:
        (N, 3, size, size) RGB in [0, 1] on the device of the planes.
    """
    plans = [
        _plan(number, picture, matrix, size)
        for number, (picture, matrix) in enumerate(zip(pictures, crops_from_frames, strict=True))
    ]
    plans.sort(key=lambda plan: plan.kind)
    done, order = [], []
    for _, alike in groupby(plans, key=lambda plan: plan.kind):
        for part in _parts(list(alike)):
            done.append(_cut(part, size))
            order += [plan.number for plan in part]
    crops = done[0] if len(done) == 1 else torch.cat(done)
    if order == sorted(order):
        return crops
    return torch.stack([crops[order.index(number)] for number in range(len(order))])


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What is known of a crop before it is cut."""

    number: int
    picture: Picture
    rect: Rect
    box: tuple[int, int]
    """Pixels across and down that are averaged to one."""
    rect_from_crop: Array

    @property
    def kind(self) -> tuple[object, ...]:
        """What crops that are cut together have in common."""
        picture = self.picture
        return (*self.box, picture.format, picture.matrix, picture.full_range)


def _plan(number: int, picture: Picture, crop_from_frame: Array, size: int) -> _Plan:
    rect = crop_rect(picture, crop_from_frame, size)
    frame_from_rect = np.array([[1.0, 0.0, rect.x0], [0.0, 1.0, rect.y0]])
    rect_from_crop = invert(compose(crop_from_frame, frame_from_rect))
    return _Plan(number, picture, rect, averaging_box(rect_from_crop), rect_from_crop)


def _parts(plans: list[_Plan]) -> Iterator[list[_Plan]]:
    """Such as fit into memory together."""
    part: list[_Plan] = []
    for plan in plans:
        sizes = [(one.rect.width, one.rect.height) for one in (*part, plan)]
        pixels = len(sizes) * max(w for w, _ in sizes) * max(h for _, h in sizes)
        if part and pixels > _MOST_PIXELS:
            yield part
            part = []
        part.append(plan)
    yield part


def _cut(plans: Sequence[_Plan], size: int) -> Tensor:
    regions = regions_to_rgb([p.picture for p in plans], [p.rect for p in plans])
    across, down = plans[0].box
    if (across, down) != (1, 1):
        rest = (0, -regions.shape[-1] % across, 0, -regions.shape[-2] % down)
        regions = functional.pad(regions, rest, mode="replicate") if any(rest) else regions
        regions = functional.avg_pool2d(regions, (down, across))
    small_from_rect = np.array(
        [[1 / across, 0, (1 / across - 1) / 2], [0, 1 / down, (1 / down - 1) / 2]]
    )
    affines = [compose(small_from_rect, plan.rect_from_crop) for plan in plans]
    places = batched_grid(regions, affines, (size, size))
    crops = functional.grid_sample(
        regions, places, mode="bilinear", padding_mode="border", align_corners=False
    )
    return crops.clamp_(0, 1)


def batched_grid(images: Tensor, ins_from_outs: Sequence[Array], size: tuple[int, int]) -> Tensor:
    """(N, height, width, 2): where to sample each image, as `geometry.warp_affine` does.

    Args:
        images: (N, C, H, W) that will be sampled.
        ins_from_outs: (2, 3) each.
        size: height and width of what is made.
    """
    axes = [sampling_axes(images.shape[-2:], affine, size) for affine in ins_from_outs]
    packed = np.stack([np.concatenate(pair).astype(np.float32) for pair in axes])
    sent = to_device(packed, images.device)
    x, y = sent[:, : size[1]], sent[:, size[1] :]
    return x[:, None] + y[:, :, None]


def _uploaded_planes(picture: Picture) -> tuple[Tensor, ...]:
    """The planes of a picture on the device."""
    assert picture.uploaded is not None, "the picture has been uploaded"
    return picture.uploaded.take()


def regions_to_rgb(pictures: Sequence[Picture], rects: Sequence[Rect]) -> Tensor:
    """The colours of parts of uploaded pictures of one format, matrix and range.

    Args:
        pictures: one for each part.
        rects: of whole groups of pixels that share chroma, not empty.

    Returns:
        (N, 3, h, w) RGB in [0, 1], as high and wide as the largest part; beyond the smaller ones
        their edge repeats.
    """
    picture, layout = pictures[0], layout_of(pictures[0].format)
    height = max(rect.height for rect in rects)
    width = max(rect.width for rect in rects)
    samples = gathered_samples(pictures, rects, (height, width), border=1)
    values = []
    for index, (part, near) in enumerate(zip(layout.components, samples, strict=True)):
        shown = upsampled(near, part.shift_x, part.shift_y)[..., :height, :width]
        offset, scale = component_scale(picture, layout, index)
        values.append((shown - offset).div_(scale))
    return repeating_edges(_rgb(picture, layout, values), rects)


def repeating_edges(images: Tensor, rects: Sequence[Rect]) -> Tensor:
    """(N, 3, h, w) in which the last row and column of smaller parts go on."""
    height, width = images.shape[-2:]
    if all((rect.height, rect.width) == (height, width) for rect in rects):
        return images
    last = np.array([(rect.height - 1, rect.width - 1) for rect in rects])[:, :, None]
    rows, columns = np.arange(height), np.arange(width)
    at = np.concatenate([rows.clip(max=last[:, 0]), columns.clip(max=last[:, 1])], 1)
    sent = to_device(at, images.device)
    which = torch.arange(len(rects), device=images.device)[:, None, None, None]
    channel = torch.arange(3, device=images.device)[:, None, None]
    return images[which, channel, sent[:, None, :height, None], sent[:, None, None, height:]]


def _rgb(picture: Picture, layout: Layout, values: list[Tensor]) -> Tensor:
    if layout.family == "gray":
        return values[0][:, None].expand(-1, 3, -1, -1).clamp(0, 1)
    components = torch.stack(values, 1)
    if layout.family == "rgb":
        return components
    matrix = _matrix(picture.matrix, components.device)
    return (matrix @ components.flatten(2)).clamp_(0, 1).view_as(components)


@lru_cache(maxsize=16)
def _matrix(name: str, device: torch.device) -> Tensor:
    """(3, 3), sent to a device once."""
    return to_device(rgb_from_yuv(name).astype(np.float32), device)


def gathered_samples(
    pictures: Sequence[Picture], rects: Sequence[Rect], size: tuple[int, int], *, border: int
) -> list[Tensor]:
    """The samples of parts of uploaded pictures of one format and size.

    Args:
        pictures: one for each part.
        rects: see `regions_to_rgb`.
        size: height and width in pixels for every part, at least those of the largest.
        border: further samples on each side.

    Returns:
        Of each component (N, rows + 2 border, columns + 2 border), as float32; beyond the plane,
        and one sample beyond a part, the edge repeats.
    """
    layout = layout_of(pictures[0].format)
    distinct = list({id(one): one for one in pictures}.values())
    number = {id(one): place for place, one in enumerate(distinct)}
    which = np.array([number[id(one)] for one in pictures])[:, None]
    planes = [_uploaded_planes(one) for one in distinct]
    parts, index = [which], []
    for place, part in enumerate(layout.components):
        spans = [rect.shrunk(part.shift_x, part.shift_y) for rect in rects]
        whole = component_samples(pictures[0], layout, place).shape
        counts = (-(-size[0] >> part.shift_y), -(-size[1] >> part.shift_x))
        rows, columns = (
            _places([span[axis] for span in spans], counts[axis], whole[axis], border)
            for axis in range(2)
        )
        near = (_bounds(rows), _bounds(columns))
        parts += [rows - near[0].start, columns - near[1].start]
        index.append(near)
    sent = to_device(np.concatenate(parts, 1), planes[0][0].device)
    own, *lines = sent.split_with_sizes([one.shape[1] for one in parts], 1)
    found = []
    for place, near in enumerate(index):
        views = [
            component_samples(one, layout, place, taken)[near]
            for one, taken in zip(distinct, planes, strict=True)
        ]
        down, across = lines[2 * place : 2 * place + 2]
        found.append(
            _as_floats(_stacked(views)[own[:, :, None], down[:, :, None], across[:, None]])
        )
    return found


def _places(spans: list[slice], count: int, end: int, border: int) -> npt.NDArray[np.int64]:
    """(N, count + 2 border) places along one axis, the same again beyond a span or the plane."""
    begin = np.array([span.start for span in spans])[:, None]
    last = np.array([min(span.stop, end - 1) for span in spans])[:, None]
    return (begin + np.arange(-border, count + border)).clip(0, last)


def _bounds(places: npt.NDArray[np.int64]) -> slice:
    """What of an axis holds all places: no more is copied."""
    return slice(int(places.min()), int(places.max()) + 1)


def _stacked(views: list[Tensor]) -> Tensor:
    """(F, rows, columns); 16-bit samples as signed ones, which more operations take."""
    if views[0].dtype == torch.uint16:
        views = [view.view(torch.int16) for view in views]
    return torch.stack(views) if len(views) > 1 else views[0][None]


def _as_floats(samples: Tensor) -> Tensor:
    if samples.dtype == torch.int16:
        samples = samples.int().bitwise_and_(0xFFFF)
    return samples.float()
