"""The encoded picture's stream of an output: segments, each by a fresh encoder, on one clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

from av import VideoCodecContext
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from vidrestore.config import EncodeConfig
from vidrestore.runtime.words import counted
from vidrestore.structs import Frame
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.window import Window
from vidrestore.video.write.encoded_packet import DecodingTimes, EncodedPacket
from vidrestore.video.write.plan import OutputPlan
from vidrestore.video.write.segment_encoder import (
    EncoderSettings,
    SegmentEncoder,
    has_global_header,
)
from vidrestore.video.write.tags import picture_tags

__all__ = ["PictureEncoder", "one_segment"]


def one_segment(_: Frame) -> bool:
    """Let no segment begin but the first."""
    return False


class PictureEncoder:
    """The encoded video stream of an output.

    Args:
        container: the output, whose next stream it becomes.
        plan: how the output is written.
        source: the input, as probed.
        config: quality and preset.
        window: the part of the input that is written.
        threads: for encoding, where it does not change the bytes; 0 takes all.
        begins_segment: whether a segment begins with a frame; asked of each, in order.
    """

    def __init__(
        self,
        container: OutputContainer,
        plan: OutputPlan,
        source: VideoInfo,
        config: EncodeConfig,
        window: Window,
        threads: int,
        begins_segment: Callable[[Frame], bool] = one_segment,
    ) -> None:
        self._begins_segment = begins_segment
        self._source = source
        self._settings = EncoderSettings(plan, source, config, window, threads)
        self._global_header = has_global_header(container.format)
        self.stream = self._add_stream(container)
        """In the output."""
        self.last_pts: int | None = None
        """Of the last frame, in the encoder's ticks; None before the first."""
        self._step = 1
        """From the frame before the last to the last one."""
        self._segment: SegmentEncoder | None = None
        """What is being encoded."""
        self._decoding_times: DecodingTimes | None = None
        self.lost_captions = 0
        """Frames of closed segments whose closed captions the codec cannot hold."""
        self.unmarked = 0
        """Interlaced frames of closed segments in a file that is coded as progressive."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the pictures got lost on the way, and was not foreseen."""
        lost, notes = self.lost_captions, list[str]()
        if lost and "A53_CC" not in self._source.side_data:
            codec = self._settings.plan.codec
            notes.append(f"closed captions of {counted(lost, 'frame')} lost: {codec} has none")
        if self.unmarked:
            notes.append(
                f"{counted(self.unmarked, 'interlaced frame')} in a progressive file: its fields "
                "are kept, but players are not told of them"
            )
        return tuple(notes)

    @property
    def end_s(self) -> Fraction:
        """When the last frame ends in the output."""
        return ((self.last_pts or 0) + self._step) * self._settings.time_base

    def encode(self, frame: Frame | None) -> list[Packet[Any]]:
        """Encode a frame's picture at its time, or (None) give what the encoder still holds.

        Raises:
            VideoWriteError: the frame does not fit the file or does not come after the one before,
                or the encoder fails.
        """
        encoded: list[EncodedPacket] = []
        if frame is None or self._begins_segment(frame):
            encoded += self._end_segment()
        if frame is not None:
            self._segment = self._segment or self._new_segment()
            encoded += self._segment.encode(frame)
            self._add_frame(self._segment.last_pts)
        return self._placed(encoded, ends=frame is None)

    def place(
        self, times: Iterable[int], packets: Iterable[EncodedPacket]
    ) -> Iterator[Packet[Any]]:
        """Give the packets of a segment that was encoded before their place in the stream.

        Args:
            times: of its frames, in ticks of the encoder.
            packets: in the order of decoding; taken one by one.
        """
        for pts in times:
            self._add_frame(pts)
        for packet in packets:
            yield from self._placed([packet])

    @property
    def extradata(self) -> bytes:
        """The codec's headers, as far as the container holds them apart; once it has begun."""
        return self._header_context.extradata or b""

    @property
    def _header_context(self) -> VideoCodecContext:
        context = self.stream.codec_context
        assert isinstance(context, VideoCodecContext)
        return context

    @property
    def _times(self) -> DecodingTimes:
        if self._decoding_times is None:
            delay = self._settings.delay(self._header_context)
            self._decoding_times = DecodingTimes(delay)
        return self._decoding_times

    def _new_segment(self) -> SegmentEncoder:
        """The first one takes the encoder whose headers are in the container."""
        is_first = self.last_pts is None
        context = (
            self._header_context
            if is_first
            else self._settings.new_context(global_header=self._global_header)
        )
        return SegmentEncoder(self._settings, context, self.last_pts)

    def _end_segment(self) -> list[EncodedPacket]:
        segment, self._segment = self._segment, None
        if segment is None:
            return []
        self.lost_captions += segment.lost_captions
        self.unmarked += segment.unmarked
        return segment.encode(None)

    def _add_frame(self, pts: int | None) -> None:
        assert pts is not None
        self._step = 1 if self.last_pts is None else pts - self.last_pts
        self.last_pts = pts
        self._times.add_frame(pts)

    def _placed(self, packets: Iterable[EncodedPacket], *, ends: bool = False) -> list[Packet[Any]]:
        time_base = self._settings.time_base
        timed = self._times.timed(packets, ends=ends)
        return [packet.to_packet(self.stream, time_base, dts) for packet, dts in timed]

    def _add_stream(self, container: OutputContainer) -> VideoStream:
        source, settings = self._source, self._settings
        plan = settings.plan
        stream = container.add_stream(
            plan.codec,
            rate=settings.rate,
            width=plan.wanted.size[0],
            height=plan.wanted.size[1],
            pix_fmt=plan.pix_fmt,
            time_base=settings.time_base,
            options=dict(settings.options),
        )
        assert isinstance(stream, VideoStream)
        settings.apply(stream.codec_context)
        info = next(one for one in source.streams if one.index == source.stream_index)
        stream.metadata.update(picture_tags(source, plan.container.muxer))
        if plan.codec == "libvpx-vp9" and plan.pix_fmt.startswith("yuva"):
            stream.metadata["alpha_mode"] = "1"
        stream.disposition = Disposition(info.disposition)
        if plan.container.rotation and source.display_matrix is not None:
            stream.set_display_matrix(source.display_matrix)
        return stream
