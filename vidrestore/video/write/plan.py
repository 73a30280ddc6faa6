"""Everything about the output that can go wrong, settled before any work is done.

`plan_output(info, destination, config)` answers which codec and layout the picture gets and what
becomes of every other stream, or says why the output cannot be made and what would help.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
from av.container import InputContainer
from av.stream import Stream

from vidrestore.config import EncodeConfig
from vidrestore.errors import UsageError, VideoDecodeError, VideoWriteError, nearest
from vidrestore.runtime.output_file import check_outputs
from vidrestore.runtime.words import counted
from vidrestore.video.boundary import av_boundary, read_packets, wind
from vidrestore.video.read.probe import StreamInfo, VideoInfo, open_input
from vidrestore.video.write.codecs import CONTAINERS, Container, choose_codec, container_of

__all__ = ["OutputPlan", "StreamPlan", "plan_output", "stream_name"]

_PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)

# fmt: off
_TS_CODECS = frozenset({
    "aac", "aac_latm", "mp1", "mp2", "mp3", "ac3", "eac3", "dts", "truehd", "opus", "s302m",
    "dvb_subtitle", "hdmv_pgs_subtitle", "timed_id3", "klv", "scte_35", "h264", "hevc",
    "mpeg1video", "mpeg2video", "mpeg4",
})
# fmt: on
"""What MPEG-TS really carries; its muxer accepts anything, as private data that nobody reads."""


_LONG_WAIT_S = 10
"""A first frame later than this is no offset that somebody meant."""


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What becomes of one stream."""

    index: int
    action: Literal["encode", "copy", "attach", "rewrite", "drop"]
    """'encode': the restored picture. 'copy': packet by packet. 'attach': as an attached file.
    'rewrite': a timecode or chapter track, which the container's writer makes anew. 'drop': left
    out because the user said so."""


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """How the output is written."""

    destination: Path
    container: Container
    codec: str
    """FFmpeg's name of the encoder."""
    pix_fmt: str
    """The format it is fed with: as decoded, or an equal layout."""
    streams: tuple[StreamPlan, ...]
    """In the input's order."""
    with_chapters: bool
    clock_s: Fraction
    """Subtracted from all times: a broadcast's clock, which only MPEG-TS carries on; else 0."""
    covers: Mapping[int, tuple[str, str, bytes]]
    """Cover art that becomes an attachment: (name, MIME type, data) by the input's stream."""
    notes: tuple[str, ...]
    """What a person should know: streams dropped."""

    def action(self, index: int) -> str:
        """What becomes of the input's stream `index`."""
        return next(stream.action for stream in self.streams if stream.index == index)


def plan_output(
    info: VideoInfo,
    destination: str | Path,
    config: EncodeConfig,
    source: InputContainer | None = None,
) -> OutputPlan:
    """Settle how `info`'s video is written to `destination`, without writing anything.

    Args:
        info: what `probe` found.
        destination: where it goes; its ending names the container.
        config: codec, quality, what may be dropped.
        source: the open input, which is read on; None opens it again.

    Raises:
        UsageError: if the codec, the preset or the quality does not exist.
        VideoWriteError: if it cannot be written there, or the container cannot hold all of it.
    """
    if source is None and info.carrier is not None:
        with open_input(info.carrier) as opened:
            return plan_output(info, destination, config, opened)
    destination = Path(destination)
    container = container_of(destination)
    check_outputs([destination], inputs=[info.path], overwrite=config.overwrite)
    choice = choose_codec(container, info.pix_fmt, info.width, info.height, config.codec)
    _check_quality(choice.codec, config)
    _check_turn(info, destination, container)
    streams, notes = _plan_streams(source, info, destination, container, config)
    with_chapters = bool(info.chapters)
    if with_chapters and not container.chapters:
        if "chapters" not in config.drop:
            raise VideoWriteError(
                f"{destination}: {destination.suffix} cannot hold the "
                f"{counted(len(info.chapters), 'chapter')}; write {_endings('chapters')}, or leave "
                "them out with --drop chapters"
            )
        with_chapters = False
        notes.append(f"{counted(len(info.chapters), 'chapter')} left out")
    clock_s = _broadcast_clock_s(info, container)
    if clock_s:
        notes.append(f"times begin at 0 instead of {float(clock_s):.3f} s, the broadcast's clock")
    return OutputPlan(
        destination=destination,
        container=container,
        codec=choice.codec,
        pix_fmt=choice.pix_fmt,
        streams=tuple(streams),
        with_chapters=with_chapters,
        clock_s=clock_s,
        covers=_read_covers(source, info, streams),
        notes=tuple(notes),
    )


def _broadcast_clock_s(info: VideoInfo, container: Container) -> Fraction:
    """Where the times of a recorded broadcast begin: hours, which players would wait in MP4."""
    if container.muxer == "mpegts" or info.start_s < _LONG_WAIT_S:
        return Fraction(0)
    return math.floor(info.start_s / info.time_base) * info.time_base


def _endings(ability: str) -> str:
    return " or ".join(end for end, one in CONTAINERS.items() if getattr(one, ability))


