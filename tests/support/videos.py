"""Small videos of every kind, made with PyAV: pictures that differ, sound, subtitles, tags."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags
from av.stream import Disposition

from vidrestore.video.picture.field_order import with_field_order

__all__ = ["Audio", "Subtitle", "make_video", "packets_of", "picture", "planes_of", "times_of"]


@dataclass(frozen=True)
class Audio:
    """A sound track: a tone that slowly rises."""

    codec: str = "aac"
    start_s: float = 0.0
    seconds: float = 1.0
    language: str | None = None
    title: str | None = None
    default: bool = True
    sample_rate: int = 48000
    layout: str = "mono"


@dataclass(frozen=True)
class Subtitle:
    """A text track with one line a (start, duration, text), in seconds."""

    codec: str = "subrip"
    lines: Sequence[tuple[float, float, str]] = ((0.1, 0.3, "one"), (0.5, 0.4, "two"))
    language: str | None = None
    title: str | None = None
    default: bool = False


@dataclass(frozen=True)
class Colour:
    """FFmpeg's numbers of colour tags."""

    range: int = 0
    space: int = 2
    primaries: int = 2
    transfer: int = 2


@dataclass(frozen=True)
class Chapter:
    """A chapter, in seconds."""

    start_s: float
    end_s: float
    title: str


@dataclass
class _Muxed:
    """Packets of all streams, muxed in order of time."""

    container: av.container.OutputContainer
    packets: list[tuple[float, av.Packet]] = field(default_factory=list)

    def add(self, packet: av.Packet) -> None:
        ticks = packet.dts if packet.dts is not None else packet.pts
        assert ticks is not None
        self.packets.append((float(ticks * packet.time_base), packet))

    def write(self) -> None:
        for _, packet in sorted(self.packets, key=lambda pair: pair[0]):
            self.container.mux(packet)


