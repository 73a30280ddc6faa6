"""Look at a video file: `probe(path)` reads it once, decodes the first frame and closes it.

Everything later steps need to know about the file is in the `VideoInfo` that it gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from vidrestore.errors import VideoOpenError
from vidrestore.video.boundary import AV_ERRORS, read_packets
from vidrestore.video.picture.display import display_of, matrix_of_frame, rotation_of
from vidrestore.video.picture.side_data import side_data_names
from vidrestore.video.read.changes import FormatChange, format_of
from vidrestore.video.read.clock import Clock
from vidrestore.video.read.clustered_changes import clustered_changes
from vidrestore.video.read.damage import is_open_ended, joined_behind
from vidrestore.video.read.decoders import decoder_of
from vidrestore.video.read.frame_format import (
    UNSTEADY,
    colour_of,
    field_order_number,
    light_level,
    little_endian,
    mastering_display,
    told_colour,
)
from vidrestore.video.read.indexed_changes import indexed_changes
from vidrestore.video.read.info import Chapter, VideoInfo
from vidrestore.video.read.opening import open_input
from vidrestore.video.read.presentation import read_presentation
from vidrestore.video.read.scan import with_scan
from vidrestore.video.read.streams import select_video, stream_infos
from vidrestore.video.read.survey import look_at_packets, read_clock

__all__ = ["probe", "read_info"]


_UNTIMED = ("h264", "hevc", "m4v", "mpegvideo", "vvc")
"""Raw streams, whose length only their packets tell."""


def probe(path: str | Path, watch: Callable[[float], None] | None = None) -> VideoInfo:
    """Read what a video file holds and decode its first frame.

    Args:
        path: the file.
        watch: called now and then with the share that was read, 0 to 1, of a file that has to be
            read to its end.

    Raises:
        VideoOpenError: if the file is missing, is no video, or has no frame that can be decoded.
    """
    path = Path(path)
    with open_input(path) as container:
        return with_scan(read_info(container, path, watch), container)


def read_info(
    container: InputContainer, path: Path, watch: Callable[[float], None] | None = None
) -> VideoInfo:
    """Read what an open file holds and decode its first frame; see `probe`.

    Args:
        container: the file, just opened. It is read on; seek before it is used again.
        path: its name.
        watch: see `probe`.
    """
    stream = select_video(container, path)
    name = container.format.name
    is_counted = name in (*UNSTEADY, *_UNTIMED) or is_open_ended(path) or _is_live(container)
    joined = joined_behind(path)
    is_counted |= joined == "read"
    clock, captioned = Clock(), False
    changes: tuple[FormatChange, ...] = ()
    if is_counted:
        clock, changes, captioned = read_clock(path, stream.index, watch)
    rate = stream.average_rate or stream.guessed_rate
    if not name.startswith(("mov", "avi")):  # their steps are those of an index
        told = None if name in _UNTIMED else rate  # FFmpeg's default
        believed, is_captioned = look_at_packets(path, stream.index, told)
        rate, captioned = believed or rate, captioned or is_captioned
    colour = told_colour(stream)
    frame = _first_frame(container, stream, path)
    info = _gather(path, container, stream, frame, rate, clock)
    if name.startswith("mov"):
        first = format_of(frame, stream)
        changes, captioned = indexed_changes(container, stream, path, first)
    if name.startswith("matroska") and not is_counted:
        place = container.streams.video.index(stream)
        changes, is_captioned = clustered_changes(stream, path, place)
        captioned |= is_captioned
    if joined == "unread":
        info = replace(info, lacks_joined=True)
    beside = info.side_data | ({"A53_CC"} if captioned else set())
    return replace(info, colour=colour_of(colour, frame), changes=changes, side_data=beside)


def _is_live(container: InputContainer) -> bool:
    """Whether a Matroska file was written as it was recorded, without a length and an index."""
    return container.format.name == "matroska,webm" and not container.duration


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> av.VideoFrame:
    stream.thread_type = "SLICE"
    tried, decoder = 0, decoder_of(stream)
    for packet in read_packets(container, stream):
        tried += packet.size > 0
        try:
            frames = decoder.decode(packet)
        except EOFError:
            break
        except AV_ERRORS:
            continue
        if frames:
            return frames[0]
    shown = f"none of its {tried} video packets can be decoded" if tried else "it has no frames"
    raise VideoOpenError(f"{path}: {shown}; nothing to restore")


def _gather(
    path: Path,
    container: InputContainer,
    stream: VideoStream,
    frame: av.VideoFrame,
    rate: Fraction | None,
    clock: Clock,
) -> VideoInfo:
    context = stream.codec_context
    pix_fmt = little_endian(frame.format.name)
    matrix = matrix_of_frame(frame)
    rotation, mirrored = rotation_of(matrix)
    sar = stream.sample_aspect_ratio or Fraction(1)
    sar = sar if sar > 0 else Fraction(1)
    duration_s = _length_s(clock, rate) or _duration_s(container, stream)
    return VideoInfo(
        path=path,
        container=container.format.name,
        stream_index=stream.index,
        width=frame.width,
        height=frame.height,
        pix_fmt=pix_fmt,
        codec=context.codec.canonical_name,
        profile=context.profile or "",
        bit_depth=frame.format.components[0].bits,
        sar=sar,
        rotation=rotation,
        mirrored=mirrored,
        display_matrix=matrix,
        display=display_of(frame.width, frame.height, sar, matrix),
        average_rate=rate,
        time_base=Fraction(stream.time_base or Fraction(1, 90000)),
        start_s=Fraction(container.start_time or 0, av.time_base),
        duration_s=duration_s,
        n_frames_estimate=clock.pictures or _frame_count(stream, rate, duration_s),
        colour=colour_of(told_colour(stream), frame),
        interlaced=frame.interlaced_frame,
        field_order=field_order_number(frame, int(context.field_order)),
        mastering=mastering_display(frame),
        light_level=light_level(frame),
        side_data=side_data_names(frame),
        presentation=read_presentation(container, stream, path),
        streams=stream_infos(container),
        chapters=_chapters(container),
        metadata=dict(container.metadata),
        stream_metadata=dict(stream.metadata),
        timecode=_tag("timecode", container, stream),
        reel_name=_tag("reel_name", container, stream),
        clock=clock,
    )


def _length_s(clock: Clock, rate: Fraction | None) -> float | None:
    """Of the picture, by the packets that were counted."""
    if clock.length_s:
        return float(clock.length_s)
    return float(clock.pictures / rate) if clock.pictures and rate else None


def _duration_s(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    told = stream.metadata.get("DURATION", "")  # Matroska, hours:minutes:seconds
    if re.fullmatch(r"\d+:\d\d:\d\d(\.\d+)?", told):
        hours, minutes, seconds = told.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds) - _start_s(container, stream)
    return container.duration / av.time_base if container.duration else None


def _start_s(container: InputContainer, stream: VideoStream) -> float:
    """Of the video stream; the `DURATION` tag of Matroska is the time of its end."""
    if stream.start_time is None or not stream.time_base:
        return (container.start_time or 0) / av.time_base
    return float(stream.start_time * stream.time_base)


def _frame_count(
    stream: VideoStream, rate: Fraction | None, duration_s: float | None
) -> int | None:
    if stream.frames:
        return stream.frames
    return round(duration_s * rate) if duration_s and rate else None


def _chapters(container: InputContainer) -> tuple[Chapter, ...]:
    return tuple(
        Chapter(
            start_s=one["start"] * (one["time_base"] or Fraction(1)),
            end_s=one["end"] * (one["time_base"] or Fraction(1)),
            metadata=dict(one["metadata"]),
        )
        for one in container.chapters()
    )


def _tag(name: str, container: InputContainer, stream: VideoStream) -> str | None:
    """A tag of the file, of the picture, or of a timecode track."""
    places = [container.metadata, stream.metadata]
    places += [one.metadata for one in container.streams if one.type == "data"]
    for metadata in places:
        for key, value in metadata.items():
            if key.lower() == name and value:
                return value
    return None
