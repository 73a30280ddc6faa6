"""What is known of a video file before it is restored: plain data without a handle.

`probe.probe` makes it; `describe.describe` shows it to a person.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Disposition

from vidrestore.errors import VideoWriteError
from vidrestore.structs import Display
from vidrestore.video.picture.field_order import FieldOrder
from vidrestore.video.picture.presentation import Presentation
from vidrestore.video.read.changes import FormatChange
from vidrestore.video.read.clock import Clock
from vidrestore.video.read.scan import ORDERS
from vidrestore.video.sequence.files import PictureSequence
from vidrestore.video.write.codecs import choose_codec
from vidrestore.video.write.containers import CONTAINERS

__all__ = ["Chapter", "ColourTags", "StreamInfo", "VideoInfo"]


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
