"""Profiles of outputs: one word for codec, quality, size, pixel format and sound.

What is given beside a profile wins: `--codec` over its codec (and then over its pixel format and
quality), `--crf` over its quality, `--audio` over its sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av

from vidrestore.config import EncodeConfig
from vidrestore.video.read.info import ColourTags, VideoInfo

__all__ = [
    "PROFILES",
    "Profile",
    "Wanted",
    "apply_profile",
    "as_decoded",
    "converting_profiles",
]


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile."""

    codec: str
    crf: float | None
    lines: int | None
    """The picture is reduced to so many, if it has more; never where it is interlaced."""
    format: Literal["as decoded", "8 bit", "422", "444"]
    audio: Literal["copy", "flac", "pcm"]
    """What becomes of sound that the container cannot hold."""
    encoder_profile: str | None = None


PROFILES = {
    "access": Profile("libx264", 20, None, "8 bit", "flac"),
    "ffv1": Profile("ffv1", None, None, "as decoded", "flac"),
    "prores_hq": Profile("prores_ks", None, None, "422", "pcm", "hq"),
    "prores_4444xq": Profile("prores_ks", None, None, "444", "pcm", "4444xq"),
    "dnxhr_hqx": Profile("dnxhd", None, None, "422", "pcm", "dnxhr_hqx"),
    "proxy": Profile("libx264", 28, 540, "8 bit", "flac"),
}

_HDR_TRANSFERS = (16, 18)
"""PQ and HLG (ITU-T H.273): 8 bits would show bands."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The picture that is written."""

    pix_fmt: str
    size: tuple[int, int]
    """(width, height) in pixels."""
    sar: Fraction
    colour: ColourTags
    encoder_profile: str | None = None
    crf: float | None = None
    """The profile's, where none was asked for."""
    notes: tuple[str, ...] = ()
    """What is converted."""


def apply_profile(info: VideoInfo, config: EncodeConfig) -> tuple[EncodeConfig, Wanted]:
    """The options with those of the profile, and the picture that is written.

    Without a profile, or with another codec than the profile's, the picture is as decoded.
    """
    if config.profile is None:
        return config, as_decoded(info)
    profile = PROFILES[config.profile]
    audio = config.audio if config.audio in ("flac", "pcm") else profile.audio
    if config.codec not in ("auto", profile.codec):
        return config.model_copy(update={"audio": audio}), as_decoded(info)
    changed = config.model_copy(update={"codec": profile.codec, "audio": audio})
    return changed, _wanted(info, profile)


def converting_profiles(codec: str) -> list[str]:
    """Names of profiles that make a picture of full size fit the codec."""
    return [
        name
        for name, one in PROFILES.items()
        if one.codec == codec and one.format != "as decoded" and one.lines is None
    ]


def as_decoded(info: VideoInfo) -> Wanted:
    """The picture as the input has it."""
    return Wanted(info.pix_fmt, (info.width, info.height), info.sar, info.colour)


def _wanted(info: VideoInfo, profile: Profile) -> Wanted:
    pix_fmt = _format(info, profile)
    width, height = _size(info, profile)
    sar = info.sar * Fraction(info.width * height, info.height * width)
    sar = info.sar if abs(sar / info.sar - 1) < Fraction(1, 200) else sar
    notes = []
    if pix_fmt != info.pix_fmt:
        notes.append(f"{info.pix_fmt} is converted to {pix_fmt}, as the profile asks")
    if (width, height) != (info.width, info.height):
        notes.append(f"the picture is reduced to {width}x{height}, as the profile asks")
    return Wanted(
        pix_fmt,
        (width, height),
        sar,
        _colour(info, pix_fmt),
        profile.encoder_profile,
        profile.crf,
        tuple(notes),
    )


def _format(info: VideoInfo, profile: Profile) -> str:
    held = av.VideoFormat(info.pix_fmt)
    has_alpha = any(part.is_alpha for part in held.components)
    if profile.format == "422":
        return "yuv422p10le"
    if profile.format == "444":
        return "yuva444p10le" if has_alpha else "yuv444p10le"
    if profile.format == "as decoded":
        return info.pix_fmt
    if info.colour.transfer in _HDR_TRANSFERS and held.components[0].bits > 8:
        return "yuv420p10le"
    keeps_chroma = info.interlaced and "422" in info.pix_fmt
    return "yuv422p" if keeps_chroma else "yuv420p"


def _size(info: VideoInfo, profile: Profile) -> tuple[int, int]:
    width, height = info.width, info.height
    if profile.lines is not None and height > profile.lines and not info.interlaced:
        width, height = round(width * profile.lines / height), profile.lines
    if profile.format == "8 bit" and (width, height) != (info.width, info.height):
        width, height = width + width % 2, height + height % 2
    return width, height


def _colour(info: VideoInfo, pix_fmt: str) -> ColourTags:
    """RGB becomes YUV of BT.709 and limited range."""
    if not av.VideoFormat(info.pix_fmt).is_rgb or av.VideoFormat(pix_fmt).is_rgb:
        return info.colour
    return ColourTags(1, 1, info.colour.primaries, info.colour.transfer)
