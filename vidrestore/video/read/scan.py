"""Whether a video is interlaced, and in which order: a look at a few frames along the file.

The first frame does not decide: field pairs and whole frames follow each other in one stream, film
is put between fields. An output has one order, that of most interlaced frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from vidrestore.video.boundary import AV_ERRORS, read_packets, wind
from vidrestore.video.picture.field_order import FieldOrder, field_order_of
from vidrestore.video.read.changes import FormatChange, PictureFormat
from vidrestore.video.read.decoders import decoder_of
from vidrestore.video.read.h264 import H264Pictures

if TYPE_CHECKING:
    from vidrestore.video.read.info import VideoInfo

__all__ = ["NUMBERS", "ORDERS", "with_scan"]

ORDERS: dict[int, FieldOrder] = {2: "top", 3: "bottom", 4: "top", 5: "bottom"}
"""By FFmpeg's `AVFieldOrder`; the other numbers are unknown or progressive."""

NUMBERS: dict[FieldOrder, int] = {"top": 2, "bottom": 3}
"""The other way."""

_PLACES = 5
_FRAMES = 12
"""Looked at in each place: of pairs of fields between whole frames, one in so many may be one."""
_LARGE_FRAMES, _LARGE_PX = 2, 1_000_000
"""The same of large pictures that are coded each by itself, which take long."""
_MOST_FRAMES = 300
"""Decoded in each place."""

# fmt: off
_FLAG_THEMSELVES = frozenset({
    "av1", "dnxhd", "dvvideo", "h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "prores",
    "vc1", "vp8", "vp9", "wmv3",
})
# fmt: on
"""Codecs that say of every frame whether it is interlaced, so that the container does not count."""

_BY_THEMSELVES = frozenset({"dnxhd", "dvvideo", "ffv1", "mjpeg", "prores"})
"""Codecs whose frames are coded each by itself, and flagged so."""

_SEEK_BACK_S = 2
"""Seeking goes by decoding time, which runs ahead of presentation where pictures are reordered."""

_SEQUENCE_EXTENSION = b"\0\0\1\xb5"


@dataclass(frozen=True, slots=True)
class _Seen:
    """One frame."""

    at_s: Fraction
    """On the container's clock."""
    order: FieldOrder | None


def with_scan(
    info: VideoInfo,
    container: InputContainer,
    first_s: Fraction | None = None,
    end_s: Fraction | None = None,
) -> VideoInfo:
    """What `read_info` found, with the scan of most frames of a part, and where its order changes.

    Args:
        info: of the whole file.
        container: the open file; it is read on.
        first_s: where the part begins, on the container's clock; None for the beginning.
        end_s: where it ends; None for the end.
    """
    stream = container.streams[info.stream_index]
    assert isinstance(stream, VideoStream)
    if not _may_hold_fields(info, stream):
        return info
    look = _Look(info, container, stream, first_s, end_s)
    places = [look.near(at_s) for at_s in look.places()]
    counts = Counter(one.order for seen in places for one in seen)
    told = ORDERS.get(info.field_order)
    only_told = not (counts["top"] or counts["bottom"]) and info.codec not in _FLAG_THEMSELVES
    if only_told and told is not None:
        return replace(info, interlaced=True, only_container_tells_fields=True)
    if not (counts["top"] or counts["bottom"]):
        return replace(info, interlaced=False) if counts else info
    order: FieldOrder = "top" if counts["top"] >= counts["bottom"] else "bottom"
    number = info.field_order if told == order else NUMBERS[order]
    info = replace(info, interlaced=True, field_order=number)
    both = counts["top"] and counts["bottom"]
    change = _change(info, look.first_change(places)) if both else None
    return info if change is None else replace(info, changes=(*info.changes, change))


def _may_hold_fields(info: VideoInfo, stream: VideoStream) -> bool:
    """Whether an interlaced frame may come, by headers alone."""
    if info.interlaced or info.field_order in ORDERS or info.codec in _BY_THEMSELVES:
        return True
    extradata = stream.codec_context.extradata or b""
    if info.codec == "h264":
        return bool(extradata) and not H264Pictures(extradata).frames_only
    if info.codec == "mpeg2video":
        at = extradata.find(_SEQUENCE_EXTENSION)
        is_sequence = 0 <= at < len(extradata) - 5 and extradata[at + 4] >> 4 == 1
        return is_sequence and not extradata[at + 5] & 0x08
    return False


