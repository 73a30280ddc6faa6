"""What belongs to the picture and the output cannot carry, in words, before work."""

from __future__ import annotations

from collections.abc import Iterator

from av.stream import Disposition

from vidrestore.video.read.info import VideoInfo
from vidrestore.video.write.presentation import STEREO_IN_MP4

__all__ = ["BROADCAST_WAVE", "CAPTION_CODECS", "picture_losses", "tag_losses"]

_LOST = {
    "DOVI_METADATA": "Dolby Vision metadata",
    "DYNAMIC_HDR_PLUS": "dynamic HDR10+ metadata",
    "DYNAMIC_HDR_VIVID": "dynamic HDR Vivid metadata",
    "AFD": "the active format description (AFD)",
    "ICC_PROFILE": "the ICC colour profile",
}
"""No encoder here writes these; by FFmpeg's name of the side data."""

_HDR_LEFT = ("DOVI_METADATA", "DYNAMIC_HDR_PLUS", "DYNAMIC_HDR_VIVID")

CAPTION_CODECS = frozenset({"libx264", "libx265", "mpeg2video"})
"""Encoders that write closed captions (CEA-608, CEA-708) into the picture stream."""


SAR_CODECS = frozenset({"libx264", "libx265", "mpeg2video", "mpeg1video", "mpeg4"})
"""Encoders whose own headers tell the shape of pixels."""

_TELLING = ("mp4", "mov", "matroska", "webm")
"""Writers of containers that tell how a picture is shown."""


_TELL_TAGS = ("mp4", "mov", "matroska", "webm", "flv", "nut")
"""Writers of containers that hold tags of any name."""

BROADCAST_WAVE = (
    *("originator", "originator_reference", "origination_date", "origination_time"),
    *("time_reference", "coding_history", "umid"),
)
"""Tags of a WAV file's broadcast extension (EBU Tech 3285)."""


def tag_losses(source: VideoInfo, muxer: str, *, with_sound: bool = False) -> Iterator[str]:
    """What of broadcast's and film's own tags gets lost, one note each.

    Args:
        source: the input, as probed.
        muxer: FFmpeg's name of the container's writer.
        with_sound: whether files of sound, which hold tags, are written beside pictures.
    """
    tells = muxer in _TELL_TAGS
    if source.timecode and not tells and muxer not in ("mxf", "avi", "dpx"):
        yield f"the timecode {source.timecode} cannot be told in this container and will be lost"
    if source.reel_name and not tells and muxer != "mxf":
        yield f"the reel name {source.reel_name} cannot be told in this container and will be lost"
    held = [key for key in source.metadata if key.lower() in BROADCAST_WAVE]
    if held and not (tells or with_sound):
        names = ", ".join(held)
        yield f"tags of Broadcast Wave ({names}) cannot be told in this container and will be lost"


def picture_losses(
    source: VideoInfo, codec: str, muxer: str, *, through_pipe: bool = False
) -> Iterator[str]:
    """What of the picture's own data gets lost, one note each.

    Args:
        source: the input, as probed.
        codec: FFmpeg's name of the encoder.
        muxer: FFmpeg's name of the container's writer.
        through_pipe: whether pictures go to another program, without what lies beside samples.
    """
    yield from _presentation_losses(source, codec, muxer)
    info = next(one for one in source.streams if one.index == source.stream_index)
    if info.disposition & Disposition.multilayer:
        yield (
            "spatial (stereo) video: the base view is restored, and the second view, which no "
            "encoder here writes, is left out"
        )
    for name, words in _LOST.items():
        if name in source.side_data:
            kept = "; the HDR colours below it are kept" if name in _HDR_LEFT else ""
            yield f"{words} cannot be written and will be lost{kept}"
    if "A53_CC" in source.side_data and (through_pipe or codec not in CAPTION_CODECS):
        who = "--sink ffmpeg" if through_pipe else codec
        yield (
            f"closed captions inside the picture stream will be lost: {who} cannot write them; "
            "--codec libx264 and libx265 do"
        )


def _presentation_losses(source: VideoInfo, codec: str, muxer: str) -> Iterator[str]:
    told, lost = source.presentation, []
    tells = muxer in _TELLING
    if source.sar != 1 and not tells and muxer != "3gp" and codec not in SAR_CODECS:
        lost.append(f"the shape of its pixels ({source.sar.numerator}:{source.sar.denominator})")
    if told.aperture is not None and not tells:
        lost.append("the clean aperture (crop) of the picture")
    if (told.projection is not None or told.spherical_xml is not None) and not tells:
        lost.append("the projection of the spherical (360 degree) picture")
    in_mp4 = muxer in ("mp4", "mov")
    if told.stereo not in (None, 0) and (
        not tells or (in_mp4 and told.stereo not in STEREO_IN_MP4)
    ):
        lost.append("how the picture holds both eyes (stereo)")
    if told.boxes and not in_mp4:
        names = ", ".join(kind.decode("ascii", "replace") for kind, _ in told.boxes)
        lost.append(f"what only MP4 and MOV say of it ({names})")
    if source.mastering is not None and not tells and codec not in ("libx264", "libx265"):
        lost.append("the HDR master's display")
    for what in lost:
        yield f"{what} cannot be told in this container and will be lost; .mp4 and .mov tell it"
