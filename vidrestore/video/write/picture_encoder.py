"""Encode the restored picture: its stream in the output, and every frame at its own time."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
from av.codec.context import Flags
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from vidrestore.config import EncodeConfig
from vidrestore.errors import VideoWriteError
from vidrestore.runtime.words import counted
from vidrestore.structs import Frame
from vidrestore.video.boundary import unexpected
from vidrestore.video.picture.field_order import with_field_order
from vidrestore.video.picture.side_data import side_data_names
from vidrestore.video.read.probe import VideoInfo
from vidrestore.video.read.window import Window
from vidrestore.video.write.codecs import set_interlaced
from vidrestore.video.write.conversion import for_encoder
from vidrestore.video.write.encoder_options import (
    encoder_options,
    has_constant_rate,
    set_threads,
)
from vidrestore.video.write.losses import CAPTION_CODECS
from vidrestore.video.write.one_order import require_one_order
from vidrestore.video.write.plan import OutputPlan
from vidrestore.video.write.tags import picture_tags

__all__ = ["PictureEncoder"]

_X265_UNTIMED_FRAMES = 2
"""Of a video of so few frames x265 leaves the decoding times to chance; they are in order."""


class PictureEncoder:
    """The encoded video stream of an output.

    Args:
        container: the output, whose next stream it becomes.
        plan: how the output is written.
        source: the input, as probed.
        config: quality and preset.
        window: the part of the input that is written.
        threads: for encoding, where it does not change the bytes; 0 takes all.
    """

    def __init__(
        self,
        container: OutputContainer,
        plan: OutputPlan,
        source: VideoInfo,
        config: EncodeConfig,
        window: Window,
        threads: int,
    ) -> None:
        self._plan, self._source, self._window = plan, source, window
        rate = source.average_rate or Fraction(25)
        self._time_base = 1 / rate if has_constant_rate(plan, source) else source.time_base
        self.stream = self._add_stream(container, rate, config, threads)
        """In the output."""
        self.last_pts: int | None = None
        """Of the last frame, in the encoder's ticks; None before the first."""
        self._step = 0
        self._frames = 0
        self._lost_captions = 0
        self._unmarked = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the pictures got lost on the way, and was not foreseen."""
        lost, notes = self._lost_captions, list[str]()
        if lost and "A53_CC" not in self._source.side_data:
            notes.append(
                f"closed captions of {counted(lost, 'frame')} lost: {self._plan.codec} has none"
            )
        if self._unmarked:
            notes.append(
                f"{counted(self._unmarked, 'interlaced frame')} in a progressive file: its fields "
                "are kept, but players are not told of them"
            )
        return tuple(notes)

    @property
    def end_s(self) -> Fraction:
        """When the last frame ends in the output."""
        return ((self.last_pts or 0) + max(1, self._step)) * self._time_base

    def encode(self, frame: Frame | None) -> Sequence[Packet[Any]]:
        """Encode a frame's picture at its time, or (None) give what the encoder still holds.

        Raises:
            VideoWriteError: the frame does not fit the file or does not come after the one before,
                or the encoder fails.
        """
        timed = None if frame is None else self._timed(frame)
        self._frames += frame is not None
        with unexpected(VideoWriteError, f"{self._plan.destination}: cannot be encoded"):
            packets = self.stream.encode(timed)
        if self._plan.codec == "libx265" and self._frames <= _X265_UNTIMED_FRAMES:
            for packet in packets:
                packet.dts = packet.pts
        return packets

    def _add_stream(
        self, container: OutputContainer, rate: Fraction, config: EncodeConfig, threads: int
    ) -> VideoStream:
        source, plan = self._source, self._plan
        stream = container.add_stream(
            plan.codec,
            rate=rate,
            width=plan.wanted.size[0],
            height=plan.wanted.size[1],
            pix_fmt=plan.pix_fmt,
            time_base=self._time_base,
            options=encoder_options(plan, source, config),
        )
        assert isinstance(stream, VideoStream)
        self._set_codec(stream, threads)
        info = next(one for one in source.streams if one.index == source.stream_index)
        stream.metadata.update(picture_tags(source, plan.container.muxer))
        if plan.codec == "libvpx-vp9" and plan.pix_fmt.startswith("yuva"):
            stream.metadata["alpha_mode"] = "1"
        stream.disposition = Disposition(info.disposition)
        if plan.container.rotation and source.display_matrix is not None:
            stream.set_display_matrix(source.display_matrix)
        return stream

    def _set_codec(self, stream: VideoStream, threads: int) -> None:
        source, context = self._source, stream.codec_context
        set_threads(context, self._plan.codec, threads)
        wanted = self._plan.wanted
        if wanted.sar != 1:
            context.sample_aspect_ratio = wanted.sar
        if wanted.colour.range:
            context.color_range = wanted.colour.range
        context.colorspace = wanted.colour.space
        context.color_primaries = wanted.colour.primaries
        context.color_trc = wanted.colour.transfer
        context.flags |= Flags.frame_duration
        if self._plan.codec == "libx265" and self._plan.container.muxer in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # what Apple's players ask for
        if source.interlaced:
            context.field_order = source.field_order
            set_interlaced(context, self._plan.codec)

    def _timed(self, frame: Frame) -> av.VideoFrame:
        """The frame's samples with its time, for the encoder, which takes a reference of its own.

        Only fields of this very `av.VideoFrame` change, never samples: the decoder keeps its own.
        """
        picture = frame.picture
        if (picture.width, picture.height) != (self._source.width, self._source.height):
            raise VideoWriteError(
                f"frame {frame.index} is {picture.width}x{picture.height}, the file "
                f"{self._source.width}x{self._source.height}"
            )
        pts = self._ticks(frame)
        if self.last_pts is not None:
            if pts <= self.last_pts:
                raise VideoWriteError(
                    f"frame {frame.index} at {pts} does not come after the one at {self.last_pts}"
                )
            self._step = pts - self.last_pts
        self.last_pts = pts
        if self._plan.codec not in CAPTION_CODECS:
            self._lost_captions += "A53_CC" in side_data_names(picture.handle)
        wanted = self._plan.wanted
        out = for_encoder(
            picture, self._plan.pix_fmt, wanted.size, interlaced=self._source.interlaced
        )
        out = self._in_order(out, frame)
        out.pts, out.time_base = pts, self._time_base
        out.duration = self._duration(picture.handle, frame)
        out.pict_type = 0
        colour = wanted.colour
        out.color_range = colour.range or out.color_range
        out.colorspace, out.color_primaries = colour.space, colour.primaries
        out.color_trc = colour.transfer
        return out

    def _in_order(self, out: av.VideoFrame, frame: Frame) -> av.VideoFrame:
        """The frame flagged with the file's one order of fields; progressive ones are too."""
        self._unmarked += not require_one_order(frame, self._source, self._window)
        order = self._source.first_field
        return out if order is None else with_field_order(out, order)

    def _ticks(self, frame: Frame) -> int:
        """The frame's time in ticks of the encoder.

        Raises:
            VideoWriteError: if the container has a constant rate and the frame is off its beat.
        """
        clock = Fraction(0) if self._window.first_s is not None else self._plan.clock_s
        exact = (frame.pts * frame.time_base - clock) / self._time_base
        ticks = round(exact)
        if abs(exact - ticks) * self._time_base > frame.time_base:
            output = self._plan.destination
            raise VideoWriteError(
                f"{output}: frame {frame.index} is off the constant rate that {self._plan.codec} "
                f"in {output.suffix} has; write .mkv or .mp4 with --codec auto"
            )
        return ticks

    def _duration(self, handle: av.VideoFrame, frame: Frame) -> int:
        if handle.duration and handle.time_base == frame.time_base == self._time_base:
            return int(handle.duration)
        return self._step
