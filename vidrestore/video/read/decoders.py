"""What decodes the packets of a stream, where it is not the stream itself."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

from av import CodecContext, VideoCodecContext, VideoFrame
from av.packet import Packet
from av.video.stream import VideoStream

__all__ = ["SurfaceDecoder", "VideoDecoder", "decoder_of"]


class SurfaceDecoder(Protocol):
    """A decoder of a device, whose frames are surfaces there (see `hardware`)."""

    def decode(self, packet: Packet[Any] | None) -> list[VideoFrame]:
        """Give the surfaces that are ready once a packet is taken; None flushes."""
        ...


VideoDecoder: TypeAlias = VideoStream | VideoCodecContext | SurfaceDecoder
"""Each gives the frames of a packet: `decode(packet)`."""

_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""FFmpeg's own decoders of these pass alpha by, which Matroska holds beside the packets."""


def decoder_of(stream: VideoStream) -> VideoStream | VideoCodecContext:
    """The stream itself, or a decoder of its own where the stream's would lose alpha.

    Args:
        stream: whose threads are set.
    """
    context = stream.codec_context
    name = _WITH_ALPHA.get(context.codec.canonical_name)
    told = {key.lower(): value for key, value in stream.metadata.items()}
    if name is None or told.get("alpha_mode") != "1":
        return stream
    decoder = CodecContext.create(name, "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.extradata = context.extradata
    decoder.thread_count = context.thread_count
    return decoder
