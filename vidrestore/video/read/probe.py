"""What a video file holds: `probe(path)` reads it once, decodes the first frame and closes it.

Everything later steps need to know about the file is in `VideoInfo`, plain data without a handle.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
from av import AudioCodecContext, CodecContext, VideoCodecContext
from av.container import InputContainer
from av.packet import Packet as AvPacket
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from vidrestore.errors import VideoOpenError, VideoWriteError
from vidrestore.runtime.words import counted
from vidrestore.structs import Display
from vidrestore.video.boundary import AV_ERRORS, read_packets
from vidrestore.video.container.mp4 import read_movie, sample_kinds
from vidrestore.video.picture.display import display_of, matrix_of_frame, rotation_of
from vidrestore.video.picture.field_order import FieldOrder, field_order_of
from vidrestore.video.picture.presentation import Presentation
from vidrestore.video.picture.side_data import side_data, side_data_names
from vidrestore.video.read.changes import CAPTIONS, ChangeFinder, FormatChange, format_of
from vidrestore.video.read.clock import Clock, find_joins
from vidrestore.video.read.damage import is_open_ended, joined_behind
from vidrestore.video.read.decoders import decoder_of
from vidrestore.video.read.indexed_changes import indexed_changes
from vidrestore.video.read.opening import open_container
from vidrestore.video.read.presentation import read_presentation
from vidrestore.video.read.rate import believed_rate
from vidrestore.video.read.scan import NUMBERS, ORDERS, with_scan
from vidrestore.video.sequence.files import PictureSequence
from vidrestore.video.write.codecs import choose_codec
from vidrestore.video.write.containers import CONTAINERS

__all__ = [
    "Chapter",
    "ColourTags",
    "StreamInfo",
    "VideoInfo",
    "describe",
    "is_cover",
    "open_input",
    "probe",
    "read_info",
    "select_video",
    "stream_infos",
    "with_format",
]


@dataclass(frozen=True, slots=True)
class ColourTags:
    """FFmpeg's numbers (ITU-T H.273); 0 or 2 where the file does not say."""

    range: int
    """1 limited, 2 full."""
    space: int
    primaries: int
    transfer: int


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """One stream of the file, as the container lists it."""

    index: int
    type: str
    """'video', 'audio', 'subtitle', 'data', 'attachment' or 'unknown'."""
    codec: str
    """FFmpeg's name of the codec, else its four-character code in MP4; '' where unknown."""
    language: str | None
    title: str | None
    disposition: int
    """FFmpeg's `AV_DISPOSITION` bits."""
    metadata: dict[str, str]
    detail: str = ""
    """Size, or sample rate and channels, for a person."""
    is_cover: bool = False
    """Whether it is a still picture for display in lists."""
    is_made_by_muxer: bool = False
    """Whether it is a timecode or chapter track, which muxers write anew."""

    @property
    def default(self) -> bool:
        """Whether players choose it when nobody does."""
        return bool(self.disposition & Disposition.default)


