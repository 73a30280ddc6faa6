"""The samples of a picture, as they were decoded: shown as RGB where a face is, and changed there.

A `Picture` shares the memory of an `av.VideoFrame`. What the decoder gave is read-only (later
frames are predicted from it), so a change begins with `copy_picture`:

    rgb, rect = region_to_rgb(picture, 100, 80, 400, 380)
    changed = copy_picture(picture)
    add_residual(changed, rect, residual, mask)   # residual = what restoring changed, in RGB

Residuals, not pictures, are converted back, so that no sample outside the mask moves and a residual
of zero changes nothing, whatever the format, range and subsampling.

Conventions: rectangles are `Rect(x0, y0, x1, y1)` in coded pixels, end exclusive. Chroma is sited
as MPEG-2, H.264 and HEVC do without further signs: on the left pixel of its group, and between its
lines. PyAV does not tell where a file says otherwise (JPEG: centred), which shifts the chroma of
both directions by half a pixel at most. Chroma of interlaced frames is taken as progressive.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import av
import av.filter
import torch
from torch import Tensor
from torch.nn import functional

from vidrestore.structs import Picture
from vidrestore.video.colour import guess_matrix, rgb_from_yuv, sample_scale
from vidrestore.video.layouts import Layout, layout_of, native_format, unsupported

__all__ = [
    "Rect",
    "aligned_rect",
    "copy_picture",
    "picture_from_av",
    "region_to_rgb",
]


class Rect(NamedTuple):
    """A rectangle of coded pixels, end exclusive."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """In pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """In pixels."""
        return self.y1 - self.y0


def picture_from_av(frame: av.VideoFrame) -> Picture:
    """Shows a decoded frame's samples as tensors that share its memory.

    Big-endian and bottom-up frames, which no tensor can show, are copied first; their values stay.

    Raises:
        VideoOpenError: if the pixel format is not supported.
    """
    layout = layout_of(frame.format.name)
    if frame.format.name != native_format(frame.format.name):
        try:
            frame = frame.reformat(format=layout.format, threads=1)
        except OSError as error:
            raise unsupported(frame.format.name) from error
    elif any(plane.line_size < 0 for plane in frame.planes):
        frame = _duplicate(frame)
    return _picture(frame, layout)


def copy_picture(picture: Picture) -> Picture:
    """The same picture in memory of its own, whose planes may be written.

    Time, colour tags, field order and side data (captions, mastering display) come along.
    """
    return _picture(_duplicate(picture.handle), layout_of(picture.format))


def region_to_rgb(picture: Picture, x0: int, y0: int, x1: int, y1: int) -> tuple[Tensor, Rect]:
    """The colours of a part of a picture.

    Args:
        picture: where to look.
        x0: left edge in coded pixels; so are the other edges, ends exclusive.
        y0: top edge.
        x1: right edge.
        y1: bottom edge.

    Returns:
        (3, h, w) float32 RGB in [0, 1], and the rectangle it shows: the one asked for, grown to
        whole groups of pixels that share chroma, and clipped to the picture. It may be empty.
    """
    layout = layout_of(picture.format)
    rect = aligned_rect(picture, x0, y0, x1, y1)
    if rect.width == 0 or rect.height == 0:
        return torch.zeros(3, rect.height, rect.width), rect
    values = _values(picture, layout, rect)
    if layout.family == "gray":
        return values.expand(3, -1, -1).clamp(0, 1), rect
    if layout.family == "rgb":
        return values, rect
    matrix = torch.from_numpy(rgb_from_yuv(picture.matrix)).float()
    return (matrix @ values.flatten(1)).clamp_(0, 1).reshape(values.shape), rect


def aligned_rect(picture: Picture, x0: int, y0: int, x1: int, y1: int) -> Rect:
    """The rectangle grown to whole groups of pixels that share chroma, clipped to the picture."""
    shift_x, shift_y = layout_of(picture.format).chroma_shift
    x0, x1 = _aligned(x0, x1, shift_x, picture.width)
    y0, y1 = _aligned(y0, y1, shift_y, picture.height)
    return Rect(x0, y0, x1, y1)


def _aligned(low: int, high: int, shift: int, size: int) -> tuple[int, int]:
    low = min(max(low, 0), size) >> shift << shift
    high = min(-(-high >> shift << shift), size) if high > 0 else 0
    return low, max(high, low)


def _picture(frame: av.VideoFrame, layout: Layout) -> Picture:
    name = layout.format
    tagged = int(frame.color_range)
    # A luma-only picture without a tag is full range, as FFmpeg's scaler takes it.
    untagged_full = layout.family == "gray" and tagged != 1
    return Picture(
        planes=tuple(_plane(frame, index, layout) for index in range(len(layout.groups))),
        format=name,
        width=frame.width,
        height=frame.height,
        full_range=(
            layout.family == "rgb" or name.startswith("yuvj") or tagged == 2 or untagged_full
        ),
        matrix=guess_matrix(
            int(frame.colorspace), frame.width, frame.height, is_rgb=layout.family == "rgb"
        ),
        handle=frame,
    )