def _check_quality(codec: str, config: EncodeConfig) -> None:
    if codec in ("libx264", "libx265") and config.preset not in _PRESETS:
        raise UsageError(
            f"unknown preset {config.preset!r}; use one of {', '.join(_PRESETS)}"
            + nearest(config.preset, _PRESETS)
        )
    if config.crf is None:
        return
    options = av.CodecContext.create(codec, "w").supported_options.private
    crf = next((option for option in options if option.name == "crf"), None)
    if crf is None:
        raise UsageError(f"codec {codec} has no --crf; leave it out")
    most = {"libx264": 51, "libx265": 51}.get(codec, min(crf.max, 63))
    if config.crf > most:
        raise UsageError(f"--crf {config.crf:g} is too much for {codec}: 0 to {most:g}")


def _check_turn(info: VideoInfo, destination: Path, container: Container) -> None:
    if (info.rotation or info.mirrored) and not container.rotation:
        how = f"turned by {info.rotation}°" if info.rotation else "mirrored"
        raise VideoWriteError(
            f"{destination}: the picture is {how} for showing, which {destination.suffix} cannot "
            f"tell players; write {_endings('rotation')}"
        )


def _plan_streams(
    source: InputContainer | None,
    info: VideoInfo,
    destination: Path,
    container: Container,
    config: EncodeConfig,
) -> tuple[list[StreamPlan], list[str]]:
    plans: list[StreamPlan] = []
    notes: list[str] = []
    for stream in info.streams:
        if stream.index == info.stream_index:
            plans.append(StreamPlan(stream.index, "encode"))
            continue
        if stream.is_made_by_muxer:
            plans.append(StreamPlan(stream.index, "rewrite"))
            continue
        assert source is not None
        av_stream = source.streams[stream.index]
        way = _way_to_keep(av_stream, stream, container)
        if way is None:
            notes.append(_drop_or_raise(av_stream, stream, destination, config))
        plans.append(StreamPlan(stream.index, way or "drop"))
    return plans, notes


def _read_covers(
    source: InputContainer | None, info: VideoInfo, plans: Sequence[StreamPlan]
) -> dict[int, tuple[str, str, bytes]]:
    """(name, MIME type, data) of cover art that goes into the file as an attachment."""
    wanted = {
        stream.index: stream
        for planned, stream in zip(plans, info.streams, strict=True)
        if planned.action == "attach" and stream.is_cover
    }
    found: dict[int, tuple[str, str, bytes]] = {}
    if not wanted or source is None:
        return found
    with av_boundary(VideoDecodeError, f"{info.path}: cannot be read"):
        wind(source, 0)
    for packet in read_packets(source, *(source.streams[index] for index in wanted)):
        index = packet.stream.index
        if packet.size and index not in found:
            kind = "png" if wanted[index].codec == "png" else "jpeg"
            name = wanted[index].metadata.get("filename", f"cover.{kind[:3]}")
            mime = wanted[index].metadata.get("mimetype", f"image/{kind}")
            found[index] = (name.replace(".jpe", ".jpg"), mime, bytes(packet))
        if len(found) == len(wanted):
            break
    return found


def _way_to_keep(
    stream: Stream, info: StreamInfo, container: Container
) -> Literal["copy", "attach"] | None:
    if info.type == "attachment" or (info.is_cover and container.attachments):
        return "attach" if container.attachments else None
    return "copy" if _holds_packets(stream, info, container) else None


def _holds_packets(stream: Stream, info: StreamInfo, container: Container) -> bool:
    """Whether the container's writer accepts a header with this stream in it."""
    if container.muxer == "mpegts" and info.codec not in _TS_CODECS:
        return False
    output = av.open(io.BytesIO(), "w", format=container.muxer)
    try:
        output.add_stream_from_template(stream, opaque=True)
        output.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def _drop_or_raise(
    stream: Stream, info: StreamInfo, destination: Path, config: EncodeConfig
) -> str:
    """The note about a stream left out.

    Raises:
        VideoWriteError: if the user has not said so.
    """
    kind = _drop_kind(info)
    name = stream_name(info)
    if kind in config.drop:
        return f"{name} left out: {destination.suffix} cannot hold it"
    holding = [ending for ending, other in CONTAINERS.items() if _way_to_keep(stream, info, other)]
    ways = [f"write {' or '.join(holding)}"] if holding else []
    ways += [f"leave it out with --drop {kind}"] if kind else []
    if not ways:
        ways = ["remove that stream first"]
    raise VideoWriteError(
        f"{destination}: {destination.suffix} cannot hold {name}; {', or '.join(ways)}"
    )


def _drop_kind(info: StreamInfo) -> str | None:
    if info.type == "attachment" or info.is_cover:
        return "attachments"
    return {"subtitle": "subtitles", "data": "data", "unknown": "data"}.get(info.type)


def stream_name(info: StreamInfo) -> str:
    """The stream as messages call it, such as 'audio stream 1 (aac, eng)'."""
    kind = "cover art" if info.is_cover else info.type
    what = info.metadata.get("filename") if info.type == "attachment" else info.codec
    told = ", ".join(part for part in (what or "unknown", info.language, info.title) if part)
    return f"{kind} stream {info.index} ({told})"