@dataclass(frozen=True, slots=True)
class Chapter:
    """A named part of the video."""

    start_s: Fraction
    """Seconds on the container's clock."""
    end_s: Fraction
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class VideoInfo:
    """What `probe` found."""

    path: Path
    container: str
    """FFmpeg's names of the format, such as 'mov,mp4,m4a,3gp,3g2,mj2'."""
    stream_index: int
    """Of the video stream that is restored."""
    width: int
    """Coded width in pixels."""
    height: int
    pix_fmt: str
    """As decoded; big-endian formats are named as their little-endian sisters."""
    codec: str
    profile: str
    """FFmpeg's name of the codec's profile, such as 'HQ' or 'DNXHR HQX'; '' where it has none."""
    bit_depth: int
    sar: Fraction
    """Sample aspect ratio, width of a pixel over its height; 1 where the file does not say."""
    rotation: int
    """Degrees counter-clockwise."""
    mirrored: bool
    display_matrix: tuple[int, ...] | None
    display: Display
    average_rate: Fraction | None
    """Frames per second."""
    time_base: Fraction
    start_s: Fraction
    """Time of the first frame or sample of any stream, on the container's clock."""
    duration_s: float | None
    n_frames_estimate: int | None
    """None where the file does not say; may be off by some."""
    colour: ColourTags
    interlaced: bool
    """Whether there are interlaced frames, as far as was looked."""
    field_order: int
    """FFmpeg's `AVFieldOrder`: 0 unknown, 1 progressive, 2 top field first, 3 bottom, …"""
    mastering: tuple[Fraction, ...] | None
    """Of HDR masters: x and y of red, green, blue and white, then least and most luminance in
    candela per square metre."""
    light_level: tuple[int, int] | None
    """Of HDR masters: maximum content and frame-average light levels, in cd/m²."""
    side_data: frozenset[str]
    """FFmpeg's names of what the first frame carries beside its samples, such as 'A53_CC', which
    counts also where it comes later."""
    presentation: Presentation
    """What the container says about showing the picture, beside `sar` and `display_matrix`."""
    streams: tuple[StreamInfo, ...]
    chapters: tuple[Chapter, ...]
    metadata: dict[str, str]
    stream_metadata: dict[str, str]
    """Of the video stream that is restored."""
    timecode: str | None
    """SMPTE timecode of the first frame, such as '01:00:00:00'."""
    reel_name: str | None = None
    """Of the tape or film reel that the picture was taken from."""
    clock: Clock = field(default_factory=Clock)
    """Of the whole file, where its own jumps."""
    changes: tuple[FormatChange, ...] = ()
    """Of the picture's format, as far as the file was read."""
    lacks_joined: bool = False
    """Whether another file is joined behind it, byte by byte, which nobody reads."""
    sequence: PictureSequence | None = None
    """Its pictures, where it is no file but a sequence of them."""
    sound: Path | None = None
    """The file whose sound goes with a sequence."""
    only_container_tells_fields: bool = False
    """Whether frames are interlaced whose own flags do not say it."""

    @property
    def auto_codec(self) -> str | None:
        """The codec `auto` takes for a file of the same kind; None where nothing fits."""
        container = CONTAINERS.get(self.path.suffix.lower())
        if container is None:
            return None
        try:
            return choose_codec(
                container,
                self.pix_fmt,
                self.width,
                self.height,
                interlaced=self.interlaced,
                source_codec=self.codec,
            ).codec
        except VideoWriteError:
            return None

    @property
    def first_field(self) -> FieldOrder | None:
        """Which field of an interlaced frame is the earlier one; None where it is progressive."""
        return ORDERS.get(self.field_order, "top") if self.interlaced else None

    @property
    def carrier(self) -> Path | None:
        """The file that holds all streams but the pictures of a sequence; None where none does."""
        return self.sound if self.sequence is not None else self.path

    @property
    def picture_bytes(self) -> int:
        """Of one decoded picture."""
        bits = av.VideoFormat(self.pix_fmt).padded_bits_per_pixel
        return self.width * self.height * bits // 8

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know before the video is restored."""
        told = [_UNREAD_WARNING] if self.lacks_joined else []
        return (*told, *self.clock.notes(self.start_s))

    @property
    def attachments(self) -> tuple[StreamInfo, ...]:
        """Fonts and other files inside the file."""
        return tuple(stream for stream in self.streams if stream.type == "attachment")


_UNREAD_WARNING = (
    "another file is joined behind this one byte by byte, and is left out: no program reads it so; "
    "cut it off and restore it by itself"
)

_UNSTEADY = ("mpegts", "mpeg", "flv")
"""Formats whose parts can be joined byte by byte, so that the clock jumps where one begins."""

_UNTIMED = ("h264", "hevc", "m4v", "mpegvideo", "vvc")
"""Raw streams, whose length only their packets tell."""

_SAMPLED = 250
"""Packets that show the frame rate."""

_NO_VIDEO = {"tty": "a text file"}
"""Formats that FFmpeg shows as a video stream."""


def probe(path: str | Path) -> VideoInfo:
    """Read what a video file holds and decode its first frame.

    Raises:
        VideoOpenError: if the file is missing, is no video, or has no frame that can be decoded.
    """
    path = Path(path)
    with open_input(path) as container:
        return with_scan(read_info(container, path), container)


def read_info(container: InputContainer, path: Path) -> VideoInfo:
    """Read what an open file holds and decode its first frame; see `probe`.

    Args:
        container: the file, just opened. It is read on; seek before it is used again.
        path: its name.
    """
    stream = select_video(container, path)
    name = container.format.name
    is_counted = name in (*_UNSTEADY, *_UNTIMED) or is_open_ended(path) or _is_live(container)
    joined = joined_behind(path)
    is_counted |= joined == "read"
    clock, captioned = Clock(), False
    changes: tuple[FormatChange, ...] = ()
    if is_counted:
        clock, changes, captioned = read_clock(path, stream.index)
    rate = stream.average_rate or stream.guessed_rate
    if not name.startswith(("mov", "avi")):  # their steps are those of an index
        told = None if name in _UNTIMED else rate  # FFmpeg's default
        believed, is_captioned = _look_at_packets(path, stream.index, told)
        rate, captioned = believed or rate, captioned or is_captioned
    colour = _told_colour(stream)
    frame = _first_frame(container, stream, path)
    info = _gather(path, container, stream, frame, rate, clock)
    if name.startswith("mov"):
        first = format_of(frame, stream)
        changes, captioned = indexed_changes(container, stream, path, first)
    if joined == "unread":
        info = replace(info, lacks_joined=True)
    beside = info.side_data | ({"A53_CC"} if captioned else set())
    return replace(info, colour=_colour(colour, frame), changes=changes, side_data=beside)


def _is_live(container: InputContainer) -> bool:
    """Whether a Matroska file was written as it was recorded, without a length and an index."""
    return container.format.name == "matroska,webm" and not container.duration


def _told_colour(stream: VideoStream) -> ColourTags:
    """What the container says, else the codec's headers; decoding forgets the container's word."""
    context = stream.codec_context
    return ColourTags(
        range=int(context.color_range),
        space=int(context.colorspace),
        primaries=int(context.color_primaries),
        transfer=int(context.color_trc),
    )


def _look_at_packets(path: Path, index: int, told: Fraction | None) -> tuple[Fraction | None, bool]:
    """Of the first packets: frames per second, where the header's number is none of theirs, and
    whether they bring closed captions.
    """
    with open_input(path) as container:
        stream = container.streams[index]
        first = islice((one for one in read_packets(container, stream) if one.size), _SAMPLED)
        seen = [(one.pts, one.duration, CAPTIONS in bytes(one)) for one in first]
        base = Fraction(stream.time_base or 1)
        rate = believed_rate(told, base, (one[0] for one in seen), (one[1] for one in seen))
        return rate, any(one[2] for one in seen)


def read_clock(path: Path, picture: int) -> tuple[Clock, tuple[FormatChange, ...], bool]:
    """Read all packets of a file: where its clock jumps, where the picture's format changes, and
    whether any picture brings closed captions.

    Args:
        path: the file.
        picture: index of the stream that is restored.
    """
    with open_input(path) as container:
        stream = container.streams[picture]
        assert isinstance(stream, VideoStream)
        finder = ChangeFinder(stream)
        kinds = {
            one.index: one.type
            for one in container.streams
            if one.type == "audio" or one.index == picture
        }

        def seen() -> Iterator[AvPacket[Any]]:
            for packet in read_packets(container, *container.streams):
                if packet.size and packet.stream.index == picture:
                    finder.add(packet)
                yield packet

        clock = find_joins(seen(), kinds, picture)
    changes = tuple(
        FormatChange(at_s + clock.shift_s(picture, number), before, after)
        for number, at_s, before, after in finder.found
    )
    return clock, changes, finder.has_captions


@contextmanager
def open_input(path: Path) -> Iterator[InputContainer]:
    """Open a file for reading, with errors that say what to do.

    Streams must not be used once the container is closed: that ends the interpreter.

    Raises:
        VideoOpenError: if it cannot be opened.
    """
    container = open_container(path)
    try:
        yield container
    finally:
        container.close()


def select_video(container: InputContainer, path: Path) -> VideoStream:
    """The video stream to restore: the default one, else the first; never cover art.

    Raises:
        VideoOpenError: if there is none.
    """
    if container.format.name in _NO_VIDEO or container.format.name.endswith("_pipe"):
        kind = _NO_VIDEO.get(container.format.name, "a picture")
        raise VideoOpenError(f"{path} is not a video but {kind}")
    videos = [stream for stream in container.streams.video if not is_cover(stream)]
    if not videos:
        held = {stream.type for stream in container.streams if not is_cover(stream)}
        cover = " besides its cover art" if container.streams.video else ""
        shown = f"only {' and '.join(sorted(held))}" if held else "no stream at all"
        raise VideoOpenError(f"{path} holds no video{cover}: {shown}")
    usable = [stream for stream in videos if stream.codec_context is not None]
    if not usable:
        raise VideoOpenError(f"{path}: no decoder for its video stream {videos[0].index}")
    chosen = [stream for stream in usable if stream.disposition & Disposition.default]
    return (chosen or usable)[0]


def is_cover(stream: Stream) -> bool:
    """Whether a stream is a picture that belongs to the file, and no track of its own."""
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


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
    pix_fmt = _little_endian(frame.format.name)
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
        colour=_colour(_told_colour(stream), frame),
        interlaced=frame.interlaced_frame,
        field_order=_field_order(frame, int(context.field_order)),
        mastering=_mastering(frame),
        light_level=_light_level(frame),
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


def _field_order(frame: av.VideoFrame, told: int) -> int:
    """`AVFieldOrder` as told, but for a frame that says otherwise."""
    order = field_order_of(frame)
    return told if order is None or ORDERS.get(told) == order else NUMBERS[order]


def _length_s(clock: Clock, rate: Fraction | None) -> float | None:
    """Of the picture, by the packets that were counted."""
    if clock.length_s:
        return float(clock.length_s)
    return float(clock.pictures / rate) if clock.pictures and rate else None


def with_format(info: VideoInfo, stream: VideoStream, frame: av.VideoFrame) -> VideoInfo:
    """What `probe` found, with the format of another frame.

    Args:
        info: of the file.
        stream: its video stream, whose decoder gave the frame last.
        frame: the frame.
    """
    pix_fmt = _little_endian(frame.format.name)
    sar = info.sar
    if info.container in _UNSTEADY:  # nothing but the codec's own headers tells
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
        field_order=_field_order(frame, info.field_order),
    )


def _little_endian(pix_fmt: str) -> str:
    return pix_fmt[:-2] + "le" if pix_fmt.endswith("be") else pix_fmt


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


def _colour(told: ColourTags, frame: av.VideoFrame) -> ColourTags:
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


def _mastering(frame: av.VideoFrame) -> tuple[Fraction, ...] | None:
    """FFmpeg's AVMasteringDisplayMetadata: ten rationals and two flags."""
    data = side_data(frame, "MASTERING_DISPLAY_METADATA", 88)
    if data is None:
        return None
    numbers = struct.unpack("=22i", data)
    if not (numbers[20] and numbers[21]) or 0 in numbers[1:20:2]:
        return None
    return tuple(Fraction(numbers[i], numbers[i + 1]) for i in range(0, 20, 2))


