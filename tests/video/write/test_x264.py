"""The same frames give the same bytes, however many threads and cores there are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from videos import make_video

from vidrestore.config import DecodeConfig, EncodeConfig
from vidrestore.degradations.compression import video_codec
from vidrestore.demo.clip import make_clip
from vidrestore.geometry import identity
from vidrestore.structs import Display, Frame
from vidrestore.video.picture.samples import picture_from_rgb
from vidrestore.video.read.reader import VideoReader
from vidrestore.video.write.writer import VideoWriter
from vidrestore.video.write.x264 import x264_options
from vidrestore.visual.overlay import OverlayWriter

SIZE = (256, 208)
"""Large enough for several slices."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "in.mkv"
    return make_video(path, codec="ffv1", size=SIZE, pts=range(12))


@contextmanager
def cpus(count: int) -> Iterator[None]:
    """Leaves only so many processors to the encoders that are opened inside."""
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs a system that can take processors away, and two of them")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[:count]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def encoded(clip: Path, output: Path, codec: str, threads: int) -> bytes:
    with VideoReader(clip, DecodeConfig()) as reader:
        config = EncodeConfig(codec=codec, overwrite=True)
        with VideoWriter(output, reader.info, config, threads=threads) as writer:
            for frame in reader.frames():
                writer.write(frame)
            writer.commit()
    return output.read_bytes()


def overlay(path: Path) -> bytes:
    random = np.random.default_rng(0)
    display = Display(*SIZE, identity())
    with OverlayWriter(path) as writer:
        for index in range(8):
            image = random.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
            picture = picture_from_rgb(cv2.blur(image, (9, 9)))
            writer.add(Frame(index, index, Fraction(1, 25), picture, display))
    return path.read_bytes()


def demo(path: Path) -> bytes:
    make_clip(path, seconds=0.3)
    return path.read_bytes()


def degraded(path: Path) -> bytes:
    random = np.random.default_rng(0)
    frames = [random.random((SIZE[1], SIZE[0], 3), np.float32) for _ in range(6)]
    return np.stack(video_codec(frames, "h264", quality=24)).tobytes()


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "ffv1", "mpeg2video"])
def test_threads_do_not_change_the_bytes(clip: Path, tmp_path: Path, codec: str) -> None:
    found = {encoded(clip, tmp_path / "out.mkv", codec, threads) for threads in (1, 2, 8, 0)}
    assert len(found) == 1


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9"])
def test_processors_do_not_change_the_bytes(clip: Path, tmp_path: Path, codec: str) -> None:
    with cpus(1):
        alone = encoded(clip, tmp_path / "one.mkv", codec, 0)
    assert encoded(clip, tmp_path / "all.mkv", codec, 0) == alone


@pytest.mark.parametrize("make", [overlay, demo, degraded])
def test_all_uses_of_x264_repeat(make: Callable[[Path], bytes], tmp_path: Path) -> None:
    with cpus(1):
        alone = make(tmp_path / "one.mp4")
    assert make(tmp_path / "all.mp4") == alone


@pytest.mark.parametrize("make", [overlay, demo])
def test_x264_has_four_frame_threads(make: Callable[[Path], bytes], tmp_path: Path) -> None:
    data = make(tmp_path / "out.mp4")  # x264 writes its settings into the stream
    assert b" threads=4 " in data
    assert b" sliced_threads=0 " in data


def test_writer_has_four_frame_threads(clip: Path, tmp_path: Path) -> None:
    data = encoded(clip, tmp_path / "out.mp4", "libx264", 1)
    assert b" threads=4 " in data
    assert b" sliced_threads=0 " in data


def test_avx2_code_is_never_forced_on_a_processor_without(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = encoded(clip, tmp_path / "chosen.mp4", "libx264", 0)
    assert x264_options("cll=1000,400")["x264-params"].endswith("cll=1000,400")
    monkeypatch.setattr(cv2, "checkHardwareSupport", lambda feature: False)
    assert x264_options() == {}
    assert x264_options("cll=1000,400") == {"x264-params": "cll=1000,400"}
    left_to_x264 = encoded(clip, tmp_path / "left.mp4", "libx264", 0)
    assert abs(len(left_to_x264) - len(chosen)) < 0.02 * len(chosen)
