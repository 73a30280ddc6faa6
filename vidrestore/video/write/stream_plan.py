"""What becomes of every stream of the input besides the picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Stream

from vidrestore.config import EncodeConfig
from vidrestore.errors import UsageError
from vidrestore.video.read.info import StreamInfo, VideoInfo
from vidrestore.video.write.acm_sound import wave_header
from vidrestore.video.write.containers import Container
from vidrestore.video.write.copied_stream import add_copied_stream
from vidrestore.video.write.refusal import Option, Refusal
from vidrestore.video.write.sound import mxf_holds, sound_encoder

__all__ = ["StreamPlan", "check_numbers", "kept_by", "plan_streams", "stream_name"]

# fmt: off
_TS_CODECS = frozenset({
    "aac", "aac_latm", "mp1", "mp2", "mp3", "ac3", "eac3", "dts", "truehd", "opus", "s302m",
    "dvb_subtitle", "hdmv_pgs_subtitle", "timed_id3", "klv", "scte_35", "h264",
    "hevc", "mpeg1video", "mpeg2video", "mpeg4",
})
# fmt: on
"""What MPEG-TS really carries; its muxer accepts anything, as private data that nobody reads."""


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """What becomes of one stream."""

    index: int
    action: Literal["encode", "copy", "convert", "attach", "rewrite", "drop"]
    """'encode': the restored picture. 'copy': packet by packet. 'convert': sound in another codec.
    'attach': as an attached file. 'rewrite': a timecode or chapter track, which the container's
    writer makes anew. 'drop': left out."""
    codec: str = ""
    """FFmpeg's name of the encoder, of sound that is converted."""


def plan_streams(
    source: InputContainer | None,
    info: VideoInfo,
    destination: Path,
    container: Container,
    config: EncodeConfig,
) -> tuple[list[StreamPlan], list[str]]:
    """What becomes of each stream, in the input's order, and notes about it.

    Raises:
        UsageError: `config.drop` names a stream that is not there, or the picture.
        Refusal: the container cannot hold a stream.
    """
    check_numbers(info, config.drop)
    plans: list[StreamPlan] = []
    notes: list[str] = []
    for stream in info.streams:
        if stream.index == info.stream_index:
            plans.append(StreamPlan(stream.index, "encode"))
            continue
        assert source is not None
        plan, note = _plan_stream(source.streams[stream.index], stream, info, container, config)
        if plan is None:
            raise Refusal(
                f"{destination}: {destination.suffix} cannot hold {stream_name(stream)}",
                _options(stream, config),
            )
        plans.append(plan)
        notes += [note] if note else []
    return plans, notes


def _plan_stream(
    av_stream: Stream,
    stream: StreamInfo,
    info: VideoInfo,
    container: Container,
    config: EncodeConfig,
) -> tuple[StreamPlan | None, str]:
    index, kind = stream.index, _drop_kind(stream)
    if index == info.stream_index:
        return StreamPlan(index, "encode"), ""
    if str(index) in config.drop:
        return StreamPlan(index, "drop"), f"{stream_name(stream)} left out, as asked"
    if stream.is_made_by_muxer:
        return StreamPlan(index, "rewrite"), ""
    way = _way_to_keep(av_stream, stream, container)
    if way is not None:
        return StreamPlan(index, way), ""
    if kind == "audio":
        encoder = sound_encoder(av_stream, config.audio, container)
        if encoder is not None:
            told = f"{stream_name(stream)} is converted to {encoder}, {kept_by(av_stream, encoder)}"
            return StreamPlan(index, "convert", encoder), told
    if kind == "data" or kind in config.drop:
        told = f"{stream_name(stream)} left out: this container cannot hold it"
        return StreamPlan(index, "drop"), told
    return None, ""


def kept_by(av_stream: Stream, encoder: str) -> str:
    """Say what conversion keeps: lossy codecs decode to fractions, which FLAC does not hold."""
    assert isinstance(av_stream, AudioStream)
    name = av_stream.format.name
    if encoder in ("flac", "pcm_s24le") and name.startswith(("flt", "dbl")):
        return "its decoded fractions rounded to 24 bits"
    return "losing nothing"


def check_numbers(info: VideoInfo, drop: Sequence[str]) -> None:
    """Raise `UsageError` where `drop` names a stream that is not there, or the picture."""
    for number in (int(word) for word in drop if word.isdecimal()):
        if number == info.stream_index:
            raise UsageError(f"--drop {number}: is the picture that is restored")
        if number >= len(info.streams):
            most = len(info.streams) - 1
            raise UsageError(f"--drop {number}: the input's streams are numbered 0 to {most}")


def _options(stream: StreamInfo, config: EncodeConfig) -> list[Option]:
    kind = _drop_kind(stream)
    if kind in ("audio", "video"):
        sound: list[Option] = [("audio", "flac"), ("audio", "pcm")]
        return [*(sound if kind == "audio" else []), ("drop", str(stream.index))]
    return [("drop", kind)]


def _drop_kind(info: StreamInfo) -> str:
    if info.type == "attachment" or info.is_cover:
        return "attachments"
    kinds = {"subtitle": "subtitles", "audio": "audio", "video": "video"}
    return kinds.get(info.type, "data")


def _way_to_keep(
    stream: Stream, info: StreamInfo, container: Container
) -> Literal["copy", "attach"] | None:
    if info.type == "attachment" or (info.is_cover and container.attachments):
        return "attach" if container.attachments else None
    return "copy" if _holds_packets(stream, info, container) else None


def _holds_packets(stream: Stream, info: StreamInfo, container: Container) -> bool:
    """Whether the container's writer accepts a header with this stream in it."""
    if container.muxer == "mpegts" and info.codec not in _TS_CODECS:
        return info.codec == "pcm_bluray" and container.is_blu_ray
    if container.muxer == "mxf":
        return mxf_holds(stream)
    if info.type in ("data", "unknown") and container.muxer != "mpegts":
        return False  # muxers take such tracks and write descriptions that nobody can read
    output = av.open(io.BytesIO(), "w", format=container.muxer)
    try:
        add_copied_stream(output, stream)
        output.start_encoding()
    except (av.FFmpegError, ValueError):
        return container.muxer == "matroska" and wave_header(stream) is not None
    return True


def stream_name(info: StreamInfo) -> str:
    """The stream as messages call it, such as 'audio stream 1 (aac, eng)'."""
    kind = "cover art" if info.is_cover else info.type
    what = info.metadata.get("filename") if info.type == "attachment" else info.codec
    told = ", ".join(part for part in (what or "unknown", info.language, info.title) if part)
    return f"{kind} stream {info.index} ({told})"
