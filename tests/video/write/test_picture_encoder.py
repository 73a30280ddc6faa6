"""Frames are encoded at their own times, and what does not fit is refused."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from typing import BinaryIO

import av
import pytest
from videos import make_video, planes_of

from vidrestore.config import DecodeConfig, EncodeConfig
from vidrestore.errors import VideoWriteError
from vidrestore.structs import Frame
from vidrestore.video.picture.samples import picture_from_av
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.reader import VideoReader
from vidrestore.video.read.window import Window
from vidrestore.video.write.picture_encoder import PictureEncoder
from vidrestore.video.write.plan import plan_output


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[VideoInfo, list[Frame]]:
    path = tmp_path_factory.mktemp("encoder") / "in.mkv"
    make_video(path, pts=[0, 40, 90, 200], time_base=Fraction(1, 1000), codec="ffv1")
    with VideoReader(path, DecodeConfig()) as reader:
        return reader.info, list(reader.frames())


@contextmanager
def opened(
    info: VideoInfo, ending: str = ".mkv", file: BinaryIO | None = None
) -> Iterator[tuple[av.container.OutputContainer, PictureEncoder]]:
    config = EncodeConfig(codec="ffv1")
    plan = plan_output(info, info.path.with_name(f"out{ending}"), config)
    window = Window(time_base=info.time_base)
    with av.open(file or io.BytesIO(), "w", format=plan.container.muxer) as container:
        encoder = PictureEncoder(container, plan, info, config, window, 1)
        container.start_encoding()
        yield container, encoder


def test_every_frame_keeps_its_time_and_its_samples(source: tuple[VideoInfo, list[Frame]]) -> None:
    info, frames = source
    file = io.BytesIO()
    with opened(info, file=file) as (container, encoder):
        assert encoder.last_pts is None
        for frame in [*frames, None]:
            container.mux(encoder.encode(frame))
        assert encoder.last_pts == 200
    file.seek(0)
    with av.open(file) as written:
        shown = list(written.decode(video=0))
    assert [one.pts * one.time_base for one in shown] == [
        frame.pts * frame.time_base for frame in frames
    ]
    assert [planes_of(one) for one in shown] == [planes_of(f.picture.handle) for f in frames]


def test_times_must_rise(source: tuple[VideoInfo, list[Frame]]) -> None:
    info, frames = source
    with opened(info) as (_, encoder):
        encoder.encode(frames[1])
        with pytest.raises(VideoWriteError, match="frame 0 at 0 does not come after the one at 40"):
            encoder.encode(frames[0])


def test_frames_of_another_size_are_refused(
    source: tuple[VideoInfo, list[Frame]],
) -> None:
    info, frames = source
    other = picture_from_av(av.VideoFrame(32, 32, "yuv420p"))
    with (
        opened(info) as (_, encoder),
        pytest.raises(VideoWriteError, match="frame 0 is 32x32, the file 64x48"),
    ):
        encoder.encode(replace(frames[0], picture=other))


def test_a_constant_rate_takes_no_frame_between_its_beats(
    source: tuple[VideoInfo, list[Frame]],
) -> None:
    info, frames = source
    with opened(info, ".avi") as (_, encoder):
        encoder.encode(frames[0])
        encoder.encode(frames[1])
        with pytest.raises(VideoWriteError, match=r"frame 2 is off .* write \.mkv or \.mp4"):
            encoder.encode(frames[2])