def _light_level(frame: av.VideoFrame) -> tuple[int, int] | None:
    data = side_data(frame, "CONTENT_LIGHT_LEVEL", 8)
    if data is None:
        return None
    content, average = struct.unpack("=2I", data)
    return content, average


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


def stream_infos(container: InputContainer) -> tuple[StreamInfo, ...]:
    """What an open file holds, stream by stream."""
    found = tuple(_stream_info(one) for one in container.streams)
    is_mp4 = container.format.name.startswith("mov")
    if not is_mp4 or all(one.codec or one.type == "attachment" for one in found):
        return found
    codes = sample_kinds(read_movie(Path(container.name)))
    return tuple(
        one if one.codec else replace(one, codec=codes.get(stream.id, ""))
        for one, stream in zip(found, container.streams, strict=True)
    )


def _stream_info(stream: Stream) -> StreamInfo:
    context = stream.codec_context
    codec = (
        context.codec.canonical_name
        if context is not None
        else (getattr(stream, "name", None) or "")
    )
    return StreamInfo(
        index=stream.index,
        type=stream.type,
        codec=codec or "",
        language=_language(stream.metadata),
        title=stream.metadata.get("title"),
        disposition=int(stream.disposition),
        metadata=dict(stream.metadata),
        detail=_detail(stream),
        is_cover=stream.type == "video" and is_cover(stream),
        is_made_by_muxer=_is_made_by_muxer(stream),
    )


