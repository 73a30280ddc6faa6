"""Filters before everything (`decode.deinterlace`, `decode.prefilter`), tried before work.

A few empty frames are sent through, which tells what the filters make of the picture's size, format
and pixels, and whether they give one frame for each, at the same time: others are refused.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

import av

from vidrestore.config import DecodeConfig
from vidrestore.errors import UsageError
from vidrestore.video.boundary import AV_ERRORS, reason_of
from vidrestore.video.picture.display import display_of
from vidrestore.video.picture.field_order import with_field_order
from vidrestore.video.picture.filter_graph import FilterError, FilterGraph
from vidrestore.video.picture.filter_text import parse_filters

if TYPE_CHECKING:
    from vidrestore.video.read.info import ColourTags, VideoInfo

__all__ = ["filters_of", "last_filter", "shape_after", "try_filters"]

_FRAMES = 6
"""Enough for filters that drop one of five, or make five of four."""

_SAR_BITS = (14, 34)
"""Binary digits of the shape of pixels up to which each of two graphs tells 20."""
_SAR_ROW = 1024
_SAR_TERMS = 60_000
"""Denominators up to this are told apart by so many digits."""

# fmt: off
_REFUSED = frozenset({
    "amovie", "ametadata", "azmq", "libvmaf", "metadata", "movie", "psnr", "sendcmd", "signature",
    "ssim", "vidstabdetect", "xpsnr", "zmq",
})
# fmt: on
"""Filters that write or open files, or listen to others, and change no picture for it."""


def filters_of(info: VideoInfo, config: DecodeConfig) -> tuple[str, ...]:
    """The graphs that frames are sent through, one after the other.

    Args:
        info: of the input. Where it says that frames are interlaced, deinterlacing passes those
            that are not; else it takes all.
        config: what was asked for.
    """
    which = "interlaced" if info.interlaced else "all"
    deinterlacer = f"bwdif=mode=send_frame:parity=auto:deint={which},setfield=mode=prog"
    first = [deinterlacer] if config.deinterlace else []
    return (*first, *([config.prefilter] if config.prefilter is not None else []))


def try_filters(info: VideoInfo, filters: tuple[str, ...]) -> VideoInfo:
    """What the picture of `info` is after some filters.

    Raises:
        UsageError: one of them cannot be made, does not take such pictures, or does not give one
            frame for each, at the same time.
    """
    for text in filters:
        try:
            info = _tried(info, text)
        except FilterError as error:
            raise UsageError(f"--prefilter '{text}': {error}") from error
        except AV_ERRORS as error:
            raise UsageError(
                f"--prefilter '{text}': fails on {info.width}x{info.height} {info.pix_fmt} "
                f"({reason_of(error)})"
            ) from error
    return info


def last_filter(text: str, pix_fmt: str) -> str:
    """What comes after a graph: back to the pixel format before it, unless it chooses one."""
    calls = [call for chain in parse_filters(text) for call in chain]
    return "null" if any(call.name == "format" for call in calls) else f"format={pix_fmt}"


def shape_after(frame: av.VideoFrame, text: str, sar: Fraction) -> Fraction:
    """Width over height of a pixel after some filters.

    Args:
        frame: one that will be sent.
        text: the filters.
        sar: the same before them.
    """
    told = Fraction(0)
    for bits in _SAR_BITS:
        given = _sent(FilterGraph(frame, text, _sar_filter(bits), sar=sar), [frame])
        if not given:
            return sar
        told += Fraction((given[0].height - 1) * _SAR_ROW + given[0].width - 1, 1 << bits)
    return told.limit_denominator(_SAR_TERMS) or sar


def _sar_filter(bits: int) -> str:
    """Draws 20 binary digits of the shape of pixels, which PyAV does not tell, as the size of a
    picture.
    """
    number = f"floor(mod(sar*{1 << bits}\\,{_SAR_ROW**2}))"
    return f"scale=w=1+mod({number}\\,{_SAR_ROW}):h=1+floor({number}/{_SAR_ROW})"


def _tried(info: VideoInfo, text: str) -> VideoInfo:
    _refuse(text)
    base = info.time_base
    step = max(1, round(1 / ((info.average_rate or Fraction(25)) * base)))
    frame = _empty_frame(info)
    graph = FilterGraph(
        frame, text, last_filter(text, info.pix_fmt),
        time_base=base, sar=info.sar, rate=info.average_rate,
    )  # fmt: skip
    frames, times = [], []
    for number in range(_FRAMES):
        frame = _empty_frame(info)
        frame.pts, frame.time_base = number * step, base
        frames.append(frame)
        times.append(number * step * base)
    given = _sent(graph, frames)
    if [one.time for one in given] != [float(time_s) for time_s in times]:
        raise FilterError(
            f"of {_FRAMES} frames it makes {len(given)}, or changes their times; only filters that "
            "give one frame for each, at the same time, can be used here"
        )
    return _with_picture(info, frames[0], given[0], shape_after(frames[0], text, info.sar))


def _refuse(text: str) -> None:
    try:
        chains = parse_filters(text)
    except ValueError as error:
        raise FilterError(str(error)) from error
    for chain in chains:
        for call in chain:
            if call.name in _REFUSED:
                raise FilterError(f"filter {call.name} is not for changing pictures")


def _sent(graph: FilterGraph, frames: list[av.VideoFrame]) -> list[av.VideoFrame]:
    given = []
    for frame in (*frames, None):
        graph.push(frame)
        while (one := graph.pull()) is not None:
            given.append(one)
    return given


def _empty_frame(info: VideoInfo) -> av.VideoFrame:
    frame = av.VideoFrame(info.width, info.height, info.pix_fmt)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    colour = info.colour
    frame.color_range, frame.colorspace = colour.range, colour.space
    frame.color_primaries, frame.color_trc = colour.primaries, colour.transfer
    return with_field_order(frame, info.first_field)


def _with_picture(
    info: VideoInfo, before: av.VideoFrame, after: av.VideoFrame, sar: Fraction
) -> VideoInfo:
    """`info` with a picture as `after`; `before` is the one it was made of."""
    interlaced = bool(after.interlaced_frame)
    same_size = (after.width, after.height) == (before.width, before.height)
    shown = info.presentation
    return replace(
        info,
        width=after.width,
        height=after.height,
        pix_fmt=after.format.name,
        bit_depth=after.format.components[0].bits,
        sar=sar,
        display=display_of(after.width, after.height, sar, info.display_matrix),
        colour=_colour(info.colour, before, after),
        interlaced=interlaced,
        field_order=info.field_order if interlaced else _PROGRESSIVE,
        presentation=shown if same_size else replace(shown, aperture=None),
    )


_PROGRESSIVE = 1
"""Of FFmpeg's `AVFieldOrder`."""


def _colour(told: ColourTags, before: av.VideoFrame, after: av.VideoFrame) -> ColourTags:
    """The tags as told, but for those that filters changed."""
    pairs = {
        "range": (before.color_range, after.color_range),
        "space": (before.colorspace, after.colorspace),
        "primaries": (before.color_primaries, after.color_primaries),
        "transfer": (before.color_trc, after.color_trc),
    }
    changed = {
        name: int(now)
        for name, (was, now) in pairs.items()
        if int(was) != int(now) and int(was) not in (0, 2)
    }
    return replace(told, **changed)
