"""Sound that Matroska holds in Windows' words only: WMA, and other codecs with a number there.

Its track says "A_MS/ACM" and carries the header of WAV files (WAVEFORMATEX). FFmpeg writes that,
but PyAV refuses codecs without a name in Matroska. So the track is announced as PCM, whose packets
FFmpeg passes on as they are, and named rightly in the finished file; the header is what FFmpeg
writes into AVI.
"""

from __future__ import annotations

import io

import av
from av import AudioCodecContext, AudioStream
from av.container import OutputContainer
from av.stream import Stream

from vidrestore.video.container.matroska import Element

__all__ = ["acm_elements", "add_acm_stream", "wave_header"]

_CODEC_ID, _CODEC_PRIVATE = 0x86, 0x63A2


def wave_header(template: Stream) -> bytes | None:
    """WAVEFORMATEX of an input's sound; None where it has none."""
    if not isinstance(template.codec_context, AudioCodecContext):
        return None
    file = io.BytesIO()
    output = av.open(file, "w", format="avi")
    try:
        output.add_stream_from_template(template, opaque=True)
        output.start_encoding()
        output.close()
    except (av.FFmpegError, ValueError):
        return None
    data = file.getvalue()
    at = data.find(b"strf")
    size = int.from_bytes(data[at + 4 : at + 8], "little")
    header = data[at + 8 : at + 8 + size]
    return header if at >= 0 and len(header) == size >= 16 and any(header[:2]) else None


def add_acm_stream(output: OutputContainer, template: Stream) -> AudioStream:
    """Add the stream for the packets of such sound; `acm_elements` name it in the finished file."""
    source = template.codec_context
    assert isinstance(source, AudioCodecContext)
    stream = output.add_stream("pcm_s16le", rate=source.sample_rate)
    assert isinstance(stream, AudioStream)
    stream.codec_context.layout = source.layout
    return stream


def acm_elements(header: bytes) -> tuple[Element, ...]:
    """Elements of the track for a WAVEFORMATEX."""
    return Element(_CODEC_ID, b"A_MS/ACM"), Element(_CODEC_PRIVATE, header)
