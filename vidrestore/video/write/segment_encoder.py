"""Encode the pictures of one segment: a fresh encoder, every frame at its own time."""

from __future__ import annotations

from fractions import Fraction

import av
from av.codec.context import Flags
from av.format import ContainerFormat

from vidrestore.config import EncodeConfig
from vidrestore.errors import VideoWriteError
from vidrestore.structs import Frame
from vidrestore.video.boundary import unexpected
from vidrestore.video.picture.field_order import with_field_order
from vidrestore.video.picture.side_data import side_data_names
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.window import Window
from vidrestore.video.write.codecs import set_interlaced
from vidrestore.video.write.conversion import for_encoder
from vidrestore.video.write.encoded_packet import EncodedPacket
from vidrestore.video.write.encoder_options import (
    encoder_options,
    has_constant_rate,
    reorder_delay,
    set_threads,
)
from vidrestore.video.write.losses import CAPTION_CODECS
from vidrestore.video.write.one_order import require_one_order
from vidrestore.video.write.plan import OutputPlan

__all__ = ["EncoderSettings", "SegmentEncoder", "has_global_header"]

_GLOBAL_HEADER = 0x40
"""FFmpeg's AVFMT_GLOBALHEADER."""


def has_global_header(muxer: ContainerFormat) -> bool:
    """Whether a container holds the codec's headers apart from the packets."""
    return bool(muxer.flags & _GLOBAL_HEADER)


