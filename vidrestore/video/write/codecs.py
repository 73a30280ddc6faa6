"""Which codec writes a picture format into a container without changing a sample's meaning.

`choose_codec` takes the first of x264, x265, VP9 and FFV1 that the container takes and that holds
this pixel format *as decoded* and this size. A format is never converted, only relaid: the same
numbers in another order of planes (`equal_layouts`), such as RGB24 and planar GBR.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
from av.codec.context import Flags

from vidrestore.errors import UsageError, VideoWriteError, nearest

__all__ = [
    "AUTO_ORDER",
    "CONTAINERS",
    "CodecChoice",
    "Container",
    "NoCodecError",
    "check_codec",
    "choose_codec",
    "container_of",
    "equal_layouts",
    "fitting_format",
    "set_interlaced",
]

AUTO_ORDER = ("libx264", "libx265", "libvpx-vp9", "ffv1")
"""Codecs that `auto` tries, in this order."""


@dataclass(frozen=True, slots=True)
class Container:
    """What a kind of file can hold."""

    muxer: str
    """FFmpeg's name of the format that writes it."""
    codecs: tuple[str, ...]
    """Those of `AUTO_ORDER` it takes."""
    rotation: bool = False
    """Whether it keeps a display matrix."""
    chapters: bool = False
    attachments: bool = False
    negative_times: bool = False
    """Whether packets may have negative times; elsewhere all streams move together."""
    is_blu_ray: bool = False
    """Whether it is MPEG-TS as camcorders and discs write it: packets of 192 bytes, LPCM."""


_MP4 = Container("mp4", AUTO_ORDER, rotation=True, chapters=True, negative_times=True)
_MOV = Container("mov", AUTO_ORDER[:2], rotation=True, chapters=True, negative_times=True)
_MKV = Container("matroska", AUTO_ORDER, rotation=True, chapters=True, attachments=True)
_TS = Container("mpegts", AUTO_ORDER[:2])
_M2TS = Container("mpegts", AUTO_ORDER[:2], is_blu_ray=True)

CONTAINERS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": _MOV,
    ".qt": _MOV,
    ".mkv": _MKV,
    ".webm": Container("webm", ("libvpx-vp9",), rotation=True, chapters=True),
    ".ts": _TS,
    ".m2ts": _M2TS,
    ".mts": _M2TS,
    ".avi": Container("avi", ("libx264", "ffv1")),
    ".flv": Container("flv", ("libx264",)),
    ".3gp": Container("3gp", ("libx264",), rotation=True, negative_times=True),
    ".nut": Container("nut", AUTO_ORDER, chapters=True),
}
"""Containers by file ending."""

_X264 = frozenset(
    f"yuv{sampling}p{bits}" for sampling in ("420", "422", "444") for bits in ("", "10le")
) | {"yuvj420p", "yuvj422p", "yuvj444p"}
_X265 = (
    _X264
    | frozenset(f"yuv{sampling}p12le" for sampling in ("420", "422", "444"))
    | {"gray", "gray10le", "gray12le", "gbrp", "gbrp10le", "gbrp12le"}
)
_VP9 = frozenset({"yuv420p", "yuv422p", "yuv440p", "yuv444p", "gbrp"})

_HOLDS = {"libx264": _X264, "libx265": _X265, "libvpx-vp9": _VP9}
"""Formats that come back as they went in; encoders take more (x264 turns gray into yuv420p)."""

_KNOWS_FIELDS = ("libx264", "mpeg2video")

_PROGRESSIVE_ONLY = ("libx265", "libvpx-vp9", "libsvtav1")
"""Encoders without tools for two fields in a frame: they would smear one into the other."""

_EQUAL_LAYOUTS = (
    ("yuv420p", "yuvj420p", "nv12", "nv21"),
    ("yuv422p", "yuvj422p", "nv16", "yuyv422", "uyvy422", "yvyu422"),
    ("yuv444p", "yuvj444p", "nv24", "nv42"),
    ("yuv440p", "yuvj440p"),
    ("yuv411p", "yuvj411p"),
    ("yuv420p10le", "p010le"),
    ("yuv422p10le", "p210le", "nv20le", "y210le"),
    ("yuv444p10le", "p410le"),
    ("yuv420p12le", "p012le"),
    ("yuv422p12le", "p212le", "y212le"),
    ("yuv444p12le", "p412le"),
    ("yuv420p16le", "p016le"),
    ("yuv422p16le", "p216le", "y216le"),
    ("yuv444p16le", "p416le"),
    ("gbrp", "bgr0", "rgb0", "0rgb", "0bgr", "rgb24", "bgr24"),
    ("gbrap", "bgra", "rgba", "argb", "abgr"),
    ("gbrp16le", "rgb48le", "bgr48le"),
    ("gbrap16le", "rgba64le", "bgra64le"),
)
"""Formats in one row hold the same numbers and differ in their order in memory only."""


def equal_layouts(pix_fmt: str) -> tuple[str, ...]:
    """Format that hold the same numbers as `pix_fmt`, itself first.

    None of them is a `yuvj…` other than itself: those claim full range.
    """
    for row in _EQUAL_LAYOUTS:
        if pix_fmt in row:
            others = (name for name in row if name != pix_fmt and not name.startswith("yuvj"))
            return (pix_fmt, *others)
    return (pix_fmt,)


