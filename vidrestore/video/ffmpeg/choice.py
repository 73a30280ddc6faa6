"""What `--sink ffmpeg` encodes with, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

from vidrestore.config import EncodeConfig
from vidrestore.errors import VideoWriteError
from vidrestore.video.ffmpeg.arguments import parse_arguments, video_encoder
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.write.codecs import PROGRESSIVE_ONLY, CodecChoice, equal_layouts

__all__ = ["ffmpeg_choice"]

_IN_NUT = re.compile(r"(yuv[aj]?4\d\dp|gbra?p|gray)(\d+le)?|ya8")
"""Formats that raw video in NUT tells apart, in every version of FFmpeg."""


def ffmpeg_choice(info: VideoInfo, destination: Path, config: EncodeConfig) -> CodecChoice:
    """The encoder that the arguments name; FFmpeg takes pictures as decoded.

    Raises:
        VideoWriteError: the encoder would smear fields, or streams cannot be copied in time.
    """
    encoder = video_encoder(parse_arguments(config.ffmpeg_args))
    if info.interlaced and encoder in PROGRESSIVE_ONLY:
        raise VideoWriteError(
            f"{destination}: {encoder} has no tools for interlaced video; name libx264, "
            "mpeg2video, prores_ks or ffv1 in --ffmpeg-args"
        )
    if info.clock.joins and len(info.streams) > 1:
        raise VideoWriteError(
            f"{destination}: the file's clock jumps, and FFmpeg would copy its other streams by "
            "that clock; leave --sink ffmpeg out"
        )
    if info.mirrored and destination.suffix.lower() in (".mkv", ".webm"):
        raise VideoWriteError(
            f"{destination}: the picture is mirrored for showing, which --sink ffmpeg tells "
            "players in .mp4 and .mov only"
        )
    return CodecChoice(encoder or "FFmpeg's own choice", _layout_for_nut(info, destination))


def _layout_for_nut(info: VideoInfo, destination: Path) -> str:
    """The picture's format, or the same numbers in an order that every FFmpeg reads from NUT."""
    for name in equal_layouts(info.pix_fmt):
        if _IN_NUT.fullmatch(name):
            return name
    raise VideoWriteError(
        f"{destination}: {info.pix_fmt} cannot be handed to FFmpeg; leave --sink ffmpeg out"
    )
