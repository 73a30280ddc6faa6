"""Where a picture changes its size, its pixels' shape or its scan in the middle of a file.

Broadcasts do so at programme bounds. The headers that precede key frames are compared, which costs
nothing, and a key frame is decoded only where they are new.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import av
from av.packet import Packet as AvPacket
from av.video.stream import VideoStream

from vidrestore.video.boundary import AV_ERRORS
from vidrestore.video.picture.field_order import FieldOrder, field_order_of
from vidrestore.video.read.av1 import sequence_header
from vidrestore.video.read.h264 import units_with_lengths

__all__ = [
    "CAPTIONS",
    "OTHER_ORDER_WAY",
    "ChangeFinder",
    "FormatChange",
    "PictureFormat",
    "format_of",
    "split_advice",
]

Packet: TypeAlias = "AvPacket[Any]"

CAPTIONS = b"GA94"
"""The mark of closed captions in what pictures carry beside samples (ATSC A/53, part 4)."""

_MOST_HEADERS = 500
"""Different headers that are looked at; more is a stream that varies without end."""

_H264_SEQUENCE, _HEVC_SEQUENCE = 7, 33
_WITH_HEADERS = ("mpeg2video", "mpeg1video", "h264", "hevc", "vp8", "vp9", "av1")
_VP8_HEAD, _VP9_HEAD = slice(3, 10), slice(0, 9)
"""Bytes of a key frame that tell its size (RFC 6386, section 9.1; VP9 bitstream, section 6.2)."""


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
        self._extradata = stream.codec_context.extradata or b""
        self._length_bytes = _length_bytes(self._extradata, self._kind)
        self._known: dict[bytes, PictureFormat | None] = {}
        self._last: PictureFormat | None = None
        self._number = 0
        self.has_captions = False
        """Whether any of the packets brings closed captions (A53)."""
        self.found: list[tuple[int, Fraction, PictureFormat, PictureFormat]] = []
        """(number of the packet, its time in the file, format before, format after)."""

    def add(self, packet: Packet) -> None:
        """Look at the next packet of the stream."""
        number, self._number = self._number, self._number + 1
        if not self.has_captions:
            self.has_captions = CAPTIONS in bytes(packet)
        if packet.is_keyframe and packet.pts is not None:
            self.look(bytes(packet), number, packet.pts * packet.time_base)

    @property
    def reads_headers(self) -> bool:
        """Whether key frames of the stream's codec tell of their format."""
        return self._kind in _WITH_HEADERS

    def is_new(self, data: bytes) -> bool:
        """Whether the headers of a key frame were not met yet.

        Args:
            data: its beginning, at least.
        """
        header = self._header(data)
        return bool(header) and header not in self._known

    def differs(self, data: bytes) -> bool:
        """Whether the headers of a key frame tell of another format than the last one's.

        Args:
            data: its beginning, at least.
        """
        header = self._header(data)
        return bool(header) and self._known.get(header) != self._last

    def look(self, data: bytes, number: int, at: Fraction) -> None:
        """Look at a key frame.

        Args:
            data: of the packet; its beginning suffices, unless its headers are new.
            number: of the packet.
            at: its time, which is handed on.
        """
        self.has_captions |= CAPTIONS in data
        header = self._header(data)
        if not header or len(self._known) > _MOST_HEADERS:
            return
        if header not in self._known:
            self._known[header] = self._decode(data)
        now = self._known[header]
        if now is None:
            return
        if self._last is not None and now != self._last:
            self.found.append((number, at, self._last, now))
        self._last = now

    def _header(self, data: bytes) -> bytes:
        """Key frames of AV1 leave out a header that is the track's."""
        if self._kind == "av1":
            return sequence_header(data) or sequence_header(self._extradata)
        return _header(data, self._kind, self._length_bytes)

    def _decode(self, data: bytes) -> PictureFormat | None:
        try:
            context = av.CodecContext.create(self._codec, "r")
            assert isinstance(context, av.VideoCodecContext)
            context.thread_count = 1
            if self._extradata:
                context.extradata = self._extradata
            frames = [*context.decode(av.Packet(data)), *context.decode(None)]
            frame = frames[0]
        except (*AV_ERRORS, EOFError):
            return None
        return format_of(frame, context)


def format_of(frame: av.VideoFrame, teller: VideoStream | av.VideoCodecContext) -> PictureFormat:
    """The format of a decoded frame.

    Args:
        frame: the frame.
        teller: who knows the shape of its pixels.
    """
    sar = teller.sample_aspect_ratio or Fraction(1)
    return PictureFormat(
        frame.width,
        frame.height,
        frame.format.name,
        sar if sar > 0 else Fraction(1),
        bool(frame.interlaced_frame),
        field_order_of(frame),
    )


def _length_bytes(extradata: bytes, codec: str) -> int:
    """Of the length before each unit, as MP4 and Matroska have it; 0 in a byte stream."""
    if extradata[:1] != b"\1":
        return 0
    place = {"h264": 4, "hevc": 21}.get(codec)
    return (extradata[place] & 3) + 1 if place is not None and len(extradata) > place else 0


def _header(data: bytes, codec: str, length_bytes: int) -> bytes:
    """The headers of a key frame that tell its format; empty where it has none."""
    if codec in ("mpeg2video", "mpeg1video"):
        begin = data.find(b"\0\0\1\xb3")
        end = min((at for at in _ends(data, begin) if at >= 0), default=len(data))
        return data[begin:end] if begin >= 0 else b""
    if codec in ("vp8", "vp9"):
        return data[_VP8_HEAD if codec == "vp8" else _VP9_HEAD]
    units = units_with_lengths(data, length_bytes) if length_bytes else _whole_units(data)
    if codec == "h264":
        return b"".join(unit for unit in units if unit[0] & 0x1F == _H264_SEQUENCE)
    if codec == "hevc":
        return b"".join(unit for unit in units if unit[0] >> 1 & 0x3F == _HEVC_SEQUENCE)
    return b""


def _whole_units(data: bytes) -> Iterator[bytes]:
    at = data.find(b"\0\0\1")
    while at >= 0 and at + 3 < len(data):
        following = data.find(b"\0\0\1", at + 3)
        yield data[at + 3 : following if following >= 0 else None]
        at = following


def _ends(data: bytes, begin: int) -> tuple[int, int]:
    return data.find(b"\0\0\1\xb8", begin), data.find(b"\0\0\1\0", begin)