def container_of(path: str | Path) -> Container:
    """The container that a file's ending names.

    Raises:
        VideoWriteError: if the ending is unknown.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in CONTAINERS:
        shown = f"the file ending {suffix!r} names no container" if suffix else "no file ending"
        raise VideoWriteError(
            f"{path}: {shown} that can be written; use one of {', '.join(CONTAINERS)}"
            + nearest(suffix, CONTAINERS)
        )
    return CONTAINERS[suffix]


class NoCodecError(VideoWriteError):
    """A picture does not fit the codec or the container.

    Args:
        what: does not fit.
        ways: the end of the message: what does.
    """

    def __init__(self, what: str, ways: str) -> None:
        super().__init__(what + ways)
        self.what = what


@dataclass(frozen=True, slots=True)
class CodecChoice:
    """An encoder and the format it is fed with."""

    codec: str
    """FFmpeg's name of the encoder."""
    pix_fmt: str
    """The picture's own format, or one of `equal_layouts`."""


def choose_codec(
    container: Container,
    pix_fmt: str,
    width: int,
    height: int,
    codec: str = "auto",
    *,
    interlaced: bool = False,
) -> CodecChoice:
    """The codec for a picture format and size.

    Args:
        container: where it will be written.
        pix_fmt: format as decoded.
        width: coded width in pixels.
        height: coded height.
        codec: an encoder's name, or 'auto'.
        interlaced: whether frames are coded as two fields, for which some encoders ask more lines.

    Raises:
        UsageError: if there is no such codec.
        VideoWriteError: if nothing fits; names what does.
    """
    shown = f"{'interlaced ' if interlaced else ''}{pix_fmt} at {width}x{height}"
    if codec == "auto":
        for name in container.codecs:
            fitting = fitting_format(name, pix_fmt, width, height, interlaced)
            if fitting:
                return CodecChoice(name, fitting)
        raise NoCodecError(
            f"no codec that {_ending(container)} takes holds {shown}",
            _alternatives(pix_fmt, width, height, interlaced),
        )
    check_codec(codec, container)
    fitting = fitting_format(codec, pix_fmt, width, height, interlaced)
    if fitting is None:
        raise NoCodecError(
            f"codec {codec} cannot hold {shown}",
            _alternatives(pix_fmt, width, height, interlaced),
        )
    return CodecChoice(codec, fitting)


def check_codec(codec: str, container: Container) -> None:
    """Refuse what is no encoder of videos, or does not go into a container.

    Raises:
        UsageError: there is no such codec.
        VideoWriteError: the container does not take it; names what does.
    """
    try:
        encoder = _encoder(codec)
    except ValueError as error:
        known = sorted(av.codecs_available)
        raise UsageError(f"unknown codec {codec!r}{nearest(codec, known)}") from error
    if encoder.type != "video":
        raise UsageError(f"{codec} is no video codec; try auto or {', '.join(AUTO_ORDER)}")
    if codec in AUTO_ORDER and codec not in container.codecs:
        endings = [end for end, other in CONTAINERS.items() if codec in other.codecs]
        raise NoCodecError(
            f"{_ending(container)} does not take codec {codec}",
            f"; write {' or '.join(endings)}, or use --codec auto ({', '.join(container.codecs)})",
        )


def fitting_format(
    codec: str, pix_fmt: str, width: int, height: int, interlaced: bool = False
) -> str | None:
    """The layout of `pix_fmt` that `codec` holds at this size, or None."""
    if codec in _HOLDS:
        held = _HOLDS[codec]
    else:
        held = frozenset(form.name for form in _encoder(codec).video_formats or ())
    if interlaced and codec in _PROGRESSIVE_ONLY:
        return None
    for name in equal_layouts(pix_fmt):
        if name in held and _opens(codec, name, width, height, interlaced):
            return name
    return None


def _encoder(codec: str) -> av.Codec:
    return av.Codec(codec, "w")


def _alternatives(pix_fmt: str, width: int, height: int, interlaced: bool) -> str:
    pairs = [
        f"{codec} in {end}"
        for codec in AUTO_ORDER
        if fitting_format(codec, pix_fmt, width, height, interlaced)
        for end in (".mp4", ".mov", ".mkv", ".webm", ".avi")
        if codec in CONTAINERS[end].codecs
    ]
    return f"; these do: {', '.join(pairs)}" if pairs else "; no codec here holds it"


def set_interlaced(context: av.VideoCodecContext, codec: str) -> None:
    """Ask an encoder that knows fields to code them apart."""
    if codec in _KNOWS_FIELDS:
        context.flags |= Flags.interlaced_dct | Flags.interlaced_me


def _ending(container: Container) -> str:
    return next(end for end, other in CONTAINERS.items() if other == container)


@lru_cache(maxsize=256)
def _opens(codec: str, pix_fmt: str, width: int, height: int, interlaced: bool) -> bool:
    """Whether the encoder accepts this size: each has rules of its own (even, not too small, …)."""
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = width, height, pix_fmt
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.thread_count = 1
    if interlaced:
        set_interlaced(context, codec)
    if codec == "libx265":
        context.options = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"}
    elif codec == "libx264":
        context.options = {"preset": "ultrafast"}
    try:
        context.open()
    except (av.FFmpegError, ValueError):
        return False
    return True
