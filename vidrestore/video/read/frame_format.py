"""What a decoded frame tells of its format, beside what the container says."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction

import av
from av.video.stream import VideoStream

from vidrestore.video.picture.display import display_of
from vidrestore.video.picture.field_order import field_order_of
from vidrestore.video.picture.side_data import side_data
from vidrestore.video.read.info import ColourTags, VideoInfo
from vidrestore.video.read.scan import NUMBERS, ORDERS

__all__ = [
    "UNSTEADY",
    "colour_of",
    "field_order_number",
    "light_level",
    "little_endian",
    "mastering_display",
    "told_colour",
    "with_format",
]

UNSTEADY = ("mpegts", "mpeg", "flv")
"""Formats whose parts can be joined byte by byte, so that the clock jumps where one begins."""


def told_colour(stream: VideoStream) -> ColourTags:
    """What the container says, else the codec's headers; decoding forgets the container's word."""
    context = stream.codec_context
    return ColourTags(
        range=int(context.color_range),
        space=int(context.colorspace),
        primaries=int(context.color_primaries),
        transfer=int(context.color_trc),
    )


def colour_of(told: ColourTags, frame: av.VideoFrame) -> ColourTags:
    """What the file says before anything is decoded, else the frame."""

    def known(of_stream: int, of_frame: int) -> int:
        return of_stream if of_stream not in (0, 2) else int(of_frame)

    full = frame.format.name.startswith("yuvj")
    return ColourTags(
        range=2 if full else told.range or int(frame.color_range),
        space=known(told.space, frame.colorspace),
        primaries=known(told.primaries, frame.color_primaries),
        transfer=known(told.transfer, frame.color_trc),
    )


def mastering_display(frame: av.VideoFrame) -> tuple[Fraction, ...] | None:
    """FFmpeg's AVMasteringDisplayMetadata: ten rationals and two flags."""
    data = side_data(frame, "MASTERING_DISPLAY_METADATA", 88)
    if data is None:
        return None
    numbers = struct.unpack("=22i", data)
    if not (numbers[20] and numbers[21]) or 0 in numbers[1:20:2]:
        return None
    return tuple(Fraction(numbers[i], numbers[i + 1]) for i in range(0, 20, 2))


def light_level(frame: av.VideoFrame) -> tuple[int, int] | None:
    """FFmpeg's AVContentLightMetadata: maximum content and frame-average light, in cd/m²."""
    data = side_data(frame, "CONTENT_LIGHT_LEVEL", 8)
    if data is None:
        return None
    content, average = struct.unpack("=2I", data)
    return content, average


def little_endian(pix_fmt: str) -> str:
    """Name a big-endian pixel format as its little-endian sister."""
    return pix_fmt[:-2] + "le" if pix_fmt.endswith("be") else pix_fmt


def field_order_number(frame: av.VideoFrame, told: int) -> int:
    """`AVFieldOrder` as told, but for a frame that says otherwise."""
    order = field_order_of(frame)
    return told if order is None or ORDERS.get(told) == order else NUMBERS[order]


def with_format(info: VideoInfo, stream: VideoStream, frame: av.VideoFrame) -> VideoInfo:
    """What `probe` found, with the format of another frame.

    Args:
        info: of the file.
        stream: its video stream, whose decoder gave the frame last.
        frame: the frame.
    """
    pix_fmt = little_endian(frame.format.name)
    sar = info.sar
    if info.container in UNSTEADY:  # nothing but the codec's own headers tells
        told = stream.codec_context.sample_aspect_ratio
        sar = told if told and told > 0 else Fraction(1)
    return replace(
        info,
        width=frame.width,
        height=frame.height,
        pix_fmt=pix_fmt,
        bit_depth=frame.format.components[0].bits,
        sar=sar,
        display=display_of(frame.width, frame.height, sar, info.display_matrix),
        interlaced=frame.interlaced_frame,
        field_order=field_order_number(frame, info.field_order),
    )
