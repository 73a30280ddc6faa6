"""What a video file holds, as lines for a person to read."""

from __future__ import annotations

from vidrestore.runtime.words import counted
from vidrestore.video.read.info import StreamInfo, VideoInfo
from vidrestore.video.write.containers import CONTAINERS

__all__ = ["describe", "describe_output"]


def describe(info: VideoInfo) -> list[str]:
    """What the file holds, as lines for a person to read."""
    lines = [f"{info.path}  ({info.container})", *_video_lines(info)]
    lines += [_stream_line(stream) for stream in info.streams if stream.index != info.stream_index]
    if info.chapters:
        lines.append(f"chapters    {len(info.chapters)}")
    if info.timecode:
        lines.append(f"timecode    {info.timecode}")
    if info.reel_name:
        lines.append(f"reel        {info.reel_name}")
    lines += [
        f"{key:<11} {value}"
        for key, value in info.metadata.items()
        if key in ("title", "artist", "date", "comment")
    ]
    return lines


def describe_output(info: VideoInfo) -> str:
    """What an output with the ending of this file would be, as a line."""
    return f"output      {_output_line(info)}"


def _video_lines(info: VideoInfo) -> list[str]:
    rate = f"{float(info.average_rate):.6g} frames/s" if info.average_rate else "rate unknown"
    lines = [
        f"video       #{info.stream_index} {info.codec}, {info.width}x{info.height}, "
        f"{info.pix_fmt} ({info.bit_depth} bit), {rate}"
    ]
    length = f"{info.duration_s:.3f} s" if info.duration_s else "unknown"
    about = info.n_frames_estimate
    frames = f", about {counted(about, 'frame')}" if about else ""
    lines.append(f"length      {length}{frames}, time base {info.time_base}")
    shown = f"{info.display.width}x{info.display.height}"
    turned = [f"pixels {info.sar.numerator}:{info.sar.denominator}"] if info.sar != 1 else []
    turned += [f"turned by {info.rotation}°"] if info.rotation else []
    turned += ["mirrored"] if info.mirrored else []
    turned += [f"interlaced, {info.first_field} field first"] if info.interlaced else []
    lines.append(f"shown as    {shown}{''.join(', ' + part for part in turned)}")
    colour = info.colour
    if any(value not in (0, 2) for value in (colour.space, colour.primaries, colour.transfer)):
        lines.append(
            f"colour      range {colour.range}, matrix {colour.space}, primaries "
            f"{colour.primaries}, transfer {colour.transfer} (numbers of ITU-T H.273)"
        )
    return lines


def _stream_line(stream: StreamInfo) -> str:
    kind = "cover" if stream.is_cover else stream.type
    parts = [stream.codec or "unknown", stream.detail, stream.language or "", stream.title or ""]
    if stream.type == "attachment":
        parts = [stream.metadata.get("filename", ""), stream.metadata.get("mimetype", "")]
    parts += ["default"] if stream.default else []
    return f"{kind:<11} #{stream.index} {', '.join(part for part in parts if part)}"


def _output_line(info: VideoInfo) -> str:
    suffix = info.path.suffix.lower()
    if info.sequence is not None:
        ending = info.sequence.ending
        return f"pictures as these ({ending}) in another folder, or a video, such as .mkv (ffv1)"
    if info.auto_codec:
        return f"{info.auto_codec} in {suffix} (codec auto)"
    if suffix not in CONTAINERS:
        return f"{suffix or 'this kind of file'} cannot be written; use {', '.join(CONTAINERS)}"
    return f"no codec that {suffix} takes holds {info.pix_fmt} at this size"