class EncoderSettings:
    """What all encoders of an output are opened with.

    Args:
        plan: how the output is written.
        source: the input, as probed.
        config: quality and preset.
        window: the part of the input that is written.
        threads: for encoding, where it does not change the bytes; 0 takes all.
    """

    def __init__(
        self,
        plan: OutputPlan,
        source: VideoInfo,
        config: EncodeConfig,
        window: Window,
        threads: int,
    ) -> None:
        self.plan, self.source, self.window = plan, source, window
        self.rate = source.average_rate or Fraction(25)
        self.time_base = 1 / self.rate if has_constant_rate(plan, source) else source.time_base
        """Of the encoder's ticks."""
        self.options = encoder_options(plan, source, config)
        self._threads = threads

    def delay(self, context: av.VideoCodecContext) -> int:
        """Frames by which an open encoder reorders at most."""
        return reorder_delay(context, self.plan.codec)

    def new_context(self, *, global_header: bool) -> av.VideoCodecContext:
        """An encoder that is not opened yet.

        Args:
            global_header: whether the container holds the codec's headers apart.
        """
        plan = self.plan
        context = av.CodecContext.create(plan.codec, "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height = plan.wanted.size
        context.pix_fmt, context.time_base = plan.pix_fmt, self.time_base
        context.framerate, context.bit_rate = self.rate, 0
        context.bit_rate_tolerance = 128_000  # as PyAV sets both for streams of a container
        context.options = dict(self.options)
        if global_header:
            context.flags |= Flags.global_header
        self.apply(context)
        return context

    def apply(self, context: av.VideoCodecContext) -> None:
        """Set what is no option of the codec; before the encoder is opened."""
        source, plan = self.source, self.plan
        set_threads(context, plan.codec, self._threads)
        wanted = plan.wanted
        if wanted.sar != 1:
            context.sample_aspect_ratio = wanted.sar
        if wanted.colour.range:
            context.color_range = wanted.colour.range
        context.colorspace = wanted.colour.space
        context.color_primaries = wanted.colour.primaries
        context.color_trc = wanted.colour.transfer
        context.flags |= Flags.frame_duration
        if plan.codec == "libx265" and plan.container.muxer in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # what Apple's players ask for
        if source.interlaced:
            context.field_order = source.field_order
            set_interlaced(context, plan.codec)

    def ticks(self, frame: Frame) -> int:
        """The frame's time in ticks of the encoder; see `ticks_at`."""
        return self.ticks_at(frame.pts, frame.time_base, frame.index)

    def ticks_at(self, pts: int, time_base: Fraction, index: int) -> int:
        """A time in ticks of the encoder.

        Args:
            pts: of a frame.
            time_base: its unit, in seconds.
            index: the frame's number.

        Raises:
            VideoWriteError: if the container has a constant rate and the frame is off its beat.
        """
        clock = Fraction(0) if self.window.first_s is not None else self.plan.clock_s
        exact = (pts * time_base - clock) / self.time_base
        ticks = round(exact)
        if abs(exact - ticks) * self.time_base > time_base:
            output = self.plan.destination
            raise VideoWriteError(
                f"{output}: frame {index} is off the constant rate that {self.plan.codec} "
                f"in {output.suffix} has; write .mkv or .mp4 with --codec auto"
            )
        return ticks


class SegmentEncoder:
    """Encode frames one after the other, from a key frame on.

    Args:
        settings: of the output.
        context: the encoder, which was never used.
        before: time of the frame before the segment, in ticks; None at the video's beginning.
    """

    def __init__(
        self, settings: EncoderSettings, context: av.VideoCodecContext, before: int | None = None
    ) -> None:
        self._settings, self._context = settings, context
        self.last_pts = before
        """Of the last frame, in ticks."""
        self.lost_captions = 0
        """Frames whose closed captions the codec cannot hold."""
        self.unmarked = 0
        """Interlaced frames, where the file is coded as progressive."""
        self._step = 0

    def encode(self, frame: Frame | None) -> list[EncodedPacket]:
        """Encode a frame's picture at its time, or (None) give what the encoder still holds.

        Raises:
            VideoWriteError: the frame does not fit the file or does not come after the one before,
                or the encoder fails.
        """
        timed = None if frame is None else self._timed(frame)
        destination = self._settings.plan.destination
        with unexpected(VideoWriteError, f"{destination}: cannot be encoded"):
            return [EncodedPacket.of(packet) for packet in self._context.encode(timed)]

    def _timed(self, frame: Frame) -> av.VideoFrame:
        """The frame's samples with its time, for the encoder, which takes a reference of its own.

        Only fields of this very `av.VideoFrame` change, never samples: the decoder keeps its own.
        """
        picture, settings = frame.picture, self._settings
        plan, source = settings.plan, settings.source
        if (picture.width, picture.height) != (source.width, source.height):
            raise VideoWriteError(
                f"frame {frame.index} is {picture.width}x{picture.height}, the file "
                f"{source.width}x{source.height}"
            )
        pts = settings.ticks(frame)
        if self.last_pts is not None:
            if pts <= self.last_pts:
                raise VideoWriteError(
                    f"frame {frame.index} at {pts} does not come after the one at {self.last_pts}"
                )
            self._step = pts - self.last_pts
        self.last_pts = pts
        if plan.codec not in CAPTION_CODECS:
            self.lost_captions += "A53_CC" in side_data_names(picture.handle)
        wanted = plan.wanted
        out = for_encoder(picture, plan.pix_fmt, wanted.size, interlaced=source.interlaced)
        out = self._in_order(out, frame)
        out.pts, out.time_base = pts, settings.time_base
        out.duration = self._duration(picture.handle, frame)
        out.pict_type = 0
        colour = wanted.colour
        out.color_range = colour.range or out.color_range
        out.colorspace, out.color_primaries = colour.space, colour.primaries
        out.color_trc = colour.transfer
        return out

    def _in_order(self, out: av.VideoFrame, frame: Frame) -> av.VideoFrame:
        """The frame flagged with the file's one order of fields; progressive ones are too."""
        source = self._settings.source
        self.unmarked += not require_one_order(frame, source, self._settings.window)
        order = source.first_field
        return out if order is None else with_field_order(out, order)

    def _duration(self, handle: av.VideoFrame, frame: Frame) -> int:
        if handle.duration and handle.time_base == frame.time_base == self._settings.time_base:
            return int(handle.duration)
        return self._step
