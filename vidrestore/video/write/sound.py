"""Sound that a container cannot hold, converted without loss to FLAC or to PCM of its depth."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av import AudioCodecContext, AudioFrame, AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from vidrestore.runtime.words import counted
from vidrestore.video.boundary import AV_ERRORS
from vidrestore.video.write.containers import Container
from vidrestore.video.write.copied_stream import usual_layout

__all__ = ["SoundConverter", "add_converted_stream", "mxf_holds", "sound_encoder"]

_PCM = {
    "u8": "pcm_u8",
    "s16": "pcm_s16le",
    "s32": "pcm_s32le",
    "flt": "pcm_f32le",
    "dbl": "pcm_f64le",
}
"""Encoders that keep decoded samples, by FFmpeg's name of the interleaved sample format."""

_MXF_RATE = 48000
"""Samples a second of sound in MXF."""

_LONGEST_FILL_S = 3600
"""A longer gap between packets is no gap of the sound but another clock, and is not filled."""


def sound_encoder(stream: Stream, wanted: str, container: Container) -> str | None:
    """FFmpeg's name of the encoder for sound that is converted; None where that cannot be.

    Args:
        stream: the input's.
        wanted: "flac" or "pcm"; with anything else nothing is converted.
        container: which must hold it.
    """
    context = stream.codec_context
    if (
        wanted not in ("flac", "pcm")
        or not isinstance(context, AudioCodecContext)
        or not context.sample_rate
    ):
        return None
    encoder = "flac" if wanted == "flac" else _pcm_encoder(context)
    if container.muxer == "mxf":
        return _mxf_encoder(context) if wanted == "pcm" else None
    output = av.open(io.BytesIO(), "w", format=container.muxer)
    try:
        add_converted_stream(output, stream, encoder)
        output.start_encoding()
    except (av.FFmpegError, ValueError):
        return None
    return encoder


def mxf_holds(stream: Stream) -> bool:
    """Whether MXF takes a stream as it is; its writer takes a header with a picture only."""
    context = stream.codec_context
    return (
        isinstance(context, AudioCodecContext)
        and context.name in ("pcm_s16le", "pcm_s24le")
        and context.sample_rate == _MXF_RATE
    )


def _mxf_encoder(context: AudioCodecContext) -> str | None:
    if context.sample_rate != _MXF_RATE:
        return None
    return "pcm_s16le" if context.format.packed.name in ("u8", "s16") else "pcm_s24le"


def _pcm_encoder(context: AudioCodecContext) -> str:
    encoder = _PCM[context.format.packed.name]
    channels = context.layout.nb_channels * context.sample_rate
    told = re.fullmatch(r"pcm_s(\d+).*", context.name)
    depth = int(told[1]) if told else round((context.bit_rate or 0) / max(channels, 1))
    is_24_bit = context.name.startswith("pcm_") and encoder == "pcm_s32le" and depth in (20, 24)
    return "pcm_s24le" if is_24_bit else encoder


def add_converted_stream(output: OutputContainer, template: Stream, encoder: str) -> AudioStream:
    """Add the stream that holds the converted sound of an input's stream.

    Raises:
        av.FFmpegError, ValueError: the container or the encoder does not take it.
    """
    source = template.codec_context
    assert isinstance(source, AudioCodecContext)
    stream = output.add_stream(encoder, rate=source.sample_rate)
    assert isinstance(stream, AudioStream)
    context = stream.codec_context
    context.layout = usual_layout(source) or source.layout
    context.format = _format_for(encoder, source)
    context.time_base = Fraction(1, source.sample_rate)
    return stream


def _format_for(encoder: str, source: AudioCodecContext) -> str:
    if encoder == "flac":
        return "s16" if source.format.packed.name in ("u8", "s16") else "s32"
    return {"pcm_s16le": "s16", "pcm_s24le": "s32"}.get(encoder, source.format.packed.name)


class SoundConverter:
    """Decode the packets of one stream and encode them again, each at its time.

    Args:
        output: the stream made by `add_converted_stream`.
    """

    cuts_samples = False
    """Whether it leaves out what lies before time 0."""

    def __init__(self, output: AudioStream) -> None:
        self._output = output
        self._rate = output.codec_context.sample_rate
        self._end: int | None = None
        """Of what was encoded, in samples."""
        self.broken = 0
        """Packets that could not be decoded."""
        self.filled = 0
        """Samples of silence where packets leave a gap."""

    def convert(self, packet: Packet[Any]) -> Iterator[Packet[Any]]:
        """Give the packets that one of the input becomes."""
        try:
            frames: list[Any] = list(packet.decode())
        except AV_ERRORS:
            self.broken += 1
            return
        for frame in frames:
            yield from self._encode(frame)

    def notes(self, name: str) -> list[str]:
        """What a person should know of the stream called `name`."""
        filled_s = self.filled / self._rate
        told = [f"{filled_s:.2f} s of silence fill gaps of {name}"] if self.filled else []
        broken = counted(self.broken, "packet")
        return told + ([f"{broken} of {name} could not be decoded"] if self.broken else [])

    def finish(self) -> Iterator[Packet[Any]]:
        """Give what the encoder still holds."""
        if self._end is not None:
            yield from self._output.encode(None)

    def _encode(self, frame: AudioFrame) -> Iterator[Packet[Any]]:
        start = self._start_of(frame)
        gap = 0 if self._end is None else start - self._end
        if abs(gap) <= self._rate // 50 or gap < 0 or gap > _LONGEST_FILL_S * self._rate:
            start = start if self._end is None else self._end
        else:
            yield from self._fill(frame, gap)
        yield from self._output.encode(self._timed(frame, start))

    def _start_of(self, frame: AudioFrame) -> int:
        assert frame.time_base is not None
        return round((frame.pts or 0) * frame.time_base * self._rate)

    def _fill(self, like: AudioFrame, samples: int) -> Iterator[Packet[Any]]:
        """Encode silence, a second at a time."""
        self.filled += samples
        for done in range(0, samples, self._rate):
            part = min(self._rate, samples - done)
            yield from self._output.encode(self._silence(like, part))

    def _silence(self, like: AudioFrame, samples: int) -> AudioFrame:
        silence = AudioFrame(like.format.name, like.layout.name, samples)
        middle = 128 if like.format.packed.name == "u8" else 0
        for plane in silence.planes:
            plane.update(bytes([middle]) * plane.buffer_size)
        assert self._end is not None
        return self._timed(silence, self._end)

    def _timed(self, frame: AudioFrame, start: int) -> AudioFrame:
        frame.sample_rate = self._rate
        frame.pts, frame.time_base = start, Fraction(1, self._rate)
        self._end = start + frame.samples
        return frame