def picture(index: int, width: int, height: int, pix_fmt: str = "yuv420p") -> av.VideoFrame:
    """A picture with a soft pattern that moves with `index`, in any pixel format."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    waves = [np.sin((x + 3 * index) / 9), np.cos((y - 2 * index) / 7), np.sin((x + y + index) / 11)]
    rgb = np.stack(waves, axis=-1) * 90 + 128
    rgb[(index * 2) % max(1, height - 8) :][:8, (index * 3) % max(1, width - 8) :][:, :8] = 235
    frame = av.VideoFrame.from_ndarray(np.clip(rgb, 0, 255).astype(np.uint8), format="rgb24")
    return frame if pix_fmt == "rgb24" else frame.reformat(format=pix_fmt)


def make_video(
    path: Path,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (64, 48),
    pts: Iterable[int] = range(25),
    time_base: Fraction = Fraction(1, 25),
    rate: Fraction | int = 25,
    options: dict[str, str] | None = None,
    muxer_options: dict[str, str] | None = None,
    muxer: str | None = None,
    matrix: Sequence[int] | None = None,
    rotation: tuple[float, bool] | None = None,
    sar: Fraction | None = None,
    colour: Colour | None = None,
    interlaced: bool = False,
    audio: Sequence[Audio] = (),
    subtitles: Sequence[Subtitle] = (),
    chapters: Sequence[Chapter] = (),
    attachments: Sequence[tuple[str, str, bytes]] = (),
    metadata: dict[str, str] | None = None,
    video_metadata: dict[str, str] | None = None,
    cover: bool = False,
    draw: Callable[[int, int, int, str], av.VideoFrame] | None = None,
) -> Path:
    """Writes a video with one picture for every time in `pts`.

    Args:
        path: where; its ending names the container.
        codec: FFmpeg's encoder.
        pix_fmt: pixel format given to it.
        size: (width, height).
        pts: presentation times in units of `time_base`, increasing.
        time_base: seconds a tick.
        rate: frames per second that the header tells.
        options: of the encoder.
        muxer_options: of the container's writer.
        muxer: FFmpeg's name of the container, where the ending does not tell.
        matrix: display matrix, nine integers.
        rotation: (degrees counter-clockwise, mirrored), instead of `matrix`.
        sar: sample aspect ratio.
        colour: colour tags.
        interlaced: whether it is encoded in fields, top first.
        audio: sound tracks.
        subtitles: text tracks.
        chapters: named parts.
        attachments: (name, MIME type, data).
        metadata: of the file.
        video_metadata: of the video stream.
        cover: whether to add a JPEG cover.
        draw: gives the picture of an index, a width, a height and a pixel format; `picture`.

    Returns:
        `path`.
    """
    width, height = size
    with av.open(str(path), "w", format=muxer, container_options=muxer_options or {}) as out:
        out.metadata.update(metadata or {})
        video = out.add_stream(
            codec,
            rate=rate,
            width=width,
            height=height,
            pix_fmt=pix_fmt,
            time_base=time_base,
            options=_quick(codec) | (options or {}),
        )
        assert isinstance(video, av.VideoStream)
        context = video.codec_context
        context.thread_count = 1
        video.metadata.update(video_metadata or {})
        video.disposition = Disposition.default
        if sar is not None:
            context.sample_aspect_ratio = sar
        if matrix is not None:
            video.set_display_matrix(list(matrix))
        if rotation is not None:
            video.set_display_rotation(rotation[0], hflip=rotation[1])
        if colour is not None:
            context.color_range, context.colorspace = colour.range, colour.space
            context.color_primaries, context.color_trc = colour.primaries, colour.transfer
        if interlaced:
            context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        sounds = [_add_audio(out, track) for track in audio]
        texts = [_add_subtitle(out, track) for track in subtitles]
        image = _add_cover(out) if cover else None
        for name, kind, data in attachments:
            out.add_attachment(name, kind, data)
        if chapters:
            out.set_chapters([_av_chapter(i, one) for i, one in enumerate(chapters)])
        out.start_encoding()
        muxed = _Muxed(out)
        for index, time in enumerate(pts):
            frame = (draw or picture)(index, width, height, pix_fmt)
            frame.pts, frame.time_base = time, time_base
            frame = with_field_order(frame, "top") if interlaced else frame
            if colour is not None:
                frame.color_range, frame.colorspace = colour.range, colour.space
                frame.color_primaries, frame.color_trc = colour.primaries, colour.transfer
            for packet in video.encode(frame):
                muxed.add(packet)
        for packet in video.encode(None):
            muxed.add(packet)
        for stream, track in zip(sounds, audio, strict=True):
            _encode_audio(muxed, stream, track)
        for stream, text in zip(texts, subtitles, strict=True):
            _add_lines(muxed, stream, text)
        if image is not None:
            _encode_cover(out, image)
        muxed.write()
    return path


_SAMPLES = {
    "u8": (np.uint8, 2**7 - 1),
    "s16": (np.int16, 2**15 - 1),
    "s32": (np.int32, 2**31 - 1),
    "flt": (np.float32, 1),
}


def _quick(codec: str) -> dict[str, str]:
    return {
        "libx264": {"preset": "ultrafast", "crf": "20"},
        "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"},
        "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    }.get(codec, {})


def _add_audio(out: av.container.OutputContainer, track: Audio) -> av.AudioStream:
    stream = out.add_stream(track.codec, rate=track.sample_rate)
    assert isinstance(stream, av.AudioStream)
    stream.codec_context.layout = track.layout
    _tag(stream, track.language, track.title, default=track.default)
    return stream


def _tag(
    stream: av.stream.Stream, language: str | None, title: str | None, *, default: bool
) -> None:
    if language:
        stream.metadata["language"] = language
    if title:
        stream.metadata["title"] = title
    stream.disposition = Disposition.default if default else Disposition(0)


def _encode_audio(muxed: _Muxed, stream: av.AudioStream, track: Audio) -> None:
    context = stream.codec_context
    step = context.frame_size or 1024
    start = round(track.start_s * track.sample_rate)
    total = round(track.seconds * track.sample_rate)
    for begin in range(0, total - step + 1, step):
        time = np.arange(begin, begin + step) / track.sample_rate
        tone = 0.3 * np.sin(2 * np.pi * (300 + 200 * time) * time)
        name = context.format.name
        kind, peak = _SAMPLES[name.removesuffix("p")]
        samples = (tone * peak + (128 if kind is np.uint8 else 0)).astype(kind)[None]
        channels = context.layout.nb_channels
        samples = samples.repeat(channels, 0 if name.endswith("p") else 1)
        frame = av.AudioFrame.from_ndarray(samples, format=name, layout=track.layout)
        frame.sample_rate, frame.pts = track.sample_rate, start + begin
        frame.time_base = Fraction(1, track.sample_rate)
        for packet in stream.encode(frame):
            muxed.add(packet)
    for packet in stream.encode(None):
        muxed.add(packet)


def _add_subtitle(out: av.container.OutputContainer, track: Subtitle) -> av.stream.Stream:
    stream = out.add_mux_stream(track.codec, time_base=Fraction(1, 1000))
    _tag(stream, track.language, track.title, default=track.default)
    return stream


def _add_lines(muxed: _Muxed, stream: av.stream.Stream, track: Subtitle) -> None:
    for start_s, seconds, text in track.lines:
        data = text.encode()
        if track.codec == "mov_text":
            data = len(data).to_bytes(2, "big") + data
        packet = av.Packet(data)
        packet.stream = stream
        packet.time_base = Fraction(1, 1000)
        packet.pts = packet.dts = round(start_s * 1000)
        packet.duration = round(seconds * 1000)
        packet.is_keyframe = True
        muxed.add(packet)


def _add_cover(out: av.container.OutputContainer) -> av.VideoStream:
    stream = out.add_stream("mjpeg", rate=1, width=32, height=32, pix_fmt="yuvj420p")
    assert isinstance(stream, av.VideoStream)
    stream.disposition = Disposition.attached_pic
    return stream


def _encode_cover(out: av.container.OutputContainer, stream: av.VideoStream) -> None:
    frame = picture(0, 32, 32, "yuvj420p")
    frame.pts, frame.time_base = 0, Fraction(1, 1)
    for packet in [*stream.encode(frame), *stream.encode(None)]:
        out.mux(packet)


def _av_chapter(index: int, chapter: Chapter) -> dict[str, object]:
    return {
        "id": index + 1,
        "start": round(chapter.start_s * 1000),
        "end": round(chapter.end_s * 1000),
        "time_base": Fraction(1, 1000),
        "metadata": {"title": chapter.title},
    }


def times_of(path: Path) -> list[Fraction]:
    """Presentation times of the first video stream's frames, in seconds, as decoded."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def packets_of(path: Path, index: int) -> list[tuple[Fraction | None, bytes]]:
    """(presentation time in seconds, data) of one stream's packets."""
    with av.open(str(path)) as container:
        stream = container.streams[index]
        return [
            (None if packet.pts is None else packet.pts * packet.time_base, bytes(packet))
            for packet in container.demux(stream)
            if packet.size
        ]


def planes_of(frame: av.VideoFrame) -> list[bytes]:
    """The samples of every plane, without padding."""
    planes = []
    for index, plane in enumerate(frame.planes):
        rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        planes.append(rows[:, : plane.width * _bytes_per_pixel(frame, index)].tobytes())
    return planes


def _bytes_per_pixel(frame: av.VideoFrame, plane: int) -> int:
    parts = [part for part in frame.format.components if part.plane == plane]
    wide = 2 if parts[0].bits > 8 else 1
    packed = {"rgb24": 3, "bgr24": 3, "bgr0": 4, "rgb0": 4, "bgra": 4, "rgba": 4}
    return packed.get(frame.format.name, wide * len(parts))
