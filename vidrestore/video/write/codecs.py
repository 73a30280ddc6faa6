"""Which codec writes a picture format into a container without changing a sample's meaning.

`choose_codec` takes the first codec of the source's kind (`source_kind`) that the container takes
and that holds this pixel format *as decoded* and this size. A format is never converted unasked,
only laid out anew: the same numbers in another order (`equal_layouts`), as RGB24 and planar GBR.
The one exception: ProRes and DNxHR decoded with 12 bits are rounded to the 10 of their encoders.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

import av
from av.codec.codec import Capabilities
from av.codec.context import Flags

from vidrestore.errors import UsageError, VideoWriteError, nearest
from vidrestore.video.write.containers import AUTO_ORDER, CONTAINERS, Container, ending_of
from vidrestore.video.write.source_kind import (
    PICTURES,
    SAME_FAMILY,
    codec_order,
    encoder_profile,
    reason,
)

__all__ = [
    "PROGRESSIVE_ONLY",
    "CodecChoice",
    "NoCodecError",
    "check_codec",
    "choose_codec",
    "equal_layouts",
    "fitting_format",
    "set_interlaced",
]

_X264 = frozenset(
    f"yuv{sampling}p{bits}" for sampling in ("420", "422", "444") for bits in ("", "10le")
) | {"yuvj420p", "yuvj422p", "yuvj444p"}
_X265 = (
    _X264
    | frozenset(f"yuv{sampling}p12le" for sampling in ("420", "422", "444"))
    | {"gray", "gray10le", "gray12le", "gbrp", "gbrp10le", "gbrp12le"}
)
_VP9 = frozenset({"yuv420p", "yuv422p", "yuv440p", "yuv444p", "gbrp"})
_NVENC = frozenset({"yuv420p", "yuv444p", "p010le"})
_ALPHA = "yuva420p"
"""What VP9 holds where the container takes it: `Container.vp9_alpha`."""

_SVT_AV1 = frozenset({"yuv420p", "yuv420p10le"})

_HOLDS = {"libx264": _X264, "libx265": _X265, "libvpx-vp9": _VP9, "libsvtav1": _SVT_AV1}
_HOLDS |= dict.fromkeys(("h264_nvenc", "hevc_nvenc"), _NVENC)
_HOLDS["av1_nvenc"] = _NVENC - {"yuv444p"}
"""Formats that come back as they went in; encoders take more (x264 turns gray into yuv420p)."""

_KNOWS_FIELDS = ("libx264", "mpeg2video", "prores_ks", "dnxhd", "h264_nvenc")
"""Encoders that are asked for fields; those of GPUs that have none do not open then."""

_DNXHD_BIT_RATES = (185_000_000, 220_000_000)
"""Of interlaced DNxHD, up to 25 frames a second and above; DNxHR has no fields."""

PROGRESSIVE_ONLY = ("libx265", "libvpx-vp9", "libsvtav1", "cfhd", "hevc_nvenc", "av1_nvenc")
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
    """The picture's own format, or one of `equal_layouts`, or rounded to 10 bits."""
    why: str = field(default="", compare=False)
    """In a few words."""


def choose_codec(
    container: Container,
    pix_fmt: str,
    width: int,
    height: int,
    codec: str = "auto",
    *,
    interlaced: bool = False,
    source_codec: str = "",
) -> CodecChoice:
    """The codec for a picture format and size.

    Args:
        container: where it will be written.
        pix_fmt: format as decoded.
        width: coded width in pixels.
        height: coded height.
        codec: an encoder's name, or 'auto'.
        interlaced: whether frames are coded as two fields, for which some encoders ask more lines.
        source_codec: FFmpeg's name of the source's codec, whose kind `auto` keeps; '' where it does
            not count.

    Raises:
        UsageError: if there is no such codec.
        VideoWriteError: if nothing fits; names what does.
    """
    shown = f"{'interlaced ' if interlaced else ''}{pix_fmt} at {width}x{height}"
    if codec == "auto":
        why = reason(source_codec, pix_fmt) if source_codec else ""
        for name in codec_order(container.codecs, source_codec, pix_fmt):
            fitting = _fitting_in(container, name, pix_fmt, width, height, interlaced)
            if fitting is None and name == SAME_FAMILY.get(source_codec):
                fitting = _fitting_rounded(name, pix_fmt, width, height, interlaced)
            if fitting:
                return CodecChoice(name, fitting, why)
        what = (
            "a sequence of pictures" if source_codec == PICTURES else f"a source in {source_codec}"
        )
        kind = f" for {what}" if why.startswith("as the") else ""
        raise NoCodecError(
            f"no codec that {ending_of(container)} takes{kind} holds {shown}",
            _alternatives(pix_fmt, width, height, interlaced),
        )
    check_codec(codec, container)
    fitting = _fitting_in(container, codec, pix_fmt, width, height, interlaced)
    if fitting is None and _lacks_gpu(codec):
        raise NoCodecError(
            f"codec {codec} does not open here: it needs a GPU that has it, and a driver",
            _alternatives(pix_fmt, width, height, interlaced),
        )
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
    tabled = {name for other in CONTAINERS.values() for name in other.codecs}
    if codec in tabled - {"mpeg2video"} and codec not in container.codecs:  # Most take that one.
        endings = [end for end, other in CONTAINERS.items() if codec in other.codecs]
        raise NoCodecError(
            f"{ending_of(container)} does not take codec {codec}",
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
    if interlaced and codec in PROGRESSIVE_ONLY:
        return None
    for name in equal_layouts(pix_fmt):
        if name in held and _opens(codec, name, width, height, interlaced):
            return name
    return None


def _fitting_in(
    container: Container, codec: str, pix_fmt: str, width: int, height: int, interlaced: bool
) -> str | None:
    is_vp9 = codec == "libvpx-vp9" and pix_fmt == _ALPHA and not interlaced
    if is_vp9 and container.vp9_alpha and _opens(codec, pix_fmt, width, height, False):
        return pix_fmt
    return fitting_format(codec, pix_fmt, width, height, interlaced)


def _fitting_rounded(
    codec: str, pix_fmt: str, width: int, height: int, interlaced: bool
) -> str | None:
    """The format of 10 bits for one of 12, where decoders give ProRes 4444 and DNxHR so."""
    if "12" not in pix_fmt:
        return None
    return fitting_format(codec, pix_fmt.replace("12", "10"), width, height, interlaced)


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
    if codec == "dnxhd":
        context.bit_rate = _DNXHD_BIT_RATES[(context.framerate or 25) > 25]


def _lacks_gpu(codec: str) -> bool:
    """Whether an encoder is a GPU's, and does not even take an ordinary picture."""
    encoder = _encoder(codec)
    is_of_gpu = encoder.capabilities & (Capabilities.hardware | Capabilities.hybrid)
    formats = [form.name for form in encoder.video_formats or ()]
    return bool(is_of_gpu) and not any(
        _opens(codec, name, 1280, 720, False) for name in ("yuv420p", "nv12") if name in formats
    )


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
    profile = encoder_profile(codec, "", pix_fmt, interlaced=interlaced)
    if profile is not None:
        context.options = {"profile": profile}
    elif codec == "libx265":
        context.options = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"}
    elif codec == "libx264":
        context.options = {"preset": "ultrafast"}
    elif codec == "libvpx-vp9" and pix_fmt == _ALPHA:
        context.options = {"auto-alt-ref": "0"}
    try:
        context.open()
    except (av.FFmpegError, ValueError):
        return False
    return True
