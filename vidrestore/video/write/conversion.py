"""The picture as the encoder takes it: the same numbers in another order, rounded, or converted."""

from __future__ import annotations

import av
import numpy as np

from vidrestore.structs import Picture
from vidrestore.video.write.codecs import equal_layouts

__all__ = ["for_encoder"]

_BT709 = 1


def for_encoder(
    picture: Picture, pix_fmt: str, size: tuple[int, int] | None = None, *, interlaced: bool = False
) -> av.VideoFrame:
    """The picture's frame in another format.

    Args:
        picture: as restored.
        pix_fmt: an equal layout, which keeps the numbers; the format of 10 bits for one of 12,
            which rounds them; or any other one, which a profile asked for.
        size: (width, height) in pixels; None for the picture's own.
        interlaced: whether lines are of two fields, which must not be mixed.
    """
    frame: av.VideoFrame = picture.handle
    name = frame.format.name
    size = size or (frame.width, frame.height)
    if name == pix_fmt and size == (frame.width, frame.height):
        return frame
    if "12" in name and pix_fmt == name.replace("12", "10"):
        return _rounded(frame, pix_fmt)
    is_conversion = pix_fmt not in equal_layouts(name)
    if interlaced and is_conversion:
        return _by_fields(frame, pix_fmt, picture.full_range)
    return _converted(frame, pix_fmt, size, picture.full_range)


def _converted(
    frame: av.VideoFrame, pix_fmt: str, size: tuple[int, int], full_range: bool
) -> av.VideoFrame:
    was_rgb, is_rgb = frame.format.is_rgb, av.VideoFormat(pix_fmt).is_rgb
    scale = "JPEG" if full_range else "MPEG"
    space = int(frame.colorspace)
    to_yuv = was_rgb and not is_rgb
    changed = frame.reformat(
        width=size[0],
        height=size[1],
        format=pix_fmt,
        src_color_range=scale,
        dst_color_range="MPEG" if to_yuv else scale,
        src_colorspace=space,
        dst_colorspace=_BT709 if to_yuv else space,
    )
    return changed


def _by_fields(frame: av.VideoFrame, pix_fmt: str, full_range: bool) -> av.VideoFrame:
    """Convert the lines of each field by themselves."""
    whole = av.VideoFrame(frame.width, frame.height, pix_fmt)
    rows = [_rows(plane) for plane in whole.planes]
    for first in (0, 1):
        lines = (frame.height - first + 1) // 2
        field = av.VideoFrame(frame.width, lines, frame.format.name)
        for target, plane in zip(field.planes, frame.planes, strict=True):
            source = _rows(plane)[first::2][: target.height]
            padded = np.zeros((target.height, target.line_size), np.uint8)
            width = min(target.line_size, source.shape[1])
            padded[: len(source), :width] = source[:, :width]
            target.update(padded.tobytes())
        field.colorspace, field.color_range = frame.colorspace, frame.color_range
        changed = _converted(field, pix_fmt, (frame.width, lines), full_range)
        for out, plane in zip(rows, changed.planes, strict=True):
            given = _rows(plane)
            width = min(out.shape[1], given.shape[1])
            out[first::2, :width] = given[: len(out[first::2]), :width]
    for plane, out in zip(whole.planes, rows, strict=True):
        plane.update(out.tobytes())
    return whole


def _rows(plane: av.video.plane.VideoPlane) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """A copy of a plane's bytes, (lines, bytes a line)."""
    data = np.frombuffer(bytes(plane), np.uint8)
    return data[: plane.height * plane.line_size].reshape(plane.height, plane.line_size).copy()


def _rounded(frame: av.VideoFrame, pix_fmt: str) -> av.VideoFrame:
    """The frame with planes of 12 bits rounded to 10, to the nearest, without dither."""
    changed = av.VideoFrame(frame.width, frame.height, pix_fmt)
    for plane, source in zip(changed.planes, frame.planes, strict=True):
        samples = np.frombuffer(bytes(source), np.uint16).reshape(source.height, -1)
        rounded = np.minimum((samples[:, : source.width] + 2) >> 2, 1023)
        padded = np.zeros((plane.height, plane.line_size // 2), np.uint16)
        padded[:, : plane.width] = rounded
        plane.update(padded.tobytes())
    return changed