def _language(metadata: dict[str, str]) -> str | None:
    language = metadata.get("language")
    return None if language in (None, "", "und") else language


def _is_made_by_muxer(stream: Stream) -> bool:
    """Timecode and chapter tracks of MP4 and MOV; the latter are marked to be skipped."""
    if stream.type != "data":
        return False
    skipped = stream.discard.name == "all"
    return skipped or any(key.lower() == "timecode" for key in stream.metadata)


def _detail(stream: Stream) -> str:
    context: CodecContext | None = stream.codec_context
    if isinstance(context, VideoCodecContext):
        return f"{context.width}x{context.height}"
    if isinstance(context, AudioCodecContext):
        return f"{context.sample_rate} Hz, {context.layout.name}"
    return ""


def describe(info: VideoInfo) -> list[str]:
    """What the file holds, as lines for a person to read."""
    lines = [f"{info.path}  ({info.container})", *_video_lines(info)]
    lines += [_stream_line(stream) for stream in info.streams if stream.index != info.stream_index]
    if info.chapters:
        lines.append(f"chapters    {len(info.chapters)}")
    if info.timecode:
        lines.append(f"timecode    {info.timecode}")
    if info.reel_name:
        lines.append(f"reel        {info.reel_name}")
    lines += [
        f"{key:<11} {value}"
        for key, value in info.metadata.items()
        if key in ("title", "artist", "date", "comment")
    ]
    lines.append(f"output      {_output_line(info)}")
    return lines


