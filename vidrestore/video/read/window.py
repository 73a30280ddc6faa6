"""Which part of a video is restored: `--start` and `--end` as exact times of the video stream.

Seconds count from the start of the file (its earliest stream), as players show them. Only frames in
[start, end) come out. With a start after 0, the first of them is at time 0 afterwards, and all
streams move with it; otherwise every frame keeps its own time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from av.container import InputContainer

from vidrestore.errors import VideoDecodeError, VideoOpenError
from vidrestore.video.boundary import av_boundary, read_packets, wind
from vidrestore.video.read.changes import OTHER_ORDER_WAY, split_advice
from vidrestore.video.read.clock import Retimer
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.opening import open_input

__all__ = ["Window", "change_warnings", "window_of"]

_SCAN_PACKETS = 600
"""Packets looked at after a first candidate; pictures are reordered by far fewer than that."""

_SEEK_BACK_S = 2
"""Seeking goes by decoding time, which runs ahead of presentation where pictures are reordered."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a video, in units of the video stream's time base."""

    first_pts: int | None = None
    """Time of the first frame that comes out; None for all from the beginning."""
    end_pts: int | None = None
    """Frames from here on stay out."""
    time_base: Fraction = Fraction(1)

    @property
    def shift(self) -> int:
        """What is subtracted from every frame's time."""
        return self.first_pts or 0

    @property
    def first_s(self) -> Fraction | None:
        """`first_pts` in seconds."""
        return None if self.first_pts is None else self.first_pts * self.time_base

    @property
    def end_s(self) -> Fraction | None:
        """`end_pts` in seconds."""
        return None if self.end_pts is None else self.end_pts * self.time_base

    def holds(self, pts: int) -> bool:
        """Whether the frame with this time comes out."""
        return (self.first_pts is None or pts >= self.first_pts) and (
            self.end_pts is None or pts < self.end_pts
        )


def change_warnings(
    info: VideoInfo, window: Window, *, deinterlaced: bool = False
) -> tuple[str, ...]:
    """What a person should know of changes of the picture's format inside a window.

    Args:
        info: what `probe` found.
        window: the part that is restored.
        deinterlaced: whether frames are made progressive, so that no order of fields counts.

    Raises:
        VideoDecodeError: its size or samples change, so that one output cannot hold it.
    """
    told = []
    for one in info.changes:
        if not window.holds(round(one.at_s / info.time_base)) or one.at_s == window.first_s:
            continue
        at_s = one.at_s - info.start_s
        what = f"the picture changes from {one.before} to {one.after} at {float(at_s):.3f} s"
        in_one_order = replace(one.after, order=one.before.order)
        if not in_one_order.can_follow(one.before):
            raise VideoDecodeError(f"{info.path}: {what}; {split_advice(at_s)}")
        if not deinterlaced and not one.after.can_follow(one.before):
            raise VideoDecodeError(f"{info.path}: {what}; {split_advice(at_s)}{OTHER_ORDER_WAY}")
        if one.before.sar == one.after.sar:
            continue  # of the scan alone, which every frame has for itself
        told.append(f"{what} and is written as it begins; to keep both, {split_advice(at_s)}")
    return tuple(told)


def window_of(
    info: VideoInfo,
    start: float | None,
    end: float | None,
    container: InputContainer | None = None,
) -> Window:
    """The part from `start` to `end`, in seconds from the beginning of the file.

    Args:
        info: what `probe` found.
        start: first second, or None for the beginning.
        end: stop before this second, or None for the end.
        container: the open file, which is read on; None opens it again where needed.

    Raises:
        VideoOpenError: if no frame lies in it.
    """
    # repr: 3.1 means 31/10, not the nearest binary fraction, which lies above it
    end_pts = None
    if end is not None:
        end_pts = math.ceil((info.start_s + Fraction(repr(float(end)))) / info.time_base)
        if start is not None and end <= start:
            raise VideoOpenError(f"{info.path}: nothing between start {start} s and end {end} s")
    if not start:
        return Window(None, end_pts, info.time_base)
    target = math.ceil((info.start_s + Fraction(repr(float(start)))) / info.time_base)
    if container is None or info.clock.joins:
        with open_input(info.path) as opened:
            first = _first_pts_from(opened, info, target)
    else:
        first = _first_pts_from(container, info, target)
    if first is None or (end_pts is not None and first >= end_pts):
        length = f"; the video is {info.duration_s:.2f} s long" if info.duration_s else ""
        upto = f" and before {end} s" if end is not None else ""
        raise VideoOpenError(f"{info.path}: no frame from {start} s on{upto}{length}")
    return Window(first, end_pts, info.time_base)


def _first_pts_from(container: InputContainer, info: VideoInfo, target: int) -> int | None:
    """The least presentation time that is not before `target`, from packets alone."""
    best, looked = None, 0
    stream = container.streams[info.stream_index]
    retimer = Retimer(info.clock)
    if not info.clock.joins:
        with av_boundary(VideoDecodeError, f"{info.path}: cannot be read"):
            wind(container, target - round(_SEEK_BACK_S / info.time_base), stream)
    for packet in read_packets(container, stream):
        if packet.size == 0:
            continue
        retimer.move(packet)
        if packet.is_discard:
            continue
        pts = packet.pts if packet.pts is not None else packet.dts
        if pts is not None and pts >= target and (best is None or pts < best):
            best = pts
        looked += best is not None
        passed = best is not None and packet.dts is not None and packet.dts >= best
        if passed or looked > _SCAN_PACKETS:
            break
    return best