class _Look:
    """Look at frames of a part of an open file."""

    def __init__(
        self,
        info: VideoInfo,
        container: InputContainer,
        stream: VideoStream,
        first_s: Fraction | None,
        end_s: Fraction | None,
    ) -> None:
        self._info, self._container, self._stream = info, container, stream
        self._first_s, self._end_s = first_s, end_s

    @property
    def _by_themselves(self) -> bool:
        return self._info.codec in _BY_THEMSELVES

    def places(self) -> list[Fraction]:
        """Where to look, on the container's clock; only at the beginning where that jumps."""
        info = self._info
        first = info.start_s if self._first_s is None else self._first_s
        end = self._end_s
        if end is None and info.duration_s:
            end = info.start_s + Fraction(info.duration_s).limit_denominator(1000)
        least_s = 0 if self._by_themselves else _PLACES * _SEEK_BACK_S
        if end is None or end <= first + least_s or info.clock.joins:
            return [first]
        return [first + (end - first) * place / _PLACES for place in range(_PLACES)]

    def near(self, at_s: Fraction) -> list[_Seen]:
        """Some frames of the part, from a key frame before a time on."""
        found: list[_Seen] = []
        least_s = at_s if self._by_themselves else self.places()[0] - _SEEK_BACK_S
        least_s = least_s if self._first_s is None else max(least_s, self._first_s)
        wanted = _FRAMES * (_PLACES if len(self.places()) == 1 else 1)
        if self._by_themselves and self._info.width * self._info.height > _LARGE_PX:
            wanted = _LARGE_FRAMES
        for number, one in enumerate(self._from(at_s)):
            if one.at_s >= least_s:
                found.append(one)
            if len(found) >= wanted or number >= _MOST_FRAMES:
                break
        return found

    def first_change(self, places: list[list[_Seen]]) -> tuple[_Seen, FieldOrder] | None:
        """The first frame whose order is not the one before it, and the one before."""
        order: FieldOrder | None = None
        begin = places[0][0].at_s if places[0] else self.places()[0]
        for seen in places:
            orders = {one.order for one in seen} - {None}
            if order is not None and orders != {order}:
                break
            if orders:
                order, begin = next(iter(orders)), seen[0].at_s
            if len(orders) > 1:
                order = None
                break
        for one in self._from(begin):
            if one.order is None or one.at_s < begin:
                continue
            if order is not None and one.order != order:
                return one, order
            order = one.order
        return None

    def _from(self, at_s: Fraction) -> Iterator[_Seen]:
        """Frames from a key frame before a time on, to the end of the part."""
        stream, info = self._stream, self._info
        back_s = at_s - (0 if self._by_themselves else _SEEK_BACK_S)
        try:
            if back_s <= info.start_s:
                wind(self._container, 0)
            else:
                wind(self._container, int(back_s / info.time_base), stream)
        except av.FFmpegError:
            return
        decoder = decoder_of(stream)
        for packet in read_packets(self._container, stream):
            try:
                frames = decoder.decode(packet)
            except (*AV_ERRORS, EOFError):
                continue
            for frame in frames:
                assert isinstance(frame, av.VideoFrame)
                if frame.pts is None:
                    continue
                now_s = frame.pts * info.time_base
                if self._end_s is not None and now_s >= self._end_s and not info.clock.joins:
                    return
                yield _Seen(now_s, field_order_of(frame))


def _change(info: VideoInfo, found: tuple[_Seen, FieldOrder] | None) -> FormatChange | None:
    if found is None:
        return None
    seen, before = found
    return FormatChange(seen.at_s, _format(info, before), _format(info, seen.order))


def _format(info: VideoInfo, order: FieldOrder | None) -> PictureFormat:
    return PictureFormat(info.width, info.height, info.pix_fmt, info.sar, True, order)
