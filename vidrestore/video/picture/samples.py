"""The samples of a picture, as they were decoded: shown as RGB where a face is, and changed there.

A `Picture` shares the memory of an `av.VideoFrame`. What the decoder gave is read-only (later
frames are predicted from it), so a change begins with `copy_picture`:

    rgb, rect = region_to_rgb(picture, 100, 80, 400, 380)
    copied = copy_picture(picture)

How a change in RGB comes back into the samples is told in `residual.py`.

Conventions: rectangles are `Rect(x0, y0, x1, y1)` in coded pixels, end exclusive. Chroma is sited
as MPEG-2, H.264 and HEVC do without further signs: on the left pixel of its group, and between its
lines. PyAV does not tell where a file says otherwise (JPEG: centred), which shifts the chroma of
both directions by half a pixel at most. Chroma of interlaced frames is taken as progressive.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import av
import av.filter
import numpy as np
import numpy.typing as npt
import torch
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from torch import Tensor

from vidrestore.geometry import compose, invert, warp_affine
from vidrestore.structs import Array, Display, Picture
from vidrestore.video.picture.chroma import Rect, upsampled_region
from vidrestore.video.picture.colour import guess_matrix, rgb_from_yuv, sample_scale, yuv_from_rgb
from vidrestore.video.picture.layouts import Layout, layout_of, native_format, unsupported

__all__ = [
    "Rect",
    "aligned_rect",
    "component_samples",
    "component_scale",
    "copy_picture",
    "luma_region",
    "picture_from_av",
    "picture_from_rgb",
    "picture_to_rgb",
    "region_to_rgb",
    "shown_rgb",
    "small_rgb",
]

_UNKNOWN_MATRIX, _RESERVED_MATRIX = 2, 3
"""`MatrixCoefficients` of H.273; FFmpeg's filters refuse the reserved one."""

_SCALER_MATRICES = {
    "bt709": Colorspace.ITU709,
    "fcc": Colorspace.FCC,
    "smpte240m": Colorspace.SMPTE240M,
    "bt2020": Colorspace.BT2020,
}


