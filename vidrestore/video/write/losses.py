"""What belongs to the picture and the output cannot carry, in words, before work."""

from __future__ import annotations

from collections.abc import Iterator

from av.stream import Disposition

from vidrestore.video.read.probe import VideoInfo

__all__ = ["CAPTION_CODECS", "picture_losses"]

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


def picture_losses(source: VideoInfo, codec: str) -> Iterator[str]:
    """What of the picture's own data gets lost, one note each.

    Args:
        source: the input, as probed.
        codec: FFmpeg's name of the encoder.
    """
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
    if "A53_CC" in source.side_data and codec not in CAPTION_CODECS:
        yield (
            f"closed captions inside the picture stream will be lost: {codec} cannot write them; "
            "--codec libx264 and libx265 do"
        )