def _plane(frame: av.VideoFrame, index: int, layout: Layout) -> Tensor:
    """(H, W), or (H, W, group) where samples interleave; shares the frame's memory and keeps it.

    The buffer protocol shows what DLPack refuses as well: RGB with padding (the 8-bit RGB of FFV1),
    YUYV, and the last row and column of NV12 pictures of odd size.
    """
    plane, group = frame.planes[index], layout.groups[index]
    samples = torch.frombuffer(
        plane, dtype=torch.uint8 if layout.sample_bytes == 1 else torch.uint16
    )
    rows = samples.view(plane.height, plane.line_size // layout.sample_bytes)
    columns = _group_columns(layout, index, frame.width)
    shown = rows[:, : columns * group]
    return shown if group == 1 else shown.unflatten(1, (columns, group))


def _group_columns(layout: Layout, plane: int, width: int) -> int:
    """How many groups of interleaved samples a row of a plane has."""
    shift = max((part.shift_x for part in layout.components if part.plane == plane), default=0)
    return -(-width >> shift)


def _duplicate(frame: av.VideoFrame) -> av.VideoFrame:
    """A frame with the same samples and properties in memory of its own.

    FFmpeg's `copy` filter does that whole; PyAV alone cannot copy side data or the field order. A
    graph costs 0.05 ms and keeps no state between frames.
    """
    graph = av.filter.Graph()
    graph.threads = 1
    time_base = frame.time_base or Fraction(1, 1)
    source = graph.add(
        "buffer",
        video_size=f"{frame.width}x{frame.height}",
        pix_fmt=frame.format.name,
        time_base=f"{time_base.numerator}/{time_base.denominator}",
        colorspace=str(int(frame.colorspace)),
        range=str(int(frame.color_range)),
    )
    graph.link_nodes(source, graph.add("copy"), graph.add("buffersink")).configure()
    graph.push(frame)
    copied = graph.pull()
    assert isinstance(copied, av.VideoFrame)
    return copied


def _component(picture: Picture, layout: Layout, index: int) -> Tensor:
    """(h, w) view of one colour component's samples in the picture's own memory."""
    part = layout.components[index]
    plane = picture.planes[part.plane]
    if layout.groups[part.plane] == 1:
        return plane
    width = -(-picture.width >> part.shift_x)
    return plane.view(plane.shape[0], -1)[:, part.offset :: part.step][:, :width]


def _values(picture: Picture, layout: Layout, rect: Rect) -> Tensor:
    """(components, h, w) float32: colour values at full resolution, without offset and scale."""
    shown = [_upsampled(picture, layout, index, rect) for index in range(len(layout.components))]
    values = torch.empty(len(shown), rect.height, rect.width)
    for index, samples in enumerate(shown):
        offset, scale = _scale(picture, layout, index)
        torch.sub(samples, offset, out=values[index]).div_(scale)
    return values


def _scale(picture: Picture, layout: Layout, index: int) -> tuple[float, float]:
    """(offset, scale) of a component in the units its samples are stored in."""
    offset, scale = sample_scale(
        layout.bits,
        full_range=picture.full_range,
        chroma=layout.family == "yuv" and index > 0,
    )
    return offset * (1 << layout.shift), scale * (1 << layout.shift)


def _upsampled(picture: Picture, layout: Layout, index: int, rect: Rect) -> Tensor:
    """(h, w) float32: a component's samples at every pixel of `rect`, linear in between."""
    part = layout.components[index]
    samples = _component(picture, layout, index)
    if part.shift_x == part.shift_y == 0:
        return samples[rect.y0 : rect.y1, rect.x0 : rect.x1].float()
    rows, columns = samples.shape
    y = _with_neighbours(rect.y0 >> part.shift_y, -(-rect.y1 >> part.shift_y), rows)
    x = _with_neighbours(rect.x0 >> part.shift_x, -(-rect.x1 >> part.shift_x), columns)
    part_of_it = samples[y.start : y.stop, x.start : x.stop].float()
    padded = functional.pad(part_of_it[None], (*x.pad, *y.pad), mode="replicate")[0]
    taller = _interpolate(padded, 1 << part.shift_y, centred=True)
    full = _interpolate(taller.T, 1 << part.shift_x, centred=False).T
    return full[: rect.height, : rect.width]


class _Span(NamedTuple):
    start: int
    stop: int
    pad: tuple[int, int]
    """Samples to repeat on both sides, where the picture ends."""


def _with_neighbours(start: int, stop: int, size: int) -> _Span:
    """One sample more on both sides."""
    low, high = max(start - 1, 0), min(stop + 1, size)
    return _Span(low, high, (low - start + 1, stop + 1 - high))


def _interpolate(padded: Tensor, factor: int, *, centred: bool) -> Tensor:
    """(n + 2, m) samples, one more at both ends than needed, to (n * factor, m) rows.

    Args:
        padded: rows to interpolate between.
        factor: rows for every sample.
        centred: whether a sample lies in the middle of its rows (True) or on the first one.
    """
    before, here, after = padded[:-2], padded[1:-1], padded[2:]
    if factor == 1:
        return here
    rows = padded.new_empty(here.shape[0], factor, here.shape[1])
    for phase in range(factor):
        at = (phase + 0.5) / factor - 0.5 if centred else phase / factor
        torch.lerp(here, after if at >= 0 else before, abs(at), out=rows[:, phase])
    return rows.flatten(0, 1)
