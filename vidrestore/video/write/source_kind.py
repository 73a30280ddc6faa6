"""Which codecs `auto` tries: those of the source's own kind.

| source | tried |
| --- | --- |
| lossless | lossless encoders only: what was never lossy does not become so unasked |
| ProRes, DNxHD and DNxHR, v210, CineForm | the same family |
| more than 8 bits | x265 before x264 (H.264 with 4:2:2 stays with x264), then the others |
| all else | in the container's order: x264 first |
"""

from __future__ import annotations

from collections.abc import Sequence

import av

__all__ = [
    "LOSSLESS_ENCODERS",
    "PICTURES",
    "SAME_FAMILY",
    "codec_order",
    "encoder_profile",
    "reason",
]

PICTURES = "pictures"
"""Stands for the codec of a sequence of pictures, of whatever kind."""

LOSSLESS_ENCODERS = frozenset({"ffv1", "utvideo", "v210", "png", "tiff", "dpx"})
"""Encoders that lose nothing of the formats they take."""

SAME_FAMILY = {"prores": "prores_ks", "dnxhd": "dnxhd", "v210": "v210", "cfhd": "cfhd"}
"""Encoders by the codec of a source that is edited: every frame by itself, of high quality."""

# fmt: off
_LOSSLESS = frozenset({
    "012v", "apng", "ayuv", "bitpacked", "bmp", "cllc", "cscd", "dpx", "ffv1", "ffvhuff",
    "flashsv", "fraps", "huffyuv", "hymt", "lagarith", "loco", "magicyuv", "mwsc", "png", "qtrle",
    "r10k", "r210", "rawvideo", "rscc", "sgi", "screenpresso", "targa", "tiff", "utvideo", "v308",
    PICTURES, "v408", "v410", "vble", "wrapped_avframe", "y41p", "ylc", "yuv4", "zlib", "zmbv",
})
# fmt: on
"""Codecs of sources that lose nothing, by FFmpeg's names."""

_PRORES = {
    "Proxy": "proxy",
    "LT": "lt",
    "Standard": "standard",
    "HQ": "hq",
    "4444": "4444",
    "XQ": "4444xq",
}
_DNXHR = {"DNXHR LB": "dnxhr_lb", "DNXHR SQ": "dnxhr_sq", "DNXHR HQ": "dnxhr_hq"}


def codec_order(codecs: Sequence[str], source_codec: str, pix_fmt: str) -> tuple[str, ...]:
    """The encoders to try, in this order.

    Args:
        codecs: those that the container takes, in its order.
        source_codec: FFmpeg's name of the source's codec, '' where it does not count.
        pix_fmt: format as decoded.
    """
    if source_codec in SAME_FAMILY:
        return tuple(name for name in codecs if name == SAME_FAMILY[source_codec])
    if source_codec in _LOSSLESS:
        return tuple(name for name in codecs if name in LOSSLESS_ENCODERS and name != "v210")
    delivered = [name for name in codecs if name not in SAME_FAMILY.values()]
    stays_x264 = source_codec == "h264" and "422" in pix_fmt
    if source_codec and is_deep(pix_fmt) and not stays_x264:
        delivered.sort(key=lambda name: name != "libx265")
    return tuple(delivered)


def is_deep(pix_fmt: str) -> bool:
    """Whether samples have more than 8 bits."""
    return av.VideoFormat(pix_fmt).components[0].bits > 8


def reason(source_codec: str, pix_fmt: str) -> str:
    """Why `auto` took what it took, in a few words; '' where nothing special is the reason."""
    if source_codec in SAME_FAMILY:
        return f"as the source, {source_codec}"
    if source_codec in _LOSSLESS:
        return "as the source"
    bits = av.VideoFormat(pix_fmt).components[0].bits
    return f"{bits}-bit source" if bits > 8 else ""


def encoder_profile(
    codec: str, source_profile: str, pix_fmt: str, *, interlaced: bool = False
) -> str | None:
    """The encoder's profile: the source's, where that holds the format; None where it has none.

    Args:
        codec: FFmpeg's name of the encoder.
        source_profile: FFmpeg's name of the source's profile, such as 'DNXHR HQX', or ''.
        pix_fmt: format that is encoded.
        interlaced: whether frames are coded as two fields.
    """
    is_444 = "444" in pix_fmt or pix_fmt.startswith("gbr")
    if codec == "prores_ks":
        profile = _PRORES.get(source_profile, "4444" if is_444 else "hq")
        return profile if is_444 == profile.startswith("4444") else "4444" if is_444 else "hq"
    if codec == "dnxhd" and interlaced:
        return "dnxhd"
    if codec == "dnxhd":
        if is_444:
            return "dnxhr_444"
        return "dnxhr_hqx" if is_deep(pix_fmt) else _DNXHR.get(source_profile, "dnxhr_hq")
    return None
