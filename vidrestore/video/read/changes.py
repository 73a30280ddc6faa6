"""Where a picture changes its size, its pixels' shape or its scan in the middle of a file.

Broadcasts do so at programme bounds. The headers that precede key frames are compared, which costs
nothing, and a key frame is decoded only where they are new.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import av
from av.packet import Packet as AvPacket
from av.video.stream import VideoStream

from vidrestore.video.boundary import AV_ERRORS
from vidrestore.video.picture.field_order import FieldOrder, field_order_of

__all__ = ["OTHER_ORDER_WAY", "ChangeFinder", "FormatChange", "PictureFormat", "split_advice"]

Packet: TypeAlias = "AvPacket[Any]"

_MOST_HEADERS = 500
"""Different headers that are looked at; more is a stream that varies without end."""

_H264_SEQUENCE, _HEVC_SEQUENCE = 7, 33


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """What an output can have one of."""

    width: int
    height: int
    pix_fmt: str
    sar: Fraction
    interlaced: bool
    order: FieldOrder | None = None
    """Of the fields, where it is interlaced."""

    def can_follow(self, before: PictureFormat) -> bool:
        """Whether one output can hold both: size, samples and order of fields are the same."""
        layouts = [(one.width, one.height, one.pix_fmt) for one in (before, self)]
        orders = {before.order, self.order} - {None}
        return layouts[0] == layouts[1] and len(orders) < 2

    def __str__(self) -> str:
        pixels = f"pixels {self.sar.numerator}:{self.sar.denominator}"
        first = f", {self.order} field first" if self.order else ""
        scan = f"interlaced{first}" if self.interlaced else "progressive"
        return f"{self.width}x{self.height} {self.pix_fmt}, {pixels}, {scan}"


@dataclass(frozen=True, slots=True)
class FormatChange:
    """A place at which the picture's format changes."""

    at_s: Fraction
    """Of the first picture in the new format, on the container's clock."""
    before: PictureFormat
    after: PictureFormat


def split_advice(at_s: Fraction) -> str:
    """How to restore what is before and after a time, in seconds from the file's start."""
    at = f"{math.floor(at_s * 1000) / 1000:.3f}"
    return f"restore the parts one by one, with --end {at} and with --start {at}"


OTHER_ORDER_WAY = "; or make all frames progressive with --deinterlace bwdif"
"""What also helps where the order of fields changes."""


class ChangeFinder:
    """Find changes in the key frames of a stream.

    Args:
        stream: of an open file.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._codec = stream.codec_context.name
        self._kind = stream.codec_context.codec.canonical_name
        self._known: dict[bytes, PictureFormat | None] = {}
        self._last: PictureFormat | None = None
        self._number = 0
        self.found: list[tuple[int, Fraction, PictureFormat, PictureFormat]] = []
        """(number of the packet, its time in the file, format before, format after)."""

    def add(self, packet: Packet) -> None:
        """Look at the next packet of the stream."""
        number, self._number = self._number, self._number + 1
        if not packet.is_keyframe or packet.pts is None or len(self._known) > _MOST_HEADERS:
            return
        data = bytes(packet)
        header = _header(data, self._kind)
        if not header:
            return
        if header not in self._known:
            self._known[header] = self._decode(data)
        now = self._known[header]
        if now is None:
            return
        if self._last is not None and now != self._last:
            self.found.append((number, packet.pts * packet.time_base, self._last, now))
        self._last = now

    def _decode(self, data: bytes) -> PictureFormat | None:
        try:
            context = av.CodecContext.create(self._codec, "r")
            assert isinstance(context, av.VideoCodecContext)
            context.thread_count = 1
            frames = [*context.decode(av.Packet(data)), *context.decode(None)]
            frame = frames[0]
        except (*AV_ERRORS, EOFError):
            return None
        sar = context.sample_aspect_ratio or Fraction(1)
        return PictureFormat(
            frame.width,
            frame.height,
            frame.format.name,
            sar if sar > 0 else Fraction(1),
            bool(frame.interlaced_frame),
            field_order_of(frame),
        )


def _header(data: bytes, codec: str) -> bytes:
    """The headers of a key frame that tell its format; empty where it has none."""
    if codec in ("mpeg2video", "mpeg1video"):
        begin = data.find(b"\0\0\1\xb3")
        end = min((at for at in _ends(data, begin) if at >= 0), default=len(data))
        return data[begin:end] if begin >= 0 else b""
    at, parts = data.find(b"\0\0\1"), list[bytes]()
    while at >= 0 and at + 3 < len(data):
        following = data.find(b"\0\0\1", at + 3)
        kind = data[at + 3]
        is_h264 = codec == "h264" and kind & 0x1F == _H264_SEQUENCE
        if is_h264 or (codec == "hevc" and kind >> 1 & 0x3F == _HEVC_SEQUENCE):
            parts.append(data[at : following if following >= 0 else None])
        at = following
    return b"".join(parts)


def _ends(data: bytes, begin: int) -> tuple[int, int]:
    return data.find(b"\0\0\1\xb8", begin), data.find(b"\0\0\1\0", begin)