def picture_from_av(frame: av.VideoFrame) -> Picture:
    """Show a decoded frame's samples as tensors that share its memory.

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


def luma_region(picture: Picture, x0: int, y0: int, x1: int, y1: int) -> npt.NDArray[np.uint8]:
    """Brightness of a part of a picture, for following motion.

    Returns:
        (h, w) uint8, the high bits of luma as stored (of RGB: BT.709's luma); the rectangle is
        clipped to the picture.
    """
    layout = layout_of(picture.format)
    x0, x1 = (min(max(x, 0), picture.width) for x in (x0, x1))
    y0, y1 = (min(max(y, 0), picture.height) for y in (y0, y1))
    drop = layout.bits + layout.shift - 8
    if layout.family != "rgb":
        stored = component_samples(picture, layout, 0)[y0:y1, x0:x1].numpy()
        return (stored >> drop).astype(np.uint8)
    luma = torch.zeros(y1 - y0, x1 - x0)
    for index, weight in enumerate(yuv_from_rgb("bt709")[0]):
        luma += weight * component_samples(picture, layout, index)[y0:y1, x0:x1].float()
    region: npt.NDArray[np.uint8] = (luma / (1 << drop)).to(torch.uint8).numpy()
    return region


def picture_from_rgb(image: npt.NDArray[np.uint8]) -> Picture:
    """A picture that holds a copy of `image`, (H, W, 3) uint8 RGB."""
    return picture_from_av(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24"))


def picture_to_rgb(picture: Picture) -> npt.NDArray[np.uint8]:
    """The whole picture in coded orientation, (H, W, 3) uint8 RGB; exact for 8-bit RGB."""
    rgb, _ = region_to_rgb(picture, 0, 0, picture.width, picture.height)
    return (rgb * 255).round_().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def small_rgb(picture: Picture, display: Display, longer_side: int) -> tuple[Tensor, Array]:
    """A small copy of the picture as a person sees it, for finding faces.

    Args:
        picture: the picture.
        display: how it is shown.
        longer_side: the copy's longer side in pixels; small pictures are not enlarged.

    Returns:
        (3, h, w) float32 RGB in [0, 1], upright with square pixels, and the (2, 3) affine
        `display_from_small`.
    """
    scale = min(1.0, longer_side / max(display.width, display.height))
    shown, display_from_small = _shown(picture, display, scale)
    return shown.float().div_(255), display_from_small


def shown_rgb(picture: Picture, display: Display) -> npt.NDArray[np.uint8]:
    """The picture as a person sees it: (H, W, 3) uint8 RGB, upright, with square pixels."""
    shown, _ = _shown(picture, display, 1.0)
    return shown.permute(1, 2, 0).contiguous().numpy()


def _shown(picture: Picture, display: Display, scale: float) -> tuple[Tensor, Array]:
    """(3, h, w) uint8 as displayed, `scale` times the size, and `display_from_shown`."""
    size = np.maximum(1, np.rint(scale * np.array([display.width, display.height]))).astype(int)
    linear = display.display_from_coded[:, :2]
    turn = _axis_turn(linear)
    if turn is None:
        return _warped(picture, display, size)
    swap, mirror_x, mirror_y = turn
    coded = size[::-1] if swap else size
    shown = _scaled_rgb(picture, int(coded[0]), int(coded[1]))
    shown = shown.transpose(1, 2) if swap else shown
    mirrored = [axis for axis, flip in ((2, mirror_x), (1, mirror_y)) if flip]
    step = [picture.width, picture.height] / coded
    coded_from_small = np.column_stack([np.diag(step), step / 2 - 0.5])
    signs = np.array([-1.0 if mirror_x else 1.0, -1.0 if mirror_y else 1.0])
    small_from_shown = np.column_stack([np.diag(signs), np.where(signs < 0, size - 1, 0)])
    if swap:
        small_from_shown = small_from_shown[::-1]
    display_from_shown = compose(
        display.display_from_coded, compose(coded_from_small, small_from_shown)
    )
    return shown.flip(mirrored) if mirrored else shown, display_from_shown


def _warped(picture: Picture, display: Display, size: npt.NDArray[np.int_]) -> tuple[Tensor, Array]:
    """`_shown` for rotations that are no quarter turns."""
    step = np.array([display.width, display.height]) / size
    display_from_shown = np.column_stack([np.diag(step), step / 2 - 0.5])
    shown_from_coded = compose(invert(display_from_shown), display.display_from_coded)
    image = _scaled_rgb(picture, picture.width, picture.height)[None].float()
    shown = warp_affine(image, shown_from_coded, (int(size[1]), int(size[0])))[0]
    return shown.round_().clamp_(0, 255).to(torch.uint8), display_from_shown


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
    dtype = torch.uint8 if layout.sample_bytes == 1 else torch.uint16
    rows = torch.frombuffer(plane, dtype=dtype)
    rows = rows.view(plane.height, plane.line_size // layout.sample_bytes)
    shift = max((part.shift_x for part in layout.components if part.plane == index), default=0)
    columns = -(-frame.width >> shift)
    shown = rows[:, : columns * group]
    return shown if group == 1 else shown.view(plane.height, columns, group)


def _duplicate(frame: av.VideoFrame) -> av.VideoFrame:
    """A frame with the same samples and properties in memory of its own.

    FFmpeg's `copy` filter does that whole; PyAV alone cannot copy side data or the field order. A
    graph costs 0.05 ms and keeps no state between frames.
    """
    graph = av.filter.Graph()
    graph.threads = 1
    time_base = frame.time_base or Fraction(1, 1)
    tag = int(frame.colorspace)
    source = graph.add(
        "buffer",
        video_size=f"{frame.width}x{frame.height}",
        pix_fmt=frame.format.name,
        time_base=f"{time_base.numerator}/{time_base.denominator}",
        colorspace=str(_UNKNOWN_MATRIX if tag == _RESERVED_MATRIX else tag),
        range=str(int(frame.color_range)),
    )
    graph.link_nodes(source, graph.add("copy"), graph.add("buffersink")).configure()
    graph.push(frame)
    copied = graph.pull()
    assert isinstance(copied, av.VideoFrame)
    # The graph settles on tags where there were none.
    copied.colorspace, copied.color_range = tag, frame.color_range
    return copied


def component_samples(
    picture: Picture, layout: Layout, index: int, planes: Sequence[Tensor] = ()
) -> Tensor:
    """(h, w) view of one colour component's samples in the picture's own memory, or in that of
    other `planes` of the same shapes.
    """
    part = layout.components[index]
    plane = (planes or picture.planes)[part.plane]
    if layout.groups[part.plane] == 1:
        return plane
    width = -(-picture.width >> part.shift_x)
    return plane.view(plane.shape[0], -1)[:, part.offset :: part.step][:, :width]


def component_scale(picture: Picture, layout: Layout, index: int) -> tuple[float, float]:
    """(offset, scale) of a component: a stored sample is `offset + scale * value`."""
    offset, scale = sample_scale(
        layout.bits,
        full_range=picture.full_range,
        chroma=layout.family == "yuv" and index > 0,
    )
    return offset * (1 << layout.shift), scale * (1 << layout.shift)


def _values(picture: Picture, layout: Layout, rect: Rect) -> Tensor:
    """(components, h, w) float32: values at every pixel of `rect`, without offset and scale."""
    values = torch.empty(len(layout.components), rect.height, rect.width)
    for index, part in enumerate(layout.components):
        samples = component_samples(picture, layout, index)
        shown = upsampled_region(samples, rect, part.shift_x, part.shift_y)
        offset, scale = component_scale(picture, layout, index)
        torch.sub(shown, offset, out=values[index]).div_(scale)
    return values


def _axis_turn(linear: Array) -> tuple[bool, bool, bool] | None:
    """How to turn a picture: (swap the axes first, then mirror x, mirror y); None if aslant."""
    signs = np.where(np.abs(linear) > 1e-6 * np.abs(linear).max(), np.sign(linear), 0)
    if np.abs(signs).sum() != 2 or abs(np.linalg.det(signs)) != 1:
        return None
    return bool(signs[0, 0] == 0), bool(signs[0].sum() < 0), bool(signs[1].sum() < 0)


def _scaled_rgb(picture: Picture, width: int, height: int) -> Tensor:
    """(3, height, width) uint8 RGB of the whole picture, coded orientation, by FFmpeg's scaler.

    To planar RGB it is exact and quick; to packed RGB it is either a shade too dark or slow.
    """
    yuv = _SCALER_MATRICES.get(picture.matrix, Colorspace.ITU601)
    frame = picture.handle.reformat(
        width=width,
        height=height,
        format="gbrp",
        src_colorspace=None if picture.matrix == "rgb" else yuv,
        src_color_range=ColorRange.JPEG if picture.full_range else ColorRange.MPEG,
        interpolation=Interpolation.AREA | Interpolation.ACCURATE_RND,
        threads=1,
    )
    green, blue, red = (_plane(frame, index, layout_of("gbrp")) for index in range(3))
    return torch.stack([red, green, blue])
