"""The streams of an open file: which one is restored, and what each of them is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from av import AudioCodecContext, CodecContext, VideoCodecContext
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from vidrestore.errors import VideoOpenError
from vidrestore.video.container.mp4 import read_movie, sample_kinds
from vidrestore.video.read.info import StreamInfo

__all__ = ["is_cover", "select_video", "stream_infos"]


_NO_VIDEO = {"tty": "a text file"}
"""Formats that FFmpeg shows as a video stream."""


def select_video(container: InputContainer, path: Path) -> VideoStream:
    """The video stream to restore: the default one, else the first; never cover art.

    Raises:
        VideoOpenError: if there is none.
    """
    if container.format.name in _NO_VIDEO or container.format.name.endswith("_pipe"):
        kind = _NO_VIDEO.get(container.format.name, "a picture")
        raise VideoOpenError(f"{path} is not a video but {kind}")
    videos = [stream for stream in container.streams.video if not is_cover(stream)]
    if not videos:
        held = {stream.type for stream in container.streams if not is_cover(stream)}
        cover = " besides its cover art" if container.streams.video else ""
        shown = f"only {' and '.join(sorted(held))}" if held else "no stream at all"
        raise VideoOpenError(f"{path} holds no video{cover}: {shown}")
    usable = [stream for stream in videos if stream.codec_context is not None]
    if not usable:
        raise VideoOpenError(f"{path}: no decoder for its video stream {videos[0].index}")
    chosen = [stream for stream in usable if stream.disposition & Disposition.default]
    return (chosen or usable)[0]


def is_cover(stream: Stream) -> bool:
    """Whether a stream is a picture that belongs to the file, and no track of its own."""
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def stream_infos(container: InputContainer) -> tuple[StreamInfo, ...]:
    """What an open file holds, stream by stream."""
    found = tuple(_stream_info(one) for one in container.streams)
    is_mp4 = container.format.name.startswith("mov")
    if not is_mp4 or all(one.codec or one.type == "attachment" for one in found):
        return found
    codes = sample_kinds(read_movie(Path(container.name)))
    return tuple(
        one if one.codec else replace(one, codec=codes.get(stream.id, ""))
        for one, stream in zip(found, container.streams, strict=True)
    )


def _stream_info(stream: Stream) -> StreamInfo:
    context = stream.codec_context
    codec = (
        context.codec.canonical_name
        if context is not None
        else (getattr(stream, "name", None) or "")
    )
    return StreamInfo(
        index=stream.index,
        type=stream.type,
        codec=codec or "",
        language=_language(stream.metadata),
        title=stream.metadata.get("title"),
        disposition=int(stream.disposition),
        metadata=dict(stream.metadata),
        detail=_detail(stream),
        is_cover=stream.type == "video" and is_cover(stream),
        is_made_by_muxer=_is_made_by_muxer(stream),
    )


def _language(metadata: dict[str, str]) -> str | None:
    language = metadata.get("language")
    return None if language in (None, "", "und") else language


def _is_made_by_muxer(stream: Stream) -> bool:
    """Timecode and chapter tracks of MP4 and MOV; the latter are marked to be skipped."""
    if stream.type != "data":
        return False
    skipped = stream.discard.name == "all"
    return skipped or any(key.lower() == "timecode" for key in stream.metadata)


def _detail(stream: Stream) -> str:
    context: CodecContext | None = stream.codec_context
    if isinstance(context, VideoCodecContext):
        return f"{context.width}x{context.height}"
    if isinstance(context, AudioCodecContext):
        return f"{context.sample_rate} Hz, {context.layout.name}"
    return ""
