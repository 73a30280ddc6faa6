"""The command by which the system's FFmpeg encodes the pictures of a pipe and copies the rest.

Pictures come as raw video in NUT, each at its exact time. What NUT does not tell of them (colour,
shape of pixels, fields) is given as options; tags and chapters go with NUT. All other
streams are copied from the input file. Both inputs stay on the input's own clock (`-copyts`); the
output is moved as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidrestore.config import EncodeConfig
from vidrestore.video.ffmpeg.arguments import parse_arguments, video_encoder
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.window import Window
from vidrestore.video.write.encoder_options import PARAMETERS, master_parameters, muxer_options
from vidrestore.video.write.plan import OutputPlan

__all__ = ["ffmpeg_command"]

_TRIAL_S = "0.2"
"""So much of the other streams is copied by a trial."""

_RANGES = {1: "tv", 2: "pc"}
_FIELD_ORDERS = {2: "tt", 3: "bb", 4: "tb", 5: "bt"}


def ffmpeg_command(
    program: str,
    plan: OutputPlan,
    source: VideoInfo,
    config: EncodeConfig,
    window: Window,
    output: Path,
    *,
    trial: bool = False,
) -> list[str]:
    """The program and its arguments.

    Args:
        program: path of FFmpeg.
        plan: how the output is written.
        source: the input, as probed.
        config: with the arguments that were given.
        window: the part of the input that is written.
        output: where FFmpeg writes, a file that exists.
        trial: whether only the beginning of the other streams is copied.
    """
    import ffmpeg

    pictures = ffmpeg.input("pipe:0", **_picture_options(source))
    streams = [pictures["v:0"]]
    others = [one for one in plan.streams if one.action in ("copy", "convert", "attach")]
    if others:
        assert source.carrier is not None
        rest = ffmpeg.input(_address(source.carrier), **_window_options(source, window, trial))
        streams += [rest[str(one.index)] for one in others]
    options: dict[str, Any] = {
        "map_metadata": 0,
        "map_chapters": 0 if plan.with_chapters else -1,
        "fps_mode": "passthrough",
        "enc_time_base:v:0": _ratio(source.time_base),
        **_shown_options(source),
        **muxer_options(plan, source),
        "f": plan.container.muxer,
    }
    for number, one in enumerate(others, start=1):
        options[f"c:{number}"] = one.codec or "copy"
        if window.first_s is not None and one.action == "copy":
            options[f"copypriorss:{number}"] = 0
    shift_s = plan.clock_s if window.first_s is None else window.first_s
    if shift_s:
        options["output_ts_offset"] = f"{float(-shift_s):.6f}"
    arguments = parse_arguments(config.ffmpeg_args)
    options |= arguments | _encoder_parameters(source, arguments)
    command = ffmpeg.output(*streams, _address(output), **options)
    quiet = ("-hide_banner", "-nostdin", "-nostats", "-loglevel", "error", "-progress", "pipe:1")
    words: list[str] = command.global_args("-copyts", "-y", *quiet).compile(cmd=program)
    return words


def _address(path: Path) -> str:
    """A file's whole name, of which FFmpeg takes no part for a protocol."""
    return f"file:{path.absolute()}"


def _ratio(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"


def _picture_options(source: VideoInfo) -> dict[str, Any]:
    """Options of the pipe: what NUT does not tell of its pictures."""
    colour = source.colour
    options: dict[str, Any] = {"f": "nut"}
    if colour.range in _RANGES:
        options["color_range"] = _RANGES[colour.range]
    for name, number in (
        ("colorspace", colour.space),
        ("color_primaries", colour.primaries),
        ("color_trc", colour.transfer),
    ):
        if number not in (0, 2):
            options[name] = number
    if source.interlaced:
        options["field_order"] = _FIELD_ORDERS.get(source.field_order, "tt")
    return options


def _window_options(source: VideoInfo, window: Window, trial: bool) -> dict[str, Any]:
    """Options of the input from which the other streams are copied: times on its own clock."""
    options: dict[str, Any] = {}
    if window.first_s is not None:
        options |= {"seek_timestamp": 1, "ss": f"{float(window.first_s):.6f}"}
    if trial:
        options["t"] = _TRIAL_S
    elif window.end_s is not None:
        # FFmpeg adds the beginning of the file itself.
        length_s = window.end_s - (window.first_s or 0) - source.start_s
        options["t"] = f"{max(0.0, float(length_s)):.6f}"
    return options


def _shown_options(source: VideoInfo) -> dict[str, Any]:
    """Options of the output about the shape of pixels and fields."""
    options: dict[str, Any] = {}
    if source.sar != 1:
        options["aspect"] = _ratio(source.sar * source.width / source.height).replace("/", ":")
    if source.interlaced:
        options["flags:v:0"] = "+ildct+ilme"
    return options


def _encoder_parameters(source: VideoInfo, arguments: Mapping[str, str | None]) -> dict[str, str]:
    """The HDR master's display, of encoders whose options tell it, before what was given.

    x265 writes its statistics to the channel of errors, unless it is told not to.
    """
    encoder = video_encoder(arguments)
    told = master_parameters(encoder, source)
    told += ["log-level=error"] if encoder == "libx265" else []
    if not told:
        return {}
    name = PARAMETERS[encoder]
    given = arguments.get(name)
    return {name: ":".join([*told, *([given] if given else [])])}
