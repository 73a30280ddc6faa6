"""What a sequence holds, as `probe` tells it of a video file."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av

from vidrestore.config import DecodeConfig
from vidrestore.errors import UsageError, VideoDecodeError, VideoOpenError
from vidrestore.geometry import identity
from vidrestore.structs import Display
from vidrestore.video.picture.layouts import native_format
from vidrestore.video.picture.presentation import Presentation
from vidrestore.video.picture.side_data import side_data_names
from vidrestore.video.read.info import ColourTags, StreamInfo, VideoInfo
from vidrestore.video.read.opening import open_input
from vidrestore.video.read.streams import stream_infos
from vidrestore.video.read.window import Window
from vidrestore.video.sequence.dpx import read_header
from vidrestore.video.sequence.files import ENDINGS, PictureSequence, find_sequence
from vidrestore.video.sequence.pictures import decode_picture, read_head, size_of

__all__ = ["PICTURE_STREAM", "sequence_info", "sequence_window"]

PICTURE_STREAM = -1
"""Number of the picture's stream, which no container holds."""


def sequence_info(path: Path, config: DecodeConfig, sound: Path | None = None) -> VideoInfo:
    """Look at a sequence: its files, sizes, the first picture, and the sound that goes with it.

    Args:
        path: a pattern or a folder.
        config: frame rate, and what becomes of gaps.
        sound: a file whose sound goes with the pictures, from their beginning.

    Raises:
        VideoOpenError: pictures are missing, differ in size, or cannot be read as a sequence.
        UsageError: no header tells the frame rate, and it was not given.
    """
    sequence = find_sequence(path, config.gaps)
    _check_sizes(sequence)
    try:
        frame = decode_picture(sequence.files[0])
    except VideoDecodeError as error:
        raise VideoOpenError(str(error)) from error
    header = read_header(read_head(sequence.files[0]))
    rate = _rate(config, None if header is None else header.rate, path)
    heard, tags = ((), {}) if sound is None else _sound(sound)
    info = _gather(sequence, frame, rate, (_picture_stream(sequence, frame), *heard))
    timecode = None if header is None else header.timecode
    return replace(info, sound=sound, timecode=timecode, metadata=tags)


def _rate(config: DecodeConfig, told: Fraction | None, path: Path) -> Fraction:
    if config.fps is not None:
        return config.fps
    if told is None:
        raise UsageError(f"{path}: pictures do not tell how fast they are shown; add --fps, as 24")
    return told


def _check_sizes(sequence: PictureSequence) -> None:
    first = sequence.files[0]
    size = size_of(first)
    for file in dict.fromkeys(sequence.files):
        found = size_of(file)
        if found != size and found is not None and size is not None:
            raise VideoOpenError(
                f"{sequence.path}: {file.name} is {found[0]}x{found[1]} and {first.name} "
                f"{size[0]}x{size[1]}; a sequence has one size, restore the parts one by one"
            )


def _picture_stream(sequence: PictureSequence, frame: av.VideoFrame) -> StreamInfo:
    return StreamInfo(
        index=PICTURE_STREAM,
        type="video",
        codec=ENDINGS[sequence.ending],
        language=None,
        title=None,
        disposition=1,
        metadata={},
        detail=f"{frame.width}x{frame.height}",
    )


def _sound(path: Path) -> tuple[tuple[StreamInfo, ...], dict[str, str]]:
    """The streams of sound of a file, and its tags, such as those of Broadcast Wave.

    Raises:
        VideoOpenError: it has none.
    """
    with open_input(path) as container:
        found = tuple(one for one in stream_infos(container) if one.type == "audio")
        tags = dict(container.metadata)
    if not found:
        raise VideoOpenError(f"{path}: holds no sound; name a file that does, such as .wav")
    return found, tags


def _gather(
    sequence: PictureSequence,
    frame: av.VideoFrame,
    rate: Fraction,
    streams: tuple[StreamInfo, ...],
) -> VideoInfo:
    full = frame.format.name.startswith("yuvj")
    return VideoInfo(
        path=sequence.path,
        container="image2",
        stream_index=PICTURE_STREAM,
        width=frame.width,
        height=frame.height,
        pix_fmt=native_format(frame.format.name),
        codec=ENDINGS[sequence.ending],
        profile="",
        bit_depth=frame.format.components[0].bits,
        sar=Fraction(1),
        rotation=0,
        mirrored=False,
        display_matrix=None,
        display=Display(frame.width, frame.height, identity()),
        average_rate=rate,
        time_base=1 / rate,
        start_s=Fraction(0),
        duration_s=float(len(sequence.files) / rate),
        n_frames_estimate=len(sequence.files),
        colour=ColourTags(2 if full else int(frame.color_range), int(frame.colorspace), 2, 2),
        interlaced=False,
        field_order=0,
        mastering=None,
        light_level=None,
        side_data=side_data_names(frame),
        presentation=Presentation(),
        streams=streams,
        chapters=(),
        metadata={},
        stream_metadata={},
        timecode=None,
        sequence=sequence,
    )


def sequence_window(info: VideoInfo, config: DecodeConfig) -> Window:
    """The pictures from `start` to `end`.

    Raises:
        VideoOpenError: none lies between them.
    """
    assert info.sequence is not None

    def number(seconds: float | None) -> int | None:
        return None if seconds is None else math.ceil(Fraction(repr(seconds)) / info.time_base)

    first, end = number(config.start) or None, number(config.end)
    if (first or 0) >= min(len(info.sequence.files), end or len(info.sequence.files)):
        raise VideoOpenError(
            f"{info.path}: no picture from {config.start or 0} s on; there are "
            f"{info.duration_s:.2f} s of them"
        )
    return Window(first, end, info.time_base)
