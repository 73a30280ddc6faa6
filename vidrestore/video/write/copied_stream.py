"""The stream of an output that takes packets of the input as they are."""

from __future__ import annotations

from av import AudioCodecContext
from av.container import OutputContainer
from av.stream import Stream

__all__ = ["add_copied_stream", "usual_layout"]

_USUAL_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
"""Of sound whose channels have no names, as in AVI and raw DV; by number of channels."""


def add_copied_stream(output: OutputContainer, template: Stream) -> Stream:
    """Add a stream that holds packets of an input's stream.

    MP4 cannot tell what unnamed channels of PCM are, so they get their usual places there.

    Args:
        output: the output, whose header is unwritten.
        template: the input's stream.

    Raises:
        av.FFmpegError, ValueError: the container does not take it.
    """
    stream = output.add_stream_from_template(template, opaque=True)
    context = stream.codec_context
    if isinstance(context, AudioCodecContext) and context.name.startswith("pcm_"):
        usual = usual_layout(context)
        if usual is not None:
            context.layout = usual
    return stream


def usual_layout(context: AudioCodecContext) -> str | None:
    """FFmpeg's name of the usual places of channels that have no names; None where they have."""
    channels = context.layout.nb_channels
    if context.layout.name != f"{channels} channels":
        return None
    return _USUAL_LAYOUTS.get(channels)