def _video_lines(info: VideoInfo) -> list[str]:
    rate = f"{float(info.average_rate):.6g} frames/s" if info.average_rate else "rate unknown"
    lines = [
        f"video       #{info.stream_index} {info.codec}, {info.width}x{info.height}, "
        f"{info.pix_fmt} ({info.bit_depth} bit), {rate}"
    ]
    length = f"{info.duration_s:.3f} s" if info.duration_s else "unknown"
    about = info.n_frames_estimate
    frames = f", about {counted(about, 'frame')}" if about else ""
    lines.append(f"length      {length}{frames}, time base {info.time_base}")
    shown = f"{info.display.width}x{info.display.height}"
    turned = [f"pixels {info.sar.numerator}:{info.sar.denominator}"] if info.sar != 1 else []
    turned += [f"turned by {info.rotation}°"] if info.rotation else []
    turned += ["mirrored"] if info.mirrored else []
    turned += [f"interlaced, {info.first_field} field first"] if info.interlaced else []
    lines.append(f"shown as    {shown}{''.join(', ' + part for part in turned)}")
    colour = info.colour
    if any(value not in (0, 2) for value in (colour.space, colour.primaries, colour.transfer)):
        lines.append(
            f"colour      range {colour.range}, matrix {colour.space}, primaries "
            f"{colour.primaries}, transfer {colour.transfer} (numbers of ITU-T H.273)"
        )
    return lines


def _stream_line(stream: StreamInfo) -> str:
    kind = "cover" if stream.is_cover else stream.type
    parts = [stream.codec or "unknown", stream.detail, stream.language or "", stream.title or ""]
    if stream.type == "attachment":
        parts = [stream.metadata.get("filename", ""), stream.metadata.get("mimetype", "")]
    parts += ["default"] if stream.default else []
    return f"{kind:<11} #{stream.index} {', '.join(part for part in parts if part)}"


def _output_line(info: VideoInfo) -> str:
    suffix = info.path.suffix.lower()
    if info.auto_codec:
        return f"{info.auto_codec} in {suffix} (codec auto)"
    if suffix not in CONTAINERS:
        return f"{suffix or 'this kind of file'} cannot be written; use {', '.join(CONTAINERS)}"
    return f"no codec that {suffix} takes holds {info.pix_fmt} at this size"
